"""JSON answers, and errors that say what to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.errors import InvalidBoard, LlmwatchError, NotFound

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

logger = logging.getLogger("llmwatch")
Handler = Callable[["Request"], Coroutine[Any, Any, "Response"]]
GONE = 499
"""The status of an answer that nobody waits for, as it stands in logs."""


def encoded(value: Any) -> bytes:
    """JSON for the page. A lone surrogate cannot be: text comes from DuckDB, which holds none."""
    return orjson.dumps(
        value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY, default=str
    )


def answer(value: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    return Response(encoded(value), status, media_type="application/json")


def told(error: BaseException) -> dict[str, Any]:
    """An error as the page shows it: what is wrong, and what each part of it is about."""
    import duckdb

    if isinstance(error, InvalidBoard):
        return {"error": str(error), "problems": error.problems}
    if isinstance(error, LlmwatchError):
        return {"error": str(error)}
    if isinstance(error, duckdb.InterruptException):
        return {"error": "the query was cancelled"}
    if isinstance(error, duckdb.OutOfMemoryException):
        return {
            "error": "this needs more memory than a board may take: choose a shorter time range, or fewer groups"
        }
    if isinstance(error, duckdb.Error):
        return {"error": str(error).split("\n\nLINE")[0].split("\n")[0]}
    logger.error("a board could not answer", exc_info=error)
    return {"error": f"llmwatch could not answer: {type(error).__name__}: {error}"}


def status_of(error: BaseException) -> int:
    if isinstance(error, NotFound):
        return 404
    import duckdb

    wrong = (LlmwatchError, ValueError, duckdb.Error)
    return 400 if isinstance(error, wrong) else 500


def safely(handler: Handler) -> Handler:
    """A route whose errors are answers too."""

    async def handled(request: Request) -> Response:
        try:
            await request.body()  # kept by the request: what comes after it on the line is its end
            return await _unless_left(request, handler(request))
        except Exception as error:  # noqa: BLE001 - the boundary: what went wrong is told to who asked, and logged
            return answer(told(error), status_of(error))

    handled.__name__ = getattr(handler, "__name__", "handled")
    return handled


async def _unless_left(request: Request, answering: Coroutine[Any, Any, Response]) -> Response:
    """The answer, given up when the browser closes the line before it is there."""
    from starlette.responses import Response

    asked = asyncio.ensure_future(answering)
    left = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({asked, left}, return_when=asyncio.FIRST_COMPLETED)
        return await asked if asked.done() else Response(status_code=GONE)
    finally:
        asked.cancel()
        left.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
