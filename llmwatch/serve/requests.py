"""Requests as the trace server's methods take them: bodies read, unpacked and checked, paths and URLs joined in."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.backend import wire
from llmwatch.errors import LlmwatchError
from llmwatch.serve import shapes
from llmwatch.serve.guard import MAX_BODY

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmwatch.serve.endpoints import Endpoint

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
MOST_PARTS = 100
_INTO_PROJECT = ("entity", "project")


class BadBody(LlmwatchError, ValueError):
    """A request whose body cannot be read, or does not hold what it has to."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


def parsed(endpoint: Endpoint, request: Request, body: bytes) -> dict[str, Any]:
    """What the endpoint's method is asked; raises `BadBody`. It may take a while: not for the event loop."""
    content = unpacked(body, request.headers.get("content-encoding"))
    asked = _object(content) if content.strip() else {}
    asked = {**_of_url(endpoint, request), **asked, **_of_path(request.path_params)}
    if (
        endpoint.params is not None
        and (wrong := shapes.problem(asked, endpoint.params)) is not None
    ):
        raise BadBody(422, wrong)
    return _in_project(endpoint, asked)


def unpacked(body: bytes, encoding: str | None, limit: int = MAX_BODY) -> bytes:
    """A compressed body as it was before; one that grows past the limit is given up on."""
    encoding = (encoding or "identity").strip().lower()
    if encoding in {"identity", ""}:
        return body
    if encoding not in _WINDOWS:
        raise BadBody(415, f"a body is sent as it is, or as gzip or deflate, not as {encoding!r}")
    content, parts = b"", 0
    while body:  # gzip may be of several parts, one after the other
        if (parts := parts + 1) > MOST_PARTS:
            raise BadBody(413, f"the body is {encoding} of more than {MOST_PARTS} parts")
        unpacker = zlib.decompressobj(_WINDOWS[encoding])
        try:
            content += unpacker.decompress(body, limit + 1 - len(content))
        except zlib.error as error:
            raise BadBody(400, f"the body is not {encoding}: {error}") from error
        if len(content) > limit:
            raise BadBody(413, f"the body is larger than {limit} bytes when unpacked")
        if not unpacker.eof:
            raise BadBody(400, f"the body is {encoding} that was cut off")
        body = unpacker.unused_data
    return content


def json_of(content: bytes) -> Any:
    try:
        return wire.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadBody(400, f"the body is not JSON: {error}") from error


def _object(content: bytes) -> dict[str, Any]:
    found = json_of(content)
    if not isinstance(found, dict):
        raise BadBody(422, f"the body is a JSON object, not {type(found).__name__}")
    return found


def _of_url(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """The parameters after the `?`, which are text, as what they are to be."""
    if endpoint.params is None:
        return {}
    names = dict.fromkeys(name for name, _ in request.query_params.multi_items())
    return {
        name.removesuffix("[]"): shapes.from_text(
            request.query_params.getlist(name), endpoint.params, name.removesuffix("[]")
        )
        for name in names
    }


def _of_path(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in given.items() if name not in _INTO_PROJECT}
    if set(_INTO_PROJECT) <= set(given):
        found["project_id"] = f"{given['entity']}/{given['project']}"
    return found


def _in_project(endpoint: Endpoint, asked: dict[str, Any]) -> dict[str, Any]:
    """What lies below a project's path is in that project, whatever it says itself."""
    if endpoint.method == "calls_complete":
        batch = [{**call, "project_id": asked["project_id"]} for call in asked["batch"]]
        return {**asked, "batch": batch}
    for part in ("start", "end"):
        if "project_id" in asked and isinstance(asked.get(part), dict):
            return {part: {**asked[part], "project_id": asked["project_id"]}}
    return asked
