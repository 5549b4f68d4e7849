"""Feedback and labels over HTTP: said, edited, taken back and read by id, for programs that hold no Python.

POST   /llmwatch/{entity}/{project}/rows/{row_id}/feedback     {"name": "stars", "value": 4, "creator": "ann"}
POST   /llmwatch/{entity}/{project}/rows/{row_id}/labels       {"labels": {"resolved": true}}
POST   /llmwatch/{entity}/{project}/labels                     {"key": "inference_id", "row": "i-123", "labels": {...}}
GET    /llmwatch/{entity}/{project}/rows/{row_id}/feedback     everything that was said, live or not
PUT    /llmwatch/{entity}/{project}/feedback/{event_id}        {"value": 5}
DELETE /llmwatch/{entity}/{project}/feedback/{event_id}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from llmwatch.errors import MissingExtra

try:
    import anyio.to_thread
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingExtra("board", "feedback over HTTP") from error

import orjson

from llmwatch import capture
from llmwatch.errors import LlmwatchError, NotFound
from llmwatch.remarks import say
from llmwatch.remarks.kinds import BadFeedback

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmwatch.settings import Settings
    from llmwatch.store import Store

_PROJECT = "/llmwatch/{entity}/{project}"
_ROW = _PROJECT + "/rows/{row_id}"
Answer = Callable[["Store", dict[str, str], dict[str, Any]], dict[str, Any]]


def routes(store: Store, settings: Settings) -> list[Route]:
    """To be mounted at the root of an application, which puts a guard before it."""
    del settings
    table: tuple[tuple[str, str, Answer], ...] = (
        ("POST", _ROW + "/feedback", _feedback),
        ("POST", _ROW + "/labels", _labels),
        ("POST", _PROJECT + "/labels", _labels_by_key),
        ("GET", _ROW + "/feedback", _history),
        ("PUT", _PROJECT + "/feedback/{event_id}", _edit),
        ("DELETE", _PROJECT + "/feedback/{event_id}", _delete),
    )
    return [Route(path, _endpoint(store, answer), methods=[verb]) for verb, path, answer in table]


def _endpoint(store: Store, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        return await anyio.to_thread.run_sync(
            partial(_answered, answer, store, dict(request.path_params), body)
        )

    return endpoint


def _answered(answer: Answer, store: Store, path: dict[str, str], body: bytes) -> Response:
    """What was asked for, or what is wrong with it."""
    try:
        return Response(
            capture.encode(answer(store, path, _object(body))), media_type="application/json"
        )
    except NotFound as error:
        return _refused(404, error)
    except LlmwatchError as error:
        return _refused(422 if isinstance(error, ValueError) else 500, error)


def _refused(status: int, error: Exception) -> Response:
    return JSONResponse({"reason": str(error)}, status_code=status)


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        found = orjson.loads(body)
    except ValueError as error:
        raise BadFeedback(f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadFeedback(f"the body is a JSON object, not {type(found).__name__}")
    return found


def _where(store: Store, path: dict[str, str]) -> dict[str, Any]:
    return {"project": f"{path['entity']}/{path['project']}", "store": store.root}


def _about(asked: dict[str, Any]) -> dict[str, Any]:
    """Who says it, and of which table the row is, where that is told."""
    about = {name: asked[name] for name in ("creator", "table") if asked.get(name) is not None}
    for name, value in about.items():
        if not isinstance(value, str) or len(value) > 200:
            raise BadFeedback(f"{name} is a text of at most 200 characters")
    return about


def _needed(asked: dict[str, Any], name: str) -> Any:
    if name not in asked:
        raise BadFeedback(f"the body has no {name!r}")
    return asked[name]


def _feedback(store: Store, path: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    name, value = _needed(asked, "name"), _needed(asked, "value")
    told = {**_where(store, path), **_about(asked)}
    return {"id": say.feedback(path["row_id"], name, value, **told)}


def _labels(store: Store, path: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    labels = _mapping(_needed(asked, "labels"))
    told = {**_where(store, path), **_about(asked)}
    return {"row_id": say.label(path["row_id"], labels, **told)}


def _labels_by_key(store: Store, path: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    labels, key, row = (_needed(asked, name) for name in ("labels", "key", "row"))
    told = {**_where(store, path), **_about(asked)}
    return {"row_id": say.label(str(row), _mapping(labels), key=str(key), **told)}


def _mapping(labels: Any) -> dict[str, Any]:
    if not isinstance(labels, dict):
        raise BadFeedback('labels are an object such as {"resolved": true}')
    return labels


def _history(store: Store, path: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    del asked
    return {"said": say.history(path["row_id"], **_where(store, path))}


def _edit(store: Store, path: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    value, about = _needed(asked, "value"), _about(asked)
    about.pop("table", None)
    return {"id": say.edit(path["event_id"], value, **_where(store, path), **about)}


def _delete(store: Store, path: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    about = _about(asked)
    about.pop("table", None)
    say.delete(path["event_id"], **_where(store, path), **about)
    return {"deleted": path["event_id"]}
