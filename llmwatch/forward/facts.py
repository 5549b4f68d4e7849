"""What the store knows of traces: asked when a sampler has to decide, and when one is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.backend.call_answers import op_name
from llmwatch.forward.sampler import Facts
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

_UNIT = 'coalesce("llmwatch trace_id", "llmwatch id")'
_IN = "IN (SELECT unnest(?::VARCHAR[]))"


def facts_of(reader: Reader, table: str, units: Sequence[str], by: str) -> dict[str, Facts]:
    """The facts of units by their id, with what was said about their rows so far."""
    column = _column(reader, table, by)
    root = '"llmwatch parent_id" IS NULL'
    sql = (
        f'SELECT {_UNIT} AS unit, bool_or("llmwatch status" = \'error\'), max("llmwatch latency_ms"), '
        f"coalesce(max(({column})::VARCHAR) FILTER ({root}), max(({column})::VARCHAR)) "
        f"FROM keyed.{quoted(table)} WHERE {_UNIT} {_IN} GROUP BY 1"
    )
    found = {}
    for unit, failed, latency, value in reader.execute(sql, [list(units)], [table]).rows:
        stratum = f"{table}/{op_name(value or '')}"
        found[unit] = Facts(unit, table, stratum, bool(failed), latency)
    _learn_what_was_said(reader, table, found)
    return found


def _column(reader: Reader, table: str, by: str) -> str:
    """The SQL of the column that tells strata apart; a table without it is one stratum."""
    columns = reader.columns(table)
    if any(column.key == by for column in columns):
        return quoted(by)
    if any(column.key is None and column.name == by for column in columns):
        return quoted(f"llmwatch {by}")
    return "''"


def _learn_what_was_said(reader: Reader, table: str, found: Mapping[str, Facts]) -> None:
    sql = (
        f'WITH theirs AS (SELECT "llmwatch id" AS row_id, {_UNIT} AS unit FROM keyed.{quoted(table)} WHERE {_UNIT} {_IN}) '
        "SELECT unit, kind, name, value FROM said.events JOIN theirs USING (row_id) "
        "WHERE kind IN ('score', 'feedback') ORDER BY ts, writer, seq"
    )
    for unit, kind, name, value in reader.execute(sql, [list(found)], [table, EVENTS]).rows:
        found[unit].learn(kind, name or "", json.loads(value or "null"))


def rows_of(reader: Reader, table: str, units: Sequence[str]) -> list[dict[str, Any]]:
    """The finished rows of units."""
    unit = "coalesce(trace_id, id)"
    sql = (
        f"SELECT * FROM main.{quoted(table)} WHERE {unit} {_IN} AND status IS DISTINCT FROM 'running' "
        "ORDER BY ts, writer, seq"
    )
    return reader.execute(sql, [list(units)], [table]).dicts()


def units_of(reader: Reader, row_ids: Sequence[str]) -> dict[str, str]:
    """The unit of each row that is in the store."""
    found: dict[str, str] = {}
    for table in reader.project.tables():
        sql = f"SELECT id, coalesce(trace_id, id) FROM main.{quoted(table)} WHERE id {_IN}"
        found.update(reader.execute(sql, [list(row_ids)], [table]).rows)
    return found
