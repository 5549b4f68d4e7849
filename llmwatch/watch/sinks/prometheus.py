"""The Prometheus sink: an endpoint with gauges of metric sets, and counters and histograms of calls.

    from llmwatch.watch.sinks import prometheus

    app = Starlette(routes=[prometheus.route()])  # GET /metrics, in an application of yours

`llmwatch watch --prometheus 127.0.0.1:9464` serves it by itself. Counting happens in the process that serves it, when
it is asked, and never where calls are made.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from queue import Queue
from typing import TYPE_CHECKING, Any, Protocol

from llmwatch import settings as settings_
from llmwatch.errors import MissingExtra, SettingsError
from llmwatch.store import open_store
from llmwatch.watch.sinks import families
from llmwatch.watch.sinks.counting import Counting, Counts
from llmwatch.watch.sinks.gauges import Gauges

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.routing import Route

    from llmwatch.serve.guard import App
    from llmwatch.serve.listening import Address
    from llmwatch.settings import Settings
    from llmwatch.store import Project, Store
    from llmwatch.stream.query import Reader

HOST, PORT, PATH = "127.0.0.1", 9464, "/metrics"
TABLES = ("traces",)
"""Tables whose rows are counted, unless others are named."""


class _Collected(Protocol):
    def collect(self) -> Iterator[Any]: ...


class Exporter:
    """What a scrape of a store answers. One a process; threads may share it."""

    def __init__(self, store: Store, settings: Settings, tables: Sequence[str] = TABLES) -> None:
        self._store, self._settings, self._tables = store, settings, tuple(tables)
        self._lock = threading.Lock()
        self._counts = Counts()
        self._counting: dict[str, Counting] = {}
        self._gauges: dict[str, tuple[Gauges, Reader]] = {}

    def start(self) -> None:
        """Begin to count, from now on."""
        with self._lock:
            self._refresh()

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The answer and its content type: OpenMetrics, which has exemplars, where the scraper takes it."""
        written, content_type = _format(accept)
        with self._lock:
            self._refresh()
            return written(self), content_type

    def collect(self) -> Iterator[Any]:
        """The families of metrics, as prometheus_client takes them."""
        behind = sum(counting.behind() for counting in self._counting.values())
        yield from families.of_counts(self._counts, behind)
        yield from families.of_gauges([gauges for gauges, _ in self._gauges.values()])

    def close(self) -> None:
        for counting in self._counting.values():
            counting.close()
        for _, reader in self._gauges.values():
            reader.close()

    def _refresh(self) -> None:
        for project in self._store.projects():
            if project.id not in self._counting:
                self._add(project)
            self._counting[project.id].advance()
            self._gauges[project.id][0].refresh()

    def _add(self, project: Project) -> None:
        from llmwatch.stream.query import Reader

        reader = Reader(project, self._settings)
        self._gauges[project.id] = Gauges(project, reader), reader
        self._counting[project.id] = Counting(project, self._settings, self._tables, self._counts)


def route(
    store: str | Path | None = None, *, path: str = PATH, tables: Sequence[str] = TABLES
) -> Route:
    """A route for an ASGI application of Starlette or FastAPI; who may ask is up to that application."""
    try:
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtra("prometheus", "the route for Prometheus") from error
    exporter = Exporter(open_store(store), settings_.current(), tables)
    _format("")  # a missing library is said here, and not to the scraper
    return Route(path, endpoint=_Endpoint(exporter), methods=["GET"])


def mounted(store: Store, settings: Settings) -> Route:
    """The route in an application of ours, which stands behind the guard. Counting begins when it is asked first."""
    from starlette.routing import Route

    return Route(PATH, endpoint=_WhenAsked(Exporter(store, settings)), methods=["GET"])


def application(
    exporter: Exporter, *, hosts: Collection[str] | None = None, token: str | None = None
) -> App:
    """The endpoint alone, behind the guard."""
    from llmwatch.serve import guard

    names = guard.LOOPBACK if hosts is None and token is None else hosts
    return guard.guarded(_Endpoint(exporter, PATH), hosts=names, token=token, max_body=0)


def address(told: str) -> tuple[str, int]:
    """A host and port as people write them.

    >>> address(":9464"), address("[::1]:80"), address("9464")
    (('127.0.0.1', 9464), ('::1', 80), ('127.0.0.1', 9464))
    """
    host, _, port = told.rpartition(":")
    if not port.isascii() or not port.isdigit():
        raise SettingsError(f"{told!r} is no address: write HOST:PORT, such as {HOST}:{PORT}")
    return host.strip("[]") or HOST, int(port)


def serve(
    store: Store,
    settings: Settings,
    told: str = f"{HOST}:{PORT}",
    *,
    token: str | None = None,
    tables: Sequence[str] = TABLES,
    ready: Callable[[Address], None] | None = None,
) -> None:
    """Serve the endpoint until told to stop. Off loopback there has to be a token."""
    from llmwatch.serve import guard, listening

    host, port = address(told)
    _format("")
    exporter = Exporter(store, settings, tables)
    app = application(exporter, hosts=guard.hosts_for(host), token=token)
    socket, where = listening.bound(host, port)
    exporter.start()
    listening.serve(app, socket, ready=None if ready is None else lambda: ready(where))
    exporter.close()


def serve_aside(store: Store, told: str) -> str:
    """`serve` beside something else, in a thread that ends with the process. Returns when it listens: where, and for
    whom. The token off loopback is the one of `LLMWATCH_TOKEN`, or a new one."""
    from llmwatch.serve import guard

    token = os.environ.get("LLMWATCH_TOKEN")
    if token is None and not guard.is_loopback(address(told)[0]):
        token = guard.new_token()
    listens: Queue[Address | BaseException] = Queue()
    loaded = settings_.load(store=str(store.root))

    def run() -> None:
        try:
            serve(store, loaded, told, token=token, ready=listens.put)
        except BaseException as error:  # noqa: BLE001 - raised where serving was asked for
            listens.put(error)

    threading.Thread(target=run, name="llmwatch-prometheus", daemon=True).start()
    where = listens.get()
    if isinstance(where, BaseException):
        raise where
    whom = f"with the bearer token {token}" if token else "from this machine only"
    return f"{where.url}{PATH}, {whom}"


class _Endpoint:
    """The exporter as an ASGI application; counting is done in a thread, so that the loop goes on."""

    def __init__(self, exporter: Exporter, path: str | None = None) -> None:
        self._exporter, self._path = exporter, path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        import asyncio

        del receive
        if self._path is not None and scope["path"] not in {self._path, "/"}:
            await _answer(send, 404, b"the metrics are at /metrics\n", "text/plain; charset=utf-8")
            return
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        body, content_type = await asyncio.to_thread(self._exporter.exposition, accept)
        await _answer(send, 200, body, content_type)


class _WhenAsked(_Endpoint):
    """Beside other things: where the library is missing, only who asks for metrics is told."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            _format("")
        except MissingExtra as error:
            await _answer(send, 501, f"{error}\n".encode(), "text/plain; charset=utf-8")
            return
        await super().__call__(scope, receive, send)


async def _answer(send: Any, status: int, body: bytes, content_type: str) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _format(accept: str) -> tuple[Callable[[_Collected], bytes], str]:
    try:
        import prometheus_client
        from prometheus_client.openmetrics import exposition as openmetrics
    except ImportError as error:
        raise MissingExtra("prometheus", "the endpoint for Prometheus") from error
    if "application/openmetrics-text" in accept:
        return openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    return prometheus_client.generate_latest, prometheus_client.CONTENT_TYPE_LATEST
