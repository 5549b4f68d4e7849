"""Rows of a table as records of a `weave.Dataset`: what went in, what came out, and what should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

OWN = frozenset({"output", "expected", "row", "labels"})
"""Keys of a record that are ours; an input of such a name has an underscore after it."""
EXPECTED_LABEL = "expected"
"""The label that stands for a correction, where none is named."""


def records(
    reader: Reader, table: str, ids: Sequence[str], label: str = EXPECTED_LABEL
) -> list[dict[str, Any]]:
    """The rows as records, in the order they were recorded.

    Each has its inputs, or what was logged, by their own names, then `output`, `expected` (the newest correction, else
    the label of that name, else None), `labels` where there are any, and `row`, the id it comes from.
    """
    sql = (
        f"SELECT id, inputs, output, data FROM main.{quoted(table)} "
        "WHERE id IN (SELECT unnest(?::VARCHAR[])) ORDER BY ts, writer, seq"
    )
    corrected, labelled = _corrections(reader, ids), _labels(reader, ids)
    found = reader.execute(sql, [list(ids)], (table, EVENTS)).rows
    return [
        _given(_parsed(data) if inputs is None else _parsed(inputs), _parsed(output))
        | _said(corrected.get(row_id), labelled.get(row_id, {}), label)
        | {"row": row_id}
        for row_id, inputs, output, data in found
    ]


def _given(given: Any, output: Any) -> dict[str, Any]:
    fields = given if isinstance(given, Mapping) else {"inputs": given}
    named = {f"{name}_" if name in OWN else name: value for name, value in fields.items()}
    return named if output is None else {**named, "output": output}


def _said(correction: Any, labels: Mapping[str, Any], label: str) -> dict[str, Any]:
    expected = labels.get(label) if correction is None else correction
    return {"expected": expected, **({"labels": dict(labels)} if labels else {})}


def _corrections(reader: Reader, ids: Sequence[str]) -> dict[str, Any]:
    """What each row should have answered, by the newest correction of it."""
    sql = (
        "SELECT row_id, value FROM said.feedback WHERE name = 'correction' "
        "AND row_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY ts, writer, seq"
    )
    found = reader.execute(sql, [list(ids)], (EVENTS,)).rows
    values = {row_id: _parsed(value) for row_id, value in found}
    return {
        row_id: value.get("expected") if isinstance(value, Mapping) else value
        for row_id, value in values.items()
    }


def _labels(reader: Reader, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    sql = (
        "SELECT row_id, name, value FROM said.labels "
        "WHERE row_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY ts, writer, seq"
    )
    found: dict[str, dict[str, Any]] = {}
    for row_id, name, value in reader.execute(sql, [list(ids)], (EVENTS,)).rows:
        found.setdefault(row_id, {})[name] = _parsed(value)
    return found


def _parsed(text: Any) -> Any:
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
