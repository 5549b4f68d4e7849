"""A request the server received, as it was sent and as a conversation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .conversation import Conversation, Message, from_chat, from_responses
from .deterministic import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_QUESTION = re.compile(
    r"^[ \t]*\W*(?:user(?:'s)? )?(?:question|query)\W*?:[ \t]*(\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION_TAG = re.compile(r"<(question|query)>\s*(.+?)\s*</\1>", re.IGNORECASE | re.DOTALL)


@dataclass
class Request:
    """One request. ``body`` is the parsed JSON, ``status`` what was answered (0 until then)."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    occurrence: int = 0
    """How many times exactly this request had come before."""
    choice: int = 0
    """Which of the ``n`` choices is being asked for."""
    earlier: Sequence[Message] = ()
    """The messages that ``previous_response_id`` stands for."""
    status: int = 0
    disconnected: bool = field(default=False, compare=False)
    """Whether the client went away before the answer was complete."""

    @property
    def endpoint(self) -> str:
        """The path without the version: ``chat/completions``, ``responses``, ..."""
        return self.path.partition("?")[0].strip("/").removeprefix("v1/")

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def retries(self) -> int:
        """How often the client says it had already tried."""
        return int(self.headers.get("x-stainless-retry-count", "0"))

    @cached_property
    def fingerprint(self) -> str:
        return digest(self.method, self.endpoint, self.body)

    @cached_property
    def conversation(self) -> Conversation:
        if self.endpoint == "responses":
            return from_responses(self.body, self.earlier)
        return from_chat(self.body)

    @property
    def prompt(self) -> str:
        """Everything that was said, one message after the other."""
        return "\n\n".join(message.text for message in self.conversation.messages)

    @property
    def question(self) -> str:
        """What the user asks: after ``Question:``, else the last line that asks, else the last."""
        return find_question(self.conversation.last("user"))


def find_question(text: str) -> str:
    """The question inside a prompt that may hold much else."""
    tagged = _QUESTION_TAG.findall(text)
    if tagged:
        return str(tagged[-1][1])
    labelled = _QUESTION.findall(text)
    if labelled:
        return str(labelled[-1]).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    asking = [line for line in lines if line.endswith("?")]
    return (asking or lines or [""])[-1]
