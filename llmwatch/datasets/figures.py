"""How long the calls of a rerun took and what they cost, then and now, where that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.stream.columns import quoted
from llmwatch.stream.query import Reader

if TYPE_CHECKING:
    from llmwatch.datasets.report import RerunRow
    from llmwatch.store import Project

_AMONG = "IN (SELECT unnest(?::VARCHAR[]))"


def recorded(project: Project, rows: Sequence[RerunRow]) -> None:
    """Fill in what the rows took and cost when they were recorded; rows that are gone stay unknown."""
    by_id = {row.row: row for row in rows if row.row is not None}
    if not by_id:
        return
    reader = Reader(project)
    try:
        for table in project.tables():
            found = reader.execute(
                f"SELECT id, trace_id, parent_id, latency_ms, cost_usd, exception FROM main.{quoted(table)} WHERE id {_AMONG}",
                [list(by_id)],
                (table,),
            ).rows
            spent = _spent(
                reader, table, [trace for _, trace, parent, *_ in found if parent is None]
            )
            for row_id, trace, parent, latency, cost, error in found:
                by_id[row_id].before_ms, by_id[row_id].before_error = latency, error
                by_id[row_id].before_usd = cost if parent else spent.get(trace, cost)
    finally:
        reader.close()


def _spent(reader: Reader, table: str, traces: Sequence[Any]) -> dict[str, float]:
    """What whole traces cost, as far as any of it is known."""
    sql = (
        f"SELECT trace_id, sum(cost_usd) FROM main.{quoted(table)} "
        f"WHERE trace_id {_AMONG} AND cost_usd IS NOT NULL GROUP BY 1"
    )
    known = [trace for trace in traces if trace is not None]
    return dict(reader.execute(sql, [known], (table,)).rows) if known else {}


def of_calls(project: Project, table: str, rows: Sequence[RerunRow]) -> None:
    """Fill in what the new calls cost. The worker writes that down a little later; it is worked out here from the same rows."""
    by_id = {row.id: row for row in rows if row.id is not None}
    if not by_id or table not in project.tables():
        return
    from llmwatch.scorers import TokenCost, protocol
    from llmwatch.scoring.spec import named

    spec = named("token_cost")
    reader = Reader(project)
    try:
        found = reader.execute(
            f"SELECT * FROM main.{quoted(table)} WHERE trace_id IN "
            f"(SELECT trace_id FROM main.{quoted(table)} WHERE id {_AMONG})",
            [list(by_id)],
            (table,),
        ).dicts()
        wanted = [protocol.parsed(row) for row in found if spec.wants(row, table)]
        costs = TokenCost().in_project(reader).score_rows(wanted)
    finally:
        reader.close()
    owner = {row["trace_id"]: row["id"] for row in found if row["id"] in by_id}
    for call, cost in zip(wanted, costs, strict=True):
        if cost is not None and cost["cost_usd"] is not None:
            row = by_id[owner[call["trace_id"]]]
            row.after_usd = (row.after_usd or 0.0) + cost["cost_usd"]
