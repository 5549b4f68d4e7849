"""Turns replies into what a model would have generated: tokens, finish reasons and usage."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .deterministic import digest
from .errors import invalid
from .logprobs import token_logprobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reply import Reply
    from .request import Request
    from .tokens import Splitter

_REASONING_MODEL = re.compile(r"^(?:o\d|gpt-5(?!.*chat))")
_REASONING = {"none": 0, "minimal": 0, "low": 64, "medium": 128, "high": 256, "xhigh": 512}
_PER_MESSAGE = 3
_PER_IMAGE = 85
_CACHE_STEP = 128
_CACHE_LEAST = 1024


@dataclass(frozen=True)
class Choice:
    """One generated answer, cut to the limits of the request."""

    index: int
    reply: Reply
    pieces: list[str]
    finish_reason: str
    reasoning: int
    tokens: int

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def logprobs(self, request: Request, top: int) -> list[dict[str, Any]]:
        seed = (request.fingerprint, request.occurrence, self.index)
        if request.body.get("seed") is not None:
            seed = (request.fingerprint, 0, self.index)
        return token_logprobs(self.pieces, confidence=self.reply.confidence, top=top, seed=seed)


@dataclass(frozen=True)
class Usage:
    prompt: int
    completion: int
    cached: int
    reasoning: int

    def for_chat(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def for_responses(self) -> dict[str, Any]:
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.completion,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.prompt + self.completion,
        }


class Generator:
    """Generates the choices for a request, with a replies rule and a splitter of text."""

    def __init__(self, reply_to: Callable[[Request], Reply], split: Splitter) -> None:
        self._reply_to = reply_to
        self._cache = PromptCache()
        self.split = split

    def choices(self, request: Request) -> list[Choice]:
        given = request.body.get("n")
        count = 1 if given is None else given
        if not isinstance(count, int) or not 1 <= count <= 128:
            raise invalid("n", "expected an integer between 1 and 128.")
        return [self._choice(replace(request, choice=index)) for index in range(count)]

    def _choice(self, request: Request) -> Choice:
        talk, reply = request.conversation, self._reply_to(request)
        reasoning = _reasoning(reply, talk.reasoning_effort, request.model)
        text = _before_stop(reply.refusal or reply.content or "", request.body.get("stop"))
        pieces = self.split(text)
        room = len(pieces) if talk.limit is None else max(talk.limit - reasoning, 0)
        called = sum(len(self.split(call.name + call.text())) for call in reply.tool_calls)
        finish = _finish(reply, cut=len(pieces) > room, forced=talk.tool_choice)
        kept = pieces[:room]
        reasoning = reasoning if talk.limit is None else min(reasoning, talk.limit)
        return Choice(
            request.choice, reply, kept, finish, reasoning, len(kept) + called + reasoning
        )

    def usage(self, request: Request, choices: list[Choice]) -> Usage:
        prompt = self.prompt_tokens(request)
        told = choices[0].reply.cached_tokens
        return Usage(
            prompt=prompt,
            completion=sum(choice.tokens for choice in choices),
            cached=self._cache.hit(request, prompt) if told is None else told,
            reasoning=sum(choice.reasoning for choice in choices),
        )

    def prompt_tokens(self, request: Request) -> int:
        talk = request.conversation
        said = sum(len(self.split(m.text)) + _PER_IMAGE * m.images for m in talk.messages)
        tools = sum(
            len(self.split(tool.name + tool.description + json.dumps(tool.parameters)))
            for tool in talk.tools
        )
        return said + tools + (_PER_MESSAGE + 1) * len(talk.messages) + _PER_MESSAGE


def _reasoning(reply: Reply, effort: str | None, model: str) -> int:
    if reply.reasoning_tokens is not None:
        return reply.reasoning_tokens
    if effort is None and not _REASONING_MODEL.match(model):
        return 0
    return _REASONING.get(effort or "medium", 0)


def _before_stop(text: str, stop: str | list[str] | None) -> str:
    for word in [stop] if isinstance(stop, str) else stop or ():
        text = text.partition(word)[0] if word else text
    return text


def _finish(reply: Reply, *, cut: bool, forced: str) -> str:
    if reply.finish_reason:
        return reply.finish_reason
    if reply.tool_calls:  # as OpenAI does: a call that was forced by name finishes with stop
        return "tool_calls" if forced in ("auto", "required", "none") else "stop"
    return "length" if cut else "stop"


class PromptCache:
    """Which long prompt beginnings were seen, in steps of 128 tokens from 1,024, as OpenAI caches.

    A beginning of n tokens is taken to be 4n characters, so that two prompts meet at the same cut.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def hit(self, request: Request, tokens: int) -> int:
        """How many tokens of this prompt were cached, remembering it for the next."""
        if tokens < _CACHE_LEAST:
            return 0
        prompt = request.prompt
        ends = range(_CACHE_LEAST, tokens + 1, _CACHE_STEP)
        keys = {
            end: digest(request.model, prompt[: end * 4]) for end in ends if end * 4 <= len(prompt)
        }
        with self._lock:
            cached = max((end for end, key in keys.items() if key in self._seen), default=0)
            self._seen.update(keys.values())
        return cached
