"""Rows found by a key of the person's own: a column, or a key of what was logged, added, given or returned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmwatch.errors import NotFound
from llmwatch.stream.columns import CALL, json_path, quoted
from llmwatch.stream.follow import RecordedReader

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

_IN_JSON = ("data", "attributes", "inputs", "output")
"""Where a key may be when it is no column, in this order."""


@dataclass(frozen=True)
class Match:
    """The rows of one key: the root calls among them when there are any (a context gives its key to children too)."""

    rows: tuple[str, ...]

    @property
    def one(self) -> str | None:
        return self.rows[0] if len(self.rows) == 1 else None


@contextmanager
def reading(project: Project) -> Iterator[Reader]:
    reader = RecordedReader(project)
    try:
        yield reader
    finally:
        reader.close()


def one_row(project: Project, table: str, key: str, value: object) -> str:
    """The id of the row whose key has this value; `NotFound` when there is none, or more than one."""
    with reading(project) as reader:
        found = matches(reader, table, key, [str(value)])
    match = found.get(str(value))
    if match is None:
        raise NotFound(f"no row of {project.id}/{table} has {key} = {value!r}")
    if match.one is None:
        raise NotFound(
            f"{len(match.rows)} rows of {project.id}/{table} have {key} = {value!r}: label them by their ids, "
            f"{', '.join(match.rows[:3])}, ..."
        )
    return match.one


def matches(reader: Reader, table: str, key: str, values: Sequence[str]) -> dict[str, Match]:
    """For each value that some row has, its rows. One query, however many values."""
    found = reader.execute(
        f"WITH keyed_rows AS (SELECT id, parent_id IS NULL AS root, {_expression(reader, table, key)} AS k "
        f"FROM main.{quoted(table)}) "
        "SELECT k, list(id ORDER BY id) FILTER (root), list(id ORDER BY id) "
        "FROM keyed_rows SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS k) USING (k) GROUP BY k",
        [list(dict.fromkeys(values))],
        [table],
    )
    return {k: Match(tuple(roots or every)) for k, roots, every in found.rows}


def _expression(reader: Reader, table: str, key: str) -> str:
    """The key of a row as text, in SQL."""
    for column in reader.columns(table):
        if column.key == key:
            return f"{quoted(column.name)}::VARCHAR"
    if key == "id" or any(column.name == key for column in CALL):
        return f"{quoted(key)}::VARCHAR"
    path = json_path(key)
    return f"coalesce({', '.join(f'json_extract_string({place}, {path})' for place in _IN_JSON)})"
