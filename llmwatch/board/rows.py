"""One row whole, and the trace it belongs to, as JSON for the page."""

from __future__ import annotations

import math
from typing import Any

import orjson

from llmwatch.board.pages import said_about
from llmwatch.board.source import Source
from llmwatch.errors import NotFound
from llmwatch.stream.columns import CALL, quoted

MOST_SPANS = 5_000
LONGEST_FIELD = 400_000
"""Characters of one field that the page is given; the rest is fetched when asked for."""
_SPAN = (
    *(
        "id",
        "trace_id",
        "parent_id",
        "op_name",
        "display_name",
        "kind",
        "status",
        "model",
        "started_at",
        "ended_at",
    ),
    *(
        "latency_ms",
        "ttft_ms",
        "prompt_tokens",
        "completion_tokens",
        "cost_usd",
        "exception_type",
        "ts",
    ),
)
_JSON = frozenset(column.name for column in CALL if column.json) | {"data"}


def whole(source: Source, row_id: str, *, field: str | None = None) -> dict[str, Any]:
    """A row with everything: its columns, what was logged, feedback, scores and labels."""
    stored = _stored(source, row_id)
    if field is not None:
        return {"field": field, "text": stored.get(field)}
    fields = {name: _shown(name, value) for name, value in stored.items() if name != "embedding"}
    if (vector := stored.get("embedding")) is not None:
        fields["embedding"] = {"bytes": len(vector), "dimensions": len(vector) // 4}
    return {
        "id": row_id,
        "table": source.table,
        "fields": {name: value for name, value in fields.items() if value is not None},
        "said": said_about(source, [[row_id]]).get(row_id, []),
    }


def _stored(source: Source, row_id: str) -> dict[str, Any]:
    names = ["id", "ts", *(column.name for column in CALL), "data"]
    fields = ", ".join(
        f"epoch_us({n}) AS {n}" if n in ("ts", "started_at", "ended_at") else quoted(n)
        for n in names
    )
    found = source.execute(
        f"SELECT {fields} FROM main.{quoted(source.table)} WHERE id = ?", [row_id]
    )
    if not found.rows:
        raise NotFound(
            f"no row {row_id} in {source.id}: it was deleted or erased, or is in another table"
        )
    return found.dicts()[0]


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_FIELD:
        return {"_cut": value[:LONGEST_FIELD], "chars": len(value), "json": name in _JSON}
    return orjson.Fragment(value.encode()) if name in _JSON and _is_json(value) else value


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def trace(source: Source, trace_id: str) -> dict[str, Any]:
    """The spans of a trace, oldest first, without what they hold: a span's detail is asked for by itself."""
    fields = ", ".join(
        f"epoch_us({n}) AS {n}" if n in ("ts", "started_at", "ended_at") else n for n in _SPAN
    )
    found = source.execute(
        f"SELECT {fields}, left(exception, 300) AS exception FROM main.{quoted(source.table)} "
        f"WHERE trace_id = ? ORDER BY started_at, ts, seq LIMIT {MOST_SPANS + 1}",
        [trace_id],
    ).dicts()
    if not found:
        raise NotFound(f"no trace {trace_id} in {source.id}")
    spans = found[:MOST_SPANS]
    return {
        "trace_id": trace_id,
        "spans": spans,
        "more": len(found) > MOST_SPANS,
        "said": said_about(source, [[span["id"]] for span in spans[:500]]),
    }


def find(source_of: Any, tables: list[str], row_id: str) -> tuple[str, str | None]:
    """The table and the trace of a row that is known by its id alone."""
    for table in tables:
        source = source_of(table)
        found = source.execute(f"SELECT trace_id FROM main.{quoted(table)} WHERE id = ?", [row_id])
        if found.rows:
            return table, found.rows[0][0]
    raise NotFound(f"no row {row_id} in any table of this project")


def similar(source: Source, row_id: str, limit: int = 8) -> list[dict[str, Any]]:
    """The rows whose embeddings are nearest to the row's, by cosine; none when it has no embedding."""
    import numpy as np

    stored = _stored(source, row_id)
    if stored.get("embedding") is None:
        return []
    own = np.frombuffer(stored["embedding"], dtype="<f4")
    rows = source.execute(
        f"SELECT id, embedding, left(inputs, 240), latency_ms, status FROM main.{quoted(source.table)} "
        "WHERE embedding IS NOT NULL AND octet_length(embedding) = ? AND id <> ? ORDER BY ts DESC LIMIT 20000",
        [len(stored["embedding"]), row_id],
    ).rows
    if not rows:
        return []
    vectors = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4").reshape(len(rows), -1)
    lengths = np.linalg.norm(vectors, axis=1) * (np.linalg.norm(own) or 1)
    near = (vectors @ own) / np.where(lengths == 0, 1, lengths)
    best = np.argsort(-near)[:limit]
    return [
        {
            "id": rows[n][0],
            "near": round(float(near[n]), 4),
            "inputs": rows[n][2],
            "latency_ms": rows[n][3],
        }
        for n in best
    ]
