"""Rows that were written in pieces (`start`, `end`, `patch`, `delete`): how SQL puts them together."""

from __future__ import annotations

from collections.abc import Iterable

from llmwatch.stream.columns import Column, quoted

_ORDER = "CASE t WHEN 'end' THEN 1 WHEN 'patch' THEN 2 ELSE 0 END, ts, writer, seq"
_KEPT_FROM_FIRST = {"ts", "writer", "seq"}


def merged(pieces: str, columns: Iterable[Column]) -> str:
    """One row an id out of `pieces` (whole rows have a NULL `t`); deleted ids are left out.

    The later value of a column wins. A piece without its row or start gives nothing.
    """
    columns = tuple(columns)
    # What a reader keeps in memory has no long texts: there, the type tells that there was an exception.
    texts = any(column.name == "exception" for column in columns)
    failed = "exception" if texts else "exception_type"
    fields = ", ".join(_merged_column(column, failed) for column in columns)
    return (
        f"SELECT {fields} FROM {pieces} GROUP BY id "
        "HAVING bool_or(t IS NULL OR t = 'start') AND NOT coalesce(bool_or(t = 'delete'), false)"
    )


def _merged_column(column: Column, failed: str) -> str:
    name = quoted(column.name)
    if column.name == "id":
        return name
    if column.name == "t":
        return "NULL::VARCHAR AS t"
    if column.name == "status":
        return (
            f"coalesce(last({name} ORDER BY {_ORDER}) FILTER ({name} IS NOT NULL AND {name} <> 'running'), "
            "CASE WHEN bool_or(t IS NULL) THEN NULL "
            f"WHEN count({failed}) > 0 THEN 'error' WHEN count(ended_at) > 0 THEN 'success' ELSE 'running' END) AS status"
        )
    if column.name == "latency_ms":
        return (
            f"coalesce(last({name} ORDER BY {_ORDER}) FILTER ({name} IS NOT NULL), "
            "(epoch_us(max(ended_at)) - epoch_us(min(started_at))) / 1000.0) AS latency_ms"
        )
    if column.name in _KEPT_FROM_FIRST:
        return f"first({name} ORDER BY {_ORDER}) FILTER (t IS DISTINCT FROM 'patch') AS {name}"
    return f"last({name} ORDER BY {_ORDER}) FILTER ({name} IS NOT NULL) AS {name}"


def settled(pieces: str) -> str:
    """The ids in `pieces` that wait for nothing: begun and ended, or whole."""
    return (
        f"SELECT id FROM {pieces} GROUP BY id "
        "HAVING bool_or(t IS NULL) OR (bool_or(t = 'start') AND bool_or(t = 'end'))"
    )


def whole_relation(rows: str, pieces: str, columns: Iterable[Column]) -> str:
    """Every row once: `rows` as they are, but those that `pieces` speak of put together with them."""
    columns = tuple(columns)
    names = ", ".join(quoted(column.name) for column in columns)
    both = (
        f"(SELECT {names} FROM {rows} SEMI JOIN {pieces} USING (id) "
        f"UNION ALL SELECT {names} FROM {pieces})"
    )
    return (
        f"SELECT {names} FROM {rows} ANTI JOIN {pieces} USING (id) "
        f"UNION ALL {merged(both, columns)}"
    )
