"""``/responses``: the response object, kept for ``previous_response_id``, or its stream."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .conversation import Message, input_messages
from .deterministic import identifier
from .errors import ApiError, missing
from .response_events import failure, stream_events
from .wire import Answered, EventStream

if TYPE_CHECKING:
    from .generation import Choice, Generator, Usage
    from .request import Request

_ECHOED = ("instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p", "user",
           "prompt_cache_key", "safety_identifier", "max_tool_calls")  # fmt: skip
_LOGPROBS = "message.output_text.logprobs"


class Responses:
    """The responses a server has given, so that a conversation can go on from one of them."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[dict[str, Any], tuple[Message, ...]]] = {}
        self._lock = threading.Lock()

    def create(self, request: Request, generator: Generator, created: int) -> Answered:
        """Answer a request for a response."""
        if not request.body.get("input"):
            raise missing("input")
        request = replace(request, earlier=self._earlier(request.body.get("previous_response_id")))
        choice = generator.choices(request)[0]
        response = _response(request, choice, generator.usage(request, [choice]), created)
        if request.body.get("store", True) is not False:
            self._keep(request, response, choice)
        if request.stream:
            return EventStream(stream_events(response, generator.split), failure)
        return response

    def get(self, response_id: str) -> dict[str, Any]:
        """A response given before."""
        return self._found(response_id)[0]

    def delete(self, response_id: str) -> dict[str, Any]:
        self._found(response_id)
        with self._lock:
            self._kept.pop(response_id, None)
        return {"id": response_id, "object": "response", "deleted": True}

    def _earlier(self, response_id: str | None) -> tuple[Message, ...]:
        return self._found(response_id)[1] if response_id else ()

    def _found(self, response_id: str) -> tuple[dict[str, Any], tuple[Message, ...]]:
        with self._lock:
            kept = self._kept.get(response_id)
        if kept is None:
            message = f"Response with id '{response_id}' not found."
            raise ApiError(404, message, param="previous_response_id", code="response_not_found")
        return kept

    def _keep(self, request: Request, response: dict[str, Any], choice: Choice) -> None:
        said = input_messages(request.body["input"])
        calls = [f"{call.name}({call.text()})" for call in choice.reply.tool_calls]
        told = Message("assistant", "\n".join(filter(None, [choice.text, *calls])))
        with self._lock:
            self._kept[response["id"]] = response, (*request.earlier, *said, told)


def _response(request: Request, choice: Choice, usage: Usage, created: int) -> dict[str, Any]:
    body, cut = request.body, choice.finish_reason == "length"
    return {
        "id": identifier("resp_", request.fingerprint, request.occurrence),
        "object": "response",
        "created_at": created,
        "status": "incomplete" if cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "model": request.model,
        "output": _output(request, choice, "incomplete" if cut else "completed"),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "reasoning": {"effort": request.conversation.reasoning_effort, "summary": None},
        "service_tier": "default",
        "store": body.get("store", True),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "truncation": body.get("truncation") or "disabled",
        "metadata": body.get("metadata") or {},
        "usage": usage.for_responses(),
        **{name: body.get(name) for name in _ECHOED},
    }


def _output(request: Request, choice: Choice, status: str) -> list[dict[str, Any]]:
    """The items in the order a model makes them: reasoning, message, calls."""
    made_from = (request.fingerprint, request.occurrence)
    items: list[dict[str, Any]] = []
    if choice.reasoning:
        items.append({"id": identifier("rs_", *made_from), "type": "reasoning", "summary": []})
    if choice.pieces or not choice.reply.tool_calls:
        part = _content_part(request, choice)
        head = {"id": identifier("msg_", *made_from), "type": "message", "role": "assistant"}
        items.append({**head, "status": status, "content": [part]})
    for number, call in enumerate(choice.reply.tool_calls):
        items.append(
            {
                "id": identifier("fc_", *made_from, number),
                "type": "function_call",
                "status": "completed",
                "call_id": call.id or identifier("call_", *made_from, number)[:29],
                "name": call.name,
                "arguments": call.text(),
            }
        )
    return items


def _content_part(request: Request, choice: Choice) -> dict[str, Any]:
    if choice.reply.refusal is not None:
        return {"type": "refusal", "refusal": choice.text}
    wanted = _LOGPROBS in (request.body.get("include") or ())
    top = request.body.get("top_logprobs") or 0
    logprobs = choice.logprobs(request, top) if wanted or top else []
    return {"type": "output_text", "text": choice.text, "annotations": [], "logprobs": logprobs}
