"""Answers as they go over the wire: objects, lines that stream, bytes, and errors with a reason."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from llmwatch.backend import wire
from llmwatch.backend.unoffered import NotOffered
from llmwatch.errors import InvalidName, LlmwatchError, NotFound, SettingsError, StoreError
from llmwatch.serve.requests import BadBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmwatch.serve.endpoints import Answer

logger = logging.getLogger("llmwatch.serve")

LINES_AT_A_TIME = 200
_JSON, _LINES, _BYTES = "application/json", "application/jsonl", "application/octet-stream"


def of(kind: Answer, found: Any, first: list[Any] | None = None) -> Response:
    """What a method returned, as its endpoint answers; `first` are the items that were taken from a stream."""
    if kind in {"lines", "calls"}:
        return StreamingResponse(_chunks(first or [], found), media_type=_LINES)
    if kind == "content":
        return Response(found.content, media_type=_BYTES)
    return Response(wire.dumps(_plain(found)), media_type=_JSON)


def taken(found: Iterable[Any]) -> tuple[list[Any], Iterator[Any]]:
    """The first items of a stream, so that what is wrong with the request is known before the answer begins."""
    items = iter(found)
    return list(islice(items, LINES_AT_A_TIME)), items


async def _chunks(first: list[Any], rest: Iterator[Any]) -> AsyncIterator[bytes]:
    """Lines, a few hundred at a time; the stream is closed when the reader goes away."""
    try:
        items = first
        while items:
            yield await run_in_threadpool(_lines, items)
            items = await run_in_threadpool(lambda: list(islice(rest, LINES_AT_A_TIME)))
    finally:
        close: Callable[[], None] | None = getattr(rest, "close", None)
        if close is not None:
            await run_in_threadpool(close)


def _lines(items: list[Any]) -> bytes:
    return b"".join(wire.dumps(_plain(item)) + b"\n" for item in items)


def _plain(found: Any) -> Any:
    if hasattr(found, "model_dump"):
        return found.model_dump(by_alias=True)
    return [_plain(each) for each in found] if isinstance(found, list) else found


def refusal(error: Exception) -> Response:
    """An error as an answer: a status that a client knows what to do with, and what is wrong in words."""
    status = _status(error)
    if status == 500:
        logger.error("a request failed", exc_info=error)
        return said(500, "the server failed on this request; its log says why")
    said_too = {}
    if (deleted_at := getattr(error, "deleted_at", None)) is not None:
        said_too["deleted_at"] = deleted_at  # by which a client tells deleted from not there yet
    return said(status, str(error) or type(error).__name__, **said_too)


def said(status: int, reason: str, **more: Any) -> Response:
    return Response(wire.dumps({"reason": reason, **more}), status_code=status, media_type=_JSON)


def _status(error: Exception) -> int:
    if isinstance(error, BadBody):
        return error.status
    for kinds, status in (*_OURS, *_theirs()):
        if isinstance(error, kinds):
            return status
    return 500


_OURS: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
    ((NotOffered, NotFound), 404),
    ((InvalidName, SettingsError), 400),
    # the store is full or gone for now: what was sent is to be sent again
    ((StoreError,), 503),
    ((LlmwatchError,), 400),
)


def _theirs() -> tuple[tuple[tuple[type[Exception], ...], int], ...]:
    from weave.trace import errors

    return (
        ((errors.NotFoundError, errors.ObjectDeletedError, errors.ProjectNotFound), 404),
        ((errors.DigestMismatchError,), 409),
        ((errors.RequestTooLarge,), 413),
        ((errors.InvalidRequest, errors.InvalidFieldError, errors.InvalidExternalRef), 400),
    )
