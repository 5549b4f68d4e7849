"""Calls: their halves written as they come, read back whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.backend import call_answers, call_columns, wire
from llmwatch.backend.call_query import TABLE, CallQuery
from llmwatch.backend.seen import Seen
from llmwatch.capture import bounds
from llmwatch.errors import StoreError
from llmwatch.store import Project
from llmwatch.stream import deletions, spool
from llmwatch.tracing.redact import Redactor

if TYPE_CHECKING:
    from weave.trace_server_bindings.models import CallsQueryRes
    from weave.vendor.weave_server_sdk.types import (
        CallDeleteResponse,
        CallQueryStatsResponse,
        CallReadResponse,
        CallStartResponse,
    )
    from weave.vendor.weave_server_sdk.types.call_read_response import Call

    from llmwatch.settings import Settings
    from llmwatch.stream.query import Reader

BATCH = 1000

Decorate = Callable[[Mapping[str, Any], list[dict[str, Any]]], None]
"""Adds to a batch of calls what a request includes: costs, feedback, sizes."""


class Calls:
    """The calls of a project."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        reader: Callable[[], Reader],
        read_ref: Callable[[str], Any],
        decorate: Iterable[Decorate] = (),
    ) -> None:
        self._project, self._settings, self._reader = project, settings, reader
        self._read_ref = read_ref
        self._redactor = Redactor(settings.redact)
        self._seen = Seen(self._stored)
        self._decorate = (*decorate, self._total_sizes)

    # --- writing ------------------------------------------------------------------------

    def start(self, start: Mapping[str, Any]) -> CallStartResponse:
        from weave.vendor.weave_server_sdk.types import CallStartResponse

        start = {**start, "id": start.get("id") or clock.new_id()}
        columns = call_columns.start_columns(start)
        self._write("start", columns)
        return CallStartResponse(id=columns["id"], trace_id=columns["trace_id"])

    def end(self, end: Mapping[str, Any]) -> None:
        self._write("end", call_columns.end_columns(end))

    def complete(self, batch: Iterable[Mapping[str, Any]]) -> None:
        """A call that comes whole is one line; one that came before is put together with what there is."""
        batch = list(batch)
        fresh = self._seen.fresh(call["id"] for call in batch)
        for call in batch:
            start, end = call_columns.start_columns(call), call_columns.end_columns(call)
            if call["id"] in fresh:
                fresh.discard(call["id"])  # twice in one batch is twice
                self._write("row", {**start, **end})
            else:
                self._write("start", start)
                self._write("end", end)

    def update(self, req: Mapping[str, Any]) -> None:
        if req.get("display_name") is not None:
            self._write("patch", {"id": req["call_id"], "display_name": req["display_name"]})

    def delete(self, req: Mapping[str, Any]) -> CallDeleteResponse:
        """Delete calls with everything below them."""
        from weave.vendor.weave_server_sdk.types import CallDeleteResponse

        doomed = self._with_descendants(list(req["call_ids"]))
        for call_id in doomed:
            self._write("delete", {"id": call_id})
        deletions.note(self._project, doomed)
        return CallDeleteResponse(num_deleted=len(doomed))

    def _write(self, t: str, columns: Mapping[str, Any]) -> None:
        body = self._redactor.json(wire.dumps(columns))
        if len(body) > self._settings.field_limit_kb << 10:
            body = self._bounded(body)
        if not spool.writer(self._project, TABLE, self._settings).append(t, body):
            raise StoreError(
                f"the {t} of call {columns['id']} could not be recorded in {self._project.id}; the log says why"
            )

    def _bounded(self, body: bytes) -> bytes:
        """Each value cut to its limit, with a marker that says how much."""
        limit, total = self._settings.field_limit_kb << 10, self._settings.row_limit_kb << 10
        return bounds.fit_fields(body, limit, total)

    def _with_descendants(self, call_ids: list[str]) -> list[str]:
        sql = (
            "WITH RECURSIVE below AS ("
            f'SELECT id FROM "{TABLE}" WHERE list_contains(?::VARCHAR[], id) '
            f'UNION SELECT child.id FROM "{TABLE}" AS child JOIN below ON child.parent_id = below.id) '
            "SELECT id FROM below"
        )
        return [row[0] for row in self._reader().execute(sql, [call_ids]).rows]

    # --- reading ------------------------------------------------------------------------

    def read(self, req: Mapping[str, Any]) -> CallReadResponse:
        from weave.vendor.weave_server_sdk.types import CallReadResponse

        options = {key: value for key, value in req.items() if key.startswith("include_")}
        return CallReadResponse(call=self.find(req["id"], **options))

    def find(self, call_id: str, **options: Any) -> Call | None:
        req = {"project_id": self._project.id, "filter": {"call_ids": [call_id]}, **options}
        return next(self.query_stream(req), None)

    def query(self, req: Mapping[str, Any]) -> CallsQueryRes:
        from weave.trace_server_bindings.models import CallsQueryRes

        return CallsQueryRes(calls=list(self.query_stream(req)))

    def query_stream(self, req: Mapping[str, Any]) -> Iterator[Call]:
        """The calls asked for; nothing is locked between one and the next."""
        return map(call_answers.as_call, self.values(req))

    def values(self, req: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The calls asked for, each as its fields."""
        query, shape = self._query(req), call_answers.Shape(req)
        found = query.select(shape.columns)
        rows = self._reader().stream(found.text, found.params, query.tables)
        while batch := [shape.values(self._project.id, row) for row in islice(rows, BATCH)]:
            for decorate in self._decorate:
                decorate(req, batch)
            for values in batch:
                self._expand(req, values)
                yield call_answers.complete(values)

    def query_stats(self, req: Mapping[str, Any]) -> CallQueryStatsResponse:
        from weave.vendor.weave_server_sdk.types import CallQueryStatsResponse

        query = self._query(req)
        found = query.count()
        count = self._reader().execute(found.text, found.params, query.tables).rows[0][0]
        size = self._size(query) if req.get("include_total_storage_size") else None
        return CallQueryStatsResponse(count=count, total_storage_size_bytes=size)

    def _stored(self, call_ids: list[str]) -> list[str]:
        sql = f'SELECT id FROM "{TABLE}" WHERE list_contains(?::VARCHAR[], id)'
        return [row[0] for row in self._reader().execute(sql, [call_ids]).rows]

    def traces_of(self, call_ids: list[str]) -> list[str]:
        """The traces that some calls are in."""
        sql = f'SELECT DISTINCT trace_id FROM "{TABLE}" WHERE list_contains(?::VARCHAR[], id)'
        return [row[0] for row in self._reader().execute(sql, [call_ids]).rows if row[0]]

    def total_bytes(self) -> int:
        return self._size(CallQuery({"project_id": self._project.id}))

    def _query(self, req: Mapping[str, Any]) -> CallQuery:
        query = CallQuery(req)
        return CallQuery(req, self._resolved(req)) if query.follows_refs else query

    def _resolved(self, req: Mapping[str, Any]) -> dict[str, Any]:
        """The values of every ref at the expanded columns: a shallow one may lead to a deeper one."""
        resolved: dict[str, Any] = {}
        for column in sorted(req["expand_columns"], key=lambda each: each.count(".")):
            refs = CallQuery(req, resolved).refs_at(column)
            for (ref,) in self._reader().execute(refs.text, refs.params).rows:
                if ref not in resolved and (value := self._read_ref(ref)) is not None:
                    resolved[ref] = value
        return resolved

    def _expand(self, req: Mapping[str, Any], values: dict[str, Any]) -> None:
        if req.get("expand_columns") and req.get("return_expanded_column_values", True):
            call_answers.expand(values, list(req["expand_columns"]), self._read_ref)

    def _size(self, query: CallQuery) -> int:
        where = query.where()
        sql = f'SELECT coalesce(sum({_SIZE}), 0)::BIGINT FROM "{TABLE}" c WHERE {where.text}'
        return int(self._reader().execute(sql, where.params, query.tables).rows[0][0])

    def _total_sizes(self, req: Mapping[str, Any], batch: list[dict[str, Any]]) -> None:
        """The size of its whole trace, on each root."""
        if not req.get("include_total_storage_size"):
            return
        roots = [values for values in batch if values.get("parent_id") is None]
        sql = (
            f'SELECT trace_id, sum({_SIZE})::BIGINT FROM "{TABLE}" c '
            "WHERE list_contains(?::VARCHAR[], trace_id) GROUP BY trace_id"
        )
        sizes = dict(self._reader().execute(sql, [[r["trace_id"] for r in roots]]).rows)
        for values in roots:
            values["total_storage_size_bytes"] = sizes.get(values["trace_id"])


_SIZE = " + ".join(f"coalesce(strlen(c.{name}), 0)" for name in call_columns.JSON)
