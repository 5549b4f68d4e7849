"""Weave tables (the rows of a Dataset): one content-addressed file a table, rows in order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llmwatch.backend import digests, wire
from llmwatch.backend.contents import Contents
from llmwatch.store import Project

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import (
        TableCreateFromDigestsResponse,
        TableCreateResponse,
        TableQueryResponse,
        TableQueryStatsBatchResponse,
        TableQueryStatsResponse,
        TableUpdateResponse,
    )
    from weave.vendor.weave_server_sdk.types.table_query_response import Row

KEPT_IN_MEMORY = 8
Numbered = tuple[int, str, bytes]
"""A row with its place in the table."""


@dataclass(frozen=True)
class Table:
    """A table's rows in order: digests, and values as JSON.

    They are parsed for each reader: Weave's client takes apart what it is given.
    """

    rows: list[tuple[str, bytes]]

    @cached_property
    def by_digest(self) -> dict[str, bytes]:
        return dict(self.rows)

    def values(self) -> dict[str, Any]:
        """The rows' values by digest."""
        return {digest: wire.loads(row) for digest, row in self.rows}


class Tables:
    """The tables of a project, by digest."""

    def __init__(self, project: Project) -> None:
        self._contents = Contents(project.objects / "tables")
        self._read: OrderedDict[str, Table] = OrderedDict()
        # Which table a row was written with: a large table comes in chunks, then as their digests.
        self._written_with: dict[str, str] = {}

    def create(self, req: Mapping[str, Any]) -> TableCreateResponse:
        from weave.vendor.weave_server_sdk.types import TableCreateResponse

        rows = [(digests.of_row(row), wire.dumps(row, exact=True)) for row in req["table"]["rows"]]
        digest = self._save(rows, req["table"].get("expected_digest"))
        return TableCreateResponse(digest=digest, row_digests=[row[0] for row in rows])

    def create_from_digests(self, req: Mapping[str, Any]) -> TableCreateFromDigestsResponse:
        from weave.vendor.weave_server_sdk.types import TableCreateFromDigestsResponse

        rows = self._find_rows(list(req["row_digests"]))
        return TableCreateFromDigestsResponse(digest=self._save(rows, req.get("expected_digest")))

    def update(self, req: Mapping[str, Any]) -> TableUpdateResponse:
        from weave.vendor.weave_server_sdk.types import TableUpdateResponse

        rows = list(self.read(req["base_digest"]).rows)
        changed = [_change(rows, update) for update in req["updates"]]
        return TableUpdateResponse(digest=self._save(rows, None), updated_row_digests=changed)

    def query(self, req: Mapping[str, Any]) -> TableQueryResponse:
        from weave.vendor.weave_server_sdk.types import TableQueryResponse

        return TableQueryResponse(rows=list(self.query_stream(req)))

    def query_stream(self, req: Mapping[str, Any]) -> Iterator[Row]:
        from weave.vendor.weave_server_sdk.types.table_query_response import Row

        rows: list[Numbered] = [(n, *row) for n, row in enumerate(self.read(req["digest"]).rows)]
        wanted = (req.get("filter") or {}).get("row_digests")
        if wanted is not None:
            rows = [row for row in rows if row[1] in set(wanted)]
        for order in reversed(list(req.get("sort_by") or [])):
            _sort(rows, order)
        start = req.get("offset") or 0
        end = None if req.get("limit") is None else start + req["limit"]
        for index, digest, val in rows[start:end]:
            yield Row(digest=digest, val=wire.loads(val), original_index=index)

    def query_stats(self, req: Mapping[str, Any]) -> TableQueryStatsResponse:
        from weave.vendor.weave_server_sdk.types import TableQueryStatsResponse

        return TableQueryStatsResponse(count=len(self.read(req["digest"]).rows))

    def query_stats_batch(self, req: Mapping[str, Any]) -> TableQueryStatsBatchResponse:
        from weave.vendor.weave_server_sdk.types import TableQueryStatsBatchResponse

        found = [
            {
                "digest": digest,
                "count": len(self.read(digest).rows),
                "storage_size_bytes": len(self._contents.get(digest) or b""),
            }
            for digest in req.get("digests") or []
            if self._contents.has(digest)
        ]
        return TableQueryStatsBatchResponse(tables=found)

    def read(self, digest: str) -> Table:
        """The table; tables read before are kept, since contents never change."""
        from weave.trace.errors import NotFoundError

        found = self._read.get(digest)
        if found is None:
            content = self._contents.get(digest)
            if content is None:
                raise NotFoundError(f"table {digest} is not in this project")
            found = Table(
                [
                    (line[: digests.LENGTH].decode(), line[digests.LENGTH + 1 :])
                    for line in content.split(b"\n")
                    if line
                ]
            )
            self._keep(digest, found)
        return found

    def has(self, digest: str) -> bool:
        return self._contents.has(digest)

    def total_bytes(self) -> int:
        return self._contents.total_bytes()

    def _save(self, rows: list[tuple[str, bytes]], expected: str | None) -> str:
        digest = digests.check(digests.of_table([row[0] for row in rows]), expected, "table")
        self._contents.put(digest, b"\n".join(b"%b %b" % (row[0].encode(), row[1]) for row in rows))
        self._keep(digest, Table(rows))
        self._written_with.update((row[0], digest) for row in rows)
        return digest

    def _keep(self, digest: str, table: Table) -> None:
        self._read[digest] = table
        while len(self._read) > KEPT_IN_MEMORY:
            self._read.popitem(last=False)

    def _find_rows(self, wanted: list[str]) -> list[tuple[str, bytes]]:
        from weave.trace.errors import NotFoundError

        found: dict[str, bytes] = {}
        for table in self._likely_tables(wanted):
            if all(digest in found for digest in wanted):
                break
            found.update(self.read(table).by_digest)
        missing = [digest for digest in wanted if digest not in found]
        if missing:
            raise NotFoundError(f"{len(missing)} rows of the table were never sent: {missing[:3]}")
        return [(digest, found[digest]) for digest in wanted]

    def _likely_tables(self, wanted: Iterable[str]) -> Iterator[str]:
        known = {self._written_with[row] for row in wanted if row in self._written_with}
        yield from known
        yield from (digest for digest in self._contents.digests() if digest not in known)


def _change(rows: list[tuple[str, bytes]], update: dict[str, Any]) -> str:
    """Apply one update to `rows`; the digest of the row it is about."""
    from weave.trace.errors import InvalidRequest

    if "append" in update:
        index, row = len(rows), update["append"]["row"]
    elif "insert" in update:
        index, row = update["insert"]["index"], update["insert"]["row"]
    elif "pop" in update and 0 <= update["pop"]["index"] < len(rows):
        return rows.pop(update["pop"]["index"])[0]
    else:
        raise InvalidRequest(f"{update!r} is not an append, insert or pop within the table")
    digest = digests.of_row(row)
    rows.insert(index, (digest, wire.dumps(row, exact=True)))
    return digest


def _sort(rows: list[Numbered], order: dict[str, str]) -> None:
    """Present before missing in both directions, numbers before text."""
    path = order["field"].split(".")
    values = {row[0]: _value_at(wire.loads(row[2]), path) for row in rows}
    descending = order["direction"].lower() == "desc"
    numbers = [r for r in rows if isinstance(values[r[0]], (int, float))]
    missing = [r for r in rows if values[r[0]] is None]
    texts = [
        r for r in rows if not isinstance(values[r[0]], (int, float)) and values[r[0]] is not None
    ]
    numbers.sort(key=lambda row: values[row[0]], reverse=descending)
    texts.sort(key=lambda row: str(values[row[0]]), reverse=descending)
    rows[:] = numbers + texts + missing


def _value_at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value
