"""The trace server as a web application: Weave's own client, or any other, logs to the store and reads from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from llmwatch.errors import MissingExtra

try:
    import anyio.to_thread
    import python_multipart  # noqa: F401 - Starlette reads uploads with it
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Mount, Route
except ImportError as error:
    raise MissingExtra("board", "serving the store over HTTP") from error

from llmwatch.backend import quiet
from llmwatch.serve import answers, endpoints, feedback, guard, requests
from llmwatch.serve.graphql import GraphQL
from llmwatch.serve.otlp.receiver import PATHS, Receiver

if TYPE_CHECKING:
    from llmwatch.backend.server import LocalTraceServer
    from llmwatch.serve.endpoints import Endpoint
    from llmwatch.settings import Settings
    from llmwatch.store import Store

READS_AT_ONCE, WRITES_AT_ONCE = 8, 16
"""Threads for each: queries that take long leave writes theirs."""
PREFIXES = ("", "/traces")
"""A client with WF_TRACE_SERVER_URL asks at the root; one with WANDB_BASE_URL alone below /traces."""

Answering = Callable[[Request], Awaitable[Response]]


def routes(store: Store, settings: Settings) -> list[BaseRoute]:
    """The trace server's routes on a store, to be mounted at the root of an application."""
    quiet.prepare()
    from llmwatch.backend.server import LocalTraceServer

    served = _Served(LocalTraceServer(store, settings), settings)
    own = served.routes()
    return [*own, Mount("/traces", routes=own), *feedback.routes(store, settings)]


def application(
    store: Store,
    settings: Settings,
    *,
    hosts: Sequence[str] | frozenset[str] | None = guard.LOOPBACK,
    token: str | None = None,
    max_body: int = guard.MAX_BODY,
) -> guard.App:
    """The trace server behind the guard, and metrics for Prometheus at /metrics."""
    from llmwatch.watch.sinks import prometheus

    app = Starlette(
        routes=[prometheus.mounted(store, settings), *routes(store, settings)],
        exception_handlers={404: _no_such_path, 405: _no_such_path},
    )
    return guard.guarded(app, hosts=hosts, token=token, max_body=max_body)


class _Served:
    """A trace server's methods as routes."""

    def __init__(self, server: LocalTraceServer, settings: Settings) -> None:
        self._server = server
        self._graphql = GraphQL(settings.entity)
        self._reads = anyio.CapacityLimiter(READS_AT_ONCE)
        self._writes = anyio.CapacityLimiter(WRITES_AT_ONCE)
        self._spans = Receiver(server, settings, self._writes)

    def routes(self) -> list[BaseRoute]:
        return [
            *(self._route(endpoint) for endpoint in endpoints.TABLE),
            Route("/file/create", _guarded(self._upload), methods=["POST"]),
            Route("/graphql", _guarded(self._ask_graphql), methods=["POST"]),
            *(Route(path, _guarded(self._spans.receive), methods=["POST"]) for path in PATHS),
            Route("/health", _health, methods=["GET"]),
        ]

    def _route(self, endpoint: Endpoint) -> Route:
        return Route(
            endpoint.path, _guarded(partial(self._answer, endpoint)), methods=[endpoint.verb]
        )

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        body = await request.body()
        limiter = self._writes if endpoint.writes else self._reads
        return await anyio.to_thread.run_sync(
            partial(self._ask, endpoint, request, body), limiter=limiter
        )

    def _ask(self, endpoint: Endpoint, request: Request, body: bytes) -> Response:
        asked = requests.parsed(endpoint, request, body)
        name = "call_values" if endpoint.answer == "calls" else endpoint.method
        method = getattr(self._server, name)
        found = method() if endpoint.method == "server_info" else method(asked)
        if endpoint.answer in {"lines", "calls"}:
            first, rest = answers.taken(found)
            return answers.of(endpoint.answer, rest, first)
        return answers.of(endpoint.answer, found)

    async def _upload(self, request: Request) -> Response:
        async with request.form(max_files=1, max_fields=10) as form:
            file, project_id = form.get("file"), form.get("project_id")
            if isinstance(file, str) or file is None or not isinstance(project_id, str):
                raise requests.BadBody(422, "an upload has a file, and the project_id it is for")
            req = {
                "project_id": project_id,
                "file": (file.filename or "file", await file.read()),
                "expected_digest": form.get("expected_digest") or None,
            }
        made = await anyio.to_thread.run_sync(self._server.file_create, req, limiter=self._writes)
        return answers.of("object", made)

    async def _ask_graphql(self, request: Request) -> Response:
        asked = requests.json_of(await request.body())
        return answers.of("object", self._graphql.answer(asked, str(request.base_url).rstrip("/")))


def _guarded(answer: Answering) -> Callable[[Request], Awaitable[Response]]:
    """Every error as an answer that says what is wrong."""

    async def answering(request: Request) -> Response:
        try:
            return await answer(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except guard.TooLarge:  # answered by the guard
            raise
        except HTTPException as error:
            return answers.said(error.status_code, error.detail)
        except Exception as error:  # noqa: BLE001 - the boundary: what a request does wrong ends here
            return answers.refusal(error)

    return answering


async def _health(_request: Request) -> Response:
    return answers.of("object", {"status": "ok"})


async def _no_such_path(request: Request, _error: Exception) -> Response:
    path = f"{request.method} {request.url.path}"
    return answers.said(404, f"{path} is not available on the local backend")
