"""Reading what is only at W&B: objects, tables, files and calls that this store does not hold, where rows are sent there."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch import destination
from llmwatch.backend.server import LocalTraceServer
from llmwatch.forward.connection import Connection
from llmwatch.forward.trouble import Later, meaning

if TYPE_CHECKING:
    from llmwatch.destination import Wanted

Req = Mapping[str, Any]
ANSWER_S = 10.0
REST_S = 30.0
"""How long W&B is left alone after it could not be asked."""
MOST_KEPT = 256
_KEPT = frozenset({"obj_read", "file_content_read", "table_query", "refs_read_batch"})


class ReadThroughServer(LocalTraceServer):
    """A `LocalTraceServer` that asks W&B for what is not here, for projects that are sent there.

    Only a read that finds nothing leaves the machine, with a time limit; `init` makes no such read. What cannot be
    asked is as missing as it was.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections: dict[str, tuple[Wanted, Connection]] = {}
        self._pid = os.getpid()
        self._not_before = 0.0
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._kept_lock = threading.Lock()

    def obj_read(self, req: Req) -> Any:
        return self._here_or_there("obj_read", req)

    def table_query(self, req: Req) -> Any:
        return self._here_or_there("table_query", req)

    def table_query_stream(self, req: Req) -> Iterator[Any]:
        yield from self.table_query(req).rows

    def table_query_stats(self, req: Req) -> Any:
        return self._here_or_there("table_query_stats", req)

    def file_content_read(self, req: Req) -> Any:
        return self._here_or_there("file_content_read", req)

    def call_read(self, req: Req) -> Any:
        found = super().call_read(req)
        if found.call is not None:
            return found
        there = self._there("call_read", req)
        return found if there is None else there

    def calls_query(self, req: Req) -> Any:
        from weave.trace_server_bindings.models import CallsQueryRes

        return CallsQueryRes(calls=list(self.calls_query_stream(req)))

    def calls_query_stream(self, req: Req) -> Iterator[Any]:
        """Calls that are asked for by id are looked for there as well; a search is a search of this store."""
        asked = dict(req.get("filter") or {})
        wanted = list(asked.pop("call_ids", None) or [])
        found: set[str] = set()
        for call in super().calls_query_stream(req):
            found.add(call.id)
            yield call
        missing = [call_id for call_id in wanted if call_id not in found]
        if missing and not any(asked.values()) and not req.get("query") and not req.get("offset"):
            there = self._there("calls_query", {**req, "filter": {"call_ids": missing}})
            yield from there.calls if there is not None else ()

    def refs_read_batch(self, req: Req) -> Any:
        from weave.trace.errors import RefObjectsNotFoundError

        try:
            return super().refs_read_batch(req)
        except RefObjectsNotFoundError as missing:
            vals = [self._ref(uri, missing) for uri in req["refs"]]
            from weave.vendor.weave_server_sdk.types import RefReadBatchResponse

            return RefReadBatchResponse(vals=vals)

    def _ref(self, uri: str, missing: Exception) -> Any:
        from weave.trace.errors import RefObjectsNotFoundError

        try:
            return super().refs_read_batch({"refs": [uri]}).vals[0]
        except RefObjectsNotFoundError:
            entity, name = uri.removeprefix("weave:///").split("/")[:2]
            there = self._there(
                "refs_read_batch", {"project_id": f"{entity}/{name}", "refs": [uri]}
            )
            if there is None:
                raise missing from None
            return there.vals[0]

    # --- asking W&B -------------------------------------------------------------------------

    def _here_or_there(self, method: str, req: Req) -> Any:
        from weave.trace.errors import NotFoundError

        try:
            return getattr(super(), method)(req)
        except NotFoundError:
            there = self._there(method, req)
            if there is None:
                raise
            return there

    def _there(self, method: str, req: Req) -> Any:
        """What W&B answers; None when it has nothing either, is not meant to be asked, or cannot be."""
        key = f"{method} {req!r}"
        if (known := self._kept.get(key)) is not None:
            return known
        connection = self._connection(req["project_id"])
        if connection is None or time.monotonic() < self._not_before:
            return None
        try:
            found = connection.ask(method, _translated(req, connection))
        except Exception as error:  # noqa: BLE001 - each library below raises its own; `meaning` sorts them
            why = meaning(error)
            if isinstance(why, Later) and why.status != 404:
                self._not_before = time.monotonic() + REST_S
            return None
        self._keep(method, key, found)
        return found

    def _connection(self, project_id: str) -> Connection | None:
        """The way to W&B for a project: one that is sent there, or one of W&B's own entities beside it."""
        entity, _, name = project_id.partition("/")
        here = self._projects.store.project(entity, name)
        wanted = destination.read(here)
        if not wanted.on and entity != destination.LOCAL_ENTITY:
            wanted = self._any_wanted(entity, name)
        if not wanted.on or wanted.paused or destination.credentials(wanted.base_url) is None:
            return None
        if self._pid != os.getpid():  # a forked child must not share its parent's sockets
            self._connections, self._pid = {}, os.getpid()
        known = self._connections.get(project_id)
        if known is None or known[0] != wanted:
            known = (wanted, Connection(wanted, answer_s=ANSWER_S))
            self._connections[project_id] = known
        return known[1]

    def _any_wanted(self, entity: str, name: str) -> Wanted:
        """A ref may lead to another project of W&B's: it is asked at the same place as those that are sent."""
        from dataclasses import replace

        for project in self._projects.store.projects():
            wanted = destination.read(project)
            if wanted.on:
                return replace(wanted, entity=entity, project=name)
        return destination.Wanted()

    def _keep(self, method: str, key: str, found: Any) -> None:
        if method in _KEPT:
            with self._kept_lock:
                self._kept[key] = found
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)


def _translated(req: Req, connection: Connection) -> dict[str, Any]:
    """The request with this store's name of the project replaced by W&B's."""
    here, there = req["project_id"], connection.existing_project_id
    asked = {**req, "project_id": there}
    if "refs" in req:
        asked = {
            "refs": [
                uri.replace(f"weave:///{here}/", f"weave:///{there}/", 1) for uri in req["refs"]
            ]
        }
    return asked
