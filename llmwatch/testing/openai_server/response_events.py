"""The events by which a finished response is streamed, under the names and in the order of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .wire import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .errors import ApiError
    from .tokens import Splitter

_Part = tuple[str, dict[str, Any]]
_PACED = (".delta",)


def stream_events(response: dict[str, Any], split: Splitter) -> Iterator[Event]:
    """Every event of the response, numbered."""
    for number, (name, data) in enumerate(_response(response, split)):
        numbered = {"type": name, "sequence_number": number, **data}
        yield Event(numbered, name=name, paced=name.endswith(_PACED))


def failure(error: ApiError, number: int) -> Event:
    """The event that says the stream broke off."""
    told = {"code": error.code or error.kind, "message": error.message, "param": error.param}
    return Event({"type": "error", "sequence_number": number, **told}, name="error")


def _response(response: dict[str, Any], split: Splitter) -> Iterator[_Part]:
    empty: dict[str, Any] = {"output": [], "usage": None, "incomplete_details": None}
    begun = {**response, "status": "in_progress", **empty}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(response["output"]):
        yield from _item(index, item, split)
    yield f"response.{response['status']}", {"response": response}


def _item(index: int, item: dict[str, Any], split: Splitter) -> Iterator[_Part]:
    begun = {**item, **({"status": "in_progress"} if "status" in item else {})}
    begun |= {"content": []} if item["type"] == "message" else {}
    begun |= {"arguments": ""} if item["type"] == "function_call" else {}
    yield "response.output_item.added", {"output_index": index, "item": begun}
    where = {"item_id": item["id"], "output_index": index}
    if item["type"] == "function_call":
        yield from _arguments(where, item, split)
    for number, part in enumerate(item.get("content", ())):
        yield from _content({**where, "content_index": number}, part, split)
    yield "response.output_item.done", {"output_index": index, "item": item}


def _arguments(where: dict[str, Any], item: dict[str, Any], split: Splitter) -> Iterator[_Part]:
    for piece in split(item["arguments"]):
        yield "response.function_call_arguments.delta", {**where, "delta": piece}
    told = {"arguments": item["arguments"], "name": item["name"]}
    yield "response.function_call_arguments.done", {**where, **told}


def _content(where: dict[str, Any], part: dict[str, Any], split: Splitter) -> Iterator[_Part]:
    refused = part["type"] == "refusal"
    blank = {"type": "refusal", "refusal": ""} if refused else {**part, "text": "", "logprobs": []}
    yield "response.content_part.added", {**where, "part": blank}
    yield from _refusal(where, part, split) if refused else _text(where, part, split)
    yield "response.content_part.done", {**where, "part": part}


def _text(where: dict[str, Any], part: dict[str, Any], split: Splitter) -> Iterator[_Part]:
    logprobs = part["logprobs"]
    # the pieces that the log-probabilities are about, when there are any: a cut text may split anew
    pieces = [entry["token"] for entry in logprobs] or split(part["text"])
    for number, piece in enumerate(pieces):
        entries = logprobs[number : number + 1]
        yield "response.output_text.delta", {**where, "delta": piece, "logprobs": entries}
    yield "response.output_text.done", {**where, "text": part["text"], "logprobs": logprobs}


def _refusal(where: dict[str, Any], part: dict[str, Any], split: Splitter) -> Iterator[_Part]:
    for piece in split(part["refusal"]):
        yield "response.refusal.delta", {**where, "delta": piece}
    yield "response.refusal.done", {**where, "refusal": part["refusal"]}
