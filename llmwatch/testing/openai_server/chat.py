"""``/chat/completions``: the completion object, or its chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .deterministic import digest, identifier
from .errors import ApiError, invalid, missing
from .wire import Answered, Event, EventStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .generation import Choice, Generator
    from .request import Request

_MOST_LOGPROBS = 20


def complete(request: Request, generator: Generator, created: int) -> Answered:
    """Answer a chat completion request."""
    top = _checked(request)
    choices = generator.choices(request)
    usage = generator.usage(request, choices).for_chat()
    head = {
        "id": identifier("chatcmpl-", request.fingerprint, request.occurrence),
        "created": created,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": "fp_" + digest("fingerprint", request.model)[:10],
    }
    if request.stream:
        events = _chunks(head, request, choices, top, usage, generator)
        return EventStream(events, _failure, b"data: [DONE]\n\n")
    rendered = [_choice(request, choice, top) for choice in choices]
    return {**head, "object": "chat.completion", "choices": rendered, "usage": usage}


def _checked(request: Request) -> int | None:
    """How many alternatives each token is to show; None when no log-probabilities are wanted."""
    body = request.body
    if not body.get("messages"):
        raise missing("messages")
    for name in ("max_tokens", "max_completion_tokens"):
        if body.get(name) is not None and body[name] < 1:
            raise invalid(name, f"expected a value >= 1, but got {body[name]}.")
    top = body.get("top_logprobs")
    if top is not None and not body.get("logprobs"):
        raise invalid("top_logprobs", "'logprobs' has to be true when it is given.")
    if top is not None and not 0 <= top <= _MOST_LOGPROBS:
        raise invalid("top_logprobs", f"expected a value between 0 and {_MOST_LOGPROBS}.")
    return (top or 0) if body.get("logprobs") else None


def _choice(request: Request, choice: Choice, top: int | None) -> dict[str, Any]:
    refused = choice.reply.refusal is not None
    silent = choice.reply.tool_calls and choice.reply.content is None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused or silent else choice.text,
        "refusal": choice.text if refused else None,
        "annotations": [],
    }
    if choice.reply.tool_calls:
        message["tool_calls"] = _tool_calls(request, choice)
    return {
        "index": choice.index,
        "message": message,
        "logprobs": _logprobs(request, choice, top),
        "finish_reason": choice.finish_reason,
    }


def _tool_calls(request: Request, choice: Choice) -> list[dict[str, Any]]:
    made_from = (request.fingerprint, request.occurrence, choice.index)
    return [
        {
            "id": call.id or identifier("call_", *made_from, number)[:29],
            "type": "function",
            "function": {"name": call.name, "arguments": call.text()},
        }
        for number, call in enumerate(choice.reply.tool_calls)
    ]


def _logprobs(request: Request, choice: Choice, top: int | None) -> dict[str, Any] | None:
    if top is None:
        return None
    entries = choice.logprobs(request, top)
    refused = choice.reply.refusal is not None
    return {"content": None if refused else entries, "refusal": entries if refused else None}


def _chunks(
    head: dict[str, Any],
    request: Request,
    choices: list[Choice],
    top: int | None,
    usage: dict[str, Any],
    generator: Generator,
) -> Iterator[Event]:
    """The choices' chunks in turn, as the API interleaves them, then the usage when asked for."""
    counted = bool((request.body.get("stream_options") or {}).get("include_usage"))
    head = {**head, "object": "chat.completion.chunk", **({"usage": None} if counted else {})}
    running = [_deltas(request, choice, top, generator) for choice in choices]
    while running:
        for deltas in list(running):
            delta = next(deltas, None)
            if delta is None:
                running.remove(deltas)
            else:
                yield Event({**head, "choices": [delta]}, paced=bool(delta["delta"]))
    if counted:
        yield Event({**head, "choices": [], "usage": usage})


def _deltas(
    request: Request, choice: Choice, top: int | None, generator: Generator
) -> Iterator[dict[str, Any]]:
    refused = choice.reply.refusal is not None
    silent = choice.reply.tool_calls and choice.reply.content is None
    opening = {"role": "assistant", "content": None if silent or refused else "", "refusal": None}
    yield _delta(choice, opening)
    field = "refusal" if refused else "content"
    entries = choice.logprobs(request, top) if top is not None else [None] * len(choice.pieces)
    for piece, entry in zip(choice.pieces, entries, strict=True):
        logprobs = None if entry is None else {"content": None, "refusal": None, field: [entry]}
        yield _delta(choice, {field: piece}, logprobs=logprobs)
    if choice.reply.tool_calls:
        for part in _tool_deltas(_tool_calls(request, choice), generator):
            yield _delta(choice, {"tool_calls": [part]})
    yield _delta(choice, {}, finish=choice.finish_reason)


def _delta(
    choice: Choice,
    delta: dict[str, Any],
    *,
    logprobs: dict[str, Any] | None = None,
    finish: str | None = None,
) -> dict[str, Any]:
    return {"index": choice.index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _tool_deltas(calls: list[dict[str, Any]], generator: Generator) -> Iterator[dict[str, Any]]:
    """Each call opens with its id and name; its arguments follow token by token."""
    for number, call in enumerate(calls):
        named = {"name": call["function"]["name"], "arguments": ""}
        yield {"index": number, "id": call["id"], "type": "function", "function": named}
        for piece in generator.split(call["function"]["arguments"]):
            yield {"index": number, "function": {"arguments": piece}}


def _failure(error: ApiError, _number: int) -> Event:
    return Event(error.body())
