"""`datasets.add`: rows of a table, chosen by id or by what they are like, into a dataset of their project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch import settings
from llmwatch.datasets import stored
from llmwatch.datasets.records import EXPECTED_LABEL
from llmwatch.errors import NotFound
from llmwatch.names import parse_table
from llmwatch.store import open_store

if TYPE_CHECKING:
    from llmwatch.stream.rows import When
    from llmwatch.stream.table import StreamTable

_ROOTS = '"llmwatch parent_id" IS NULL'


@dataclass(frozen=True)
class Added:
    """What adding rows did: a new version of the dataset."""

    name: str
    rows: int
    """In the dataset now."""
    added: int
    """That were not in it before."""
    corrected: int
    """Of the rows that were given, those with something expected."""
    left_out: int = 0
    """Older rows that fit too: at most 1,000 are added at once."""


def add(
    name: str,
    *,
    table: str = "traces",
    rows: Sequence[str] | None = None,
    where: str | None = None,
    since: When | None = None,
    until: When | None = None,
    label: str = EXPECTED_LABEL,
    every_call: bool = False,
    store: str | Path | None = None,
) -> Added:
    """Add rows to a dataset: `datasets.add("golden", table="bot/traces", where="latency_ms > 2000")`.

    rows: ids. Without them, the newest 1,000 at most that fit `where` (SQL over the table's columns), `since` and
    `until`; of traces their first calls, unless `every_call`.

    A record has the inputs by name, the `output`, what was `expected` and its `row`'s id. Expected is the newest
    correction, else the label called `label`. A row that is in the dataset already is replaced.
    """
    from llmwatch.backend.server import LocalTraceServer
    from llmwatch.stream.table import StreamTable

    where_ = parse_table(table)
    opened = open_store(store)
    project = opened.project(where_.entity, where_.project)
    if where_.table not in project.tables():
        raise NotFound(f"there is no table {where_} in {opened.root}")
    stored.checked(name)
    with StreamTable(str(where_), store=opened.root) as there:
        if rows is None:
            ids, left_out = _fitting(there, where, since, until, every_call=every_call)
        else:
            ids, left_out = _named(there, rows), 0
        server = LocalTraceServer(opened, settings.current())
        told = stored.add_rows(server, there.reader, where_.table, name, ids, label)
    return Added(**told, left_out=left_out)


def _fitting(
    table: StreamTable,
    where: str | None,
    since: When | None,
    until: When | None,
    *,
    every_call: bool,
) -> tuple[list[str], int]:
    """The newest rows that fit, and how many older ones do."""
    found = table.rows().sort("-ts")
    found = found if every_call else found.filter(_ROOTS)
    found = found if since is None else found.since(since)
    found = found if until is None else found.until(until)
    found = found if where is None else found.filter(where)
    ids = found.ids()
    if not ids:
        raise NotFound(f"no row of {table.name} is like that, so the dataset stays as it is")
    return ids[: stored.MOST], max(0, len(ids) - stored.MOST)


def _named(table: StreamTable, rows: Sequence[str]) -> list[str]:
    marks = ", ".join("?" * len(rows))
    there = set(table.rows().filter(f'"llmwatch id" IN ({marks})', *rows).ids()) if rows else set()
    if missing := [row for row in rows if row not in there]:
        raise NotFound(f"{table.name} has no row {', '.join(missing[:5])}")
    if len(rows) > stored.MOST:
        raise NotFound(
            f"{len(rows):,} rows are more than the {stored.MOST:,} that are added at once"
        )
    return list(rows)
