"""A reply of the pretended model, and the rules by which a test chooses one for a request."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .request import Request


@dataclass(frozen=True)
class ToolCall:
    """A call the model asks for; arguments are a dict, or text to send exactly as it is."""

    name: str
    arguments: Mapping[str, Any] | str = "{}"
    id: str | None = None

    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True)
class Reply:
    """What the model says: text, tool calls or a refusal; what is left out is worked out."""

    content: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    refusal: str | None = None
    finish_reason: str | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    confidence: float = 0.8
    """The typical probability of a token, which the log-probabilities are drawn around."""


_FIELDS = frozenset(field.name for field in fields(Reply))

Answer: TypeAlias = "Reply | str | Mapping[str, Any] | None"
Rule: TypeAlias = "Callable[[Request], Answer] | Reply | str | Mapping[str, Any]"
Replies: TypeAlias = "Rule | Sequence[Rule | tuple[str | re.Pattern[str], Rule]]"
"""A function of the request; a dict of patterns; or a list of patterns and of replies in turn."""


def as_reply(answer: Answer) -> Reply | None:
    """A reply from what a rule gave: text, fields of `Reply`, or any other dict as JSON text."""
    if answer is None or isinstance(answer, Reply):
        return answer
    if isinstance(answer, str):
        return Reply(content=answer)
    if not answer or not answer.keys() <= _FIELDS:
        return Reply(content=json.dumps(answer))
    values = dict(answer)
    values["tool_calls"] = tuple(_as_tool_call(call) for call in values.get("tool_calls") or ())
    return Reply(**values)


def _as_tool_call(call: ToolCall | Mapping[str, Any]) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function", call)  # OpenAI nests the name, a test may leave that out
    return ToolCall(function["name"], function.get("arguments", "{}"), call.get("id"))


class ReplyRules:
    """Chooses the reply to a request: patterns first, then replies in turn, then the default."""

    def __init__(self, replies: Replies | None, default: Callable[[Request], Reply]) -> None:
        self._patterns: list[tuple[re.Pattern[str], Rule]] = []
        self._in_turn: list[Rule] = []
        self._always: Rule | None = None
        self._default = default
        self._lock = threading.Lock()
        self._read(replies)

    def _read(self, replies: Replies | None) -> None:
        if replies is None or isinstance(replies, str | Reply) or callable(replies):
            self._always = replies
            return
        for rule in replies.items() if isinstance(replies, Mapping) else replies:
            if isinstance(rule, tuple):
                self._patterns.append((re.compile(rule[0], re.IGNORECASE), rule[1]))
            else:
                self._in_turn.append(rule)

    def reply_to(self, request: Request) -> Reply:
        """The reply to one choice of a request."""
        rule = self._rule_for(request)
        answer = rule(request) if callable(rule) else rule
        return as_reply(answer) or self._default(request)

    def _rule_for(self, request: Request) -> Rule | None:
        for pattern, rule in self._patterns:
            if pattern.search(request.prompt):
                return rule
        with self._lock:
            return self._in_turn.pop(0) if self._in_turn else self._always
