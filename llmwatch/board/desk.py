"""What the server has open: one reader a project, the sources over it, and threads that ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from llmwatch.board.pages import Orders
from llmwatch.board.source import Source
from llmwatch.errors import NotFound
from llmwatch.settings import Settings
from llmwatch.store import Store, is_internal
from llmwatch.stream.query import Reader

T = TypeVar("T")
THREADS = 12
AT_ONCE = 2
"""Questions of one request that run side by side: a page with many panels leaves room for another."""


class Desk:
    """Opened once for a server; every request asks here."""

    def __init__(
        self, store: Store, settings: Settings, *, read_only: bool = False, home: str | None = None
    ) -> None:
        self.store, self.settings, self.read_only = (
            store,
            replace(settings, store=str(store.root)),
            read_only,
        )
        self.home = home
        self.orders = Orders()
        self._lock = threading.Lock()
        self._holding = threading.Lock()
        self._readers: dict[str, Reader] = {}
        self._sources: dict[tuple[str, str], Source] = {}
        self._trace_server: Any = None
        self._threads = ThreadPoolExecutor(THREADS, "llmwatch-board")

    def source(self, entity: str, project: str, table: str) -> Source:
        """The table, which has to be there: asking for a mistyped one must not make it."""
        where = self.store.project(entity, project)
        if is_internal(table) or table not in where.tables():
            known = ", ".join(where.tables()) or "none"
            raise NotFound(f"there is no table {table!r} in {where.id}; there are: {known}")
        with self._lock:
            reader = self._readers.get(where.id)
            if reader is None:
                reader = self._readers[where.id] = Reader(where, self.settings, keep=True)
            key = (where.id, table)
            if key not in self._sources:
                self._sources[key] = Source(where, table, reader)
            return self._sources[key]

    async def run(self, work: Callable[..., T], *given: Any, reader: Reader | None = None) -> T:
        """Work on a thread; when who asked goes away, its query is ended. Without a reader it is done in any case."""
        doing = _Work(reader)
        future = asyncio.get_running_loop().run_in_executor(self._threads, doing.do, work, *given)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_ignore)
            doing.leave()
            raise

    def warm_up(self) -> None:
        """Begin to keep the table that is shown first, while the browser starts."""
        if self.home is None:
            return
        entity, project, table = self.home.partition("?")[0].strip("/").split("/")
        self.hold(self.source(entity, project, table))

    def hold(self, source: Source) -> None:
        """Keep what has reached the lake since; one at a time, beside what is asked."""
        if self._holding.acquire(blocking=False):
            self._threads.submit(self._hold, source)

    def _hold(self, source: Source) -> None:
        try:
            source.reader.hold(source.table)
        finally:
            self._holding.release()

    def tables(self) -> list[dict[str, Any]]:
        """Every table of the store, by project."""
        return [
            {"project": project.id, "table": table}
            for project in self.store.projects()
            for table in project.tables()
        ]

    def trace_server(self) -> Any:
        """Weave's trace server over the store, for what is an object of Weave's; it takes a second to import."""
        from llmwatch.backend.server import LocalTraceServer

        with self._lock:
            if self._trace_server is None:
                self._trace_server = LocalTraceServer(self.store, self.settings)
            return self._trace_server

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for source in self._sources.values():
            source.searches.close()
        for reader in self._readers.values():
            reader.close()


class _Work:
    """Work on a thread that may be left: not begun then, or interrupted. Only this work, never the thread's next.

    The future says nothing about it: asyncio's can always be cancelled, also while the thread works on.
    """

    def __init__(self, reader: Reader | None) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._left = False

    def do(self, work: Callable[..., T], *given: Any) -> T:
        thread = threading.get_ident()
        with self._lock:
            if self._left and self._reader is not None:
                raise CancelledError
            self._thread = thread
        try:
            return work(*given)
        finally:
            with self._lock:
                self._thread = None
                if self._reader is not None:
                    self._reader.go_on(thread)

    def leave(self) -> None:
        with self._lock:
            self._left = True
            if self._thread is not None and self._reader is not None:
                self._reader.interrupt(self._thread)


def _ignore(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
