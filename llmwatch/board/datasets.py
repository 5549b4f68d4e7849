"""Rows put into a `weave.Dataset` of the project: what went in, what came out, and what should have."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from llmwatch.board.choice import Choice
from llmwatch.board.source import Source
from llmwatch.errors import InvalidBoard
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

MOST = 1000
"""Rows that are added at once."""
_one_at_a_time = threading.Lock()


def names(server: Any, source: Source) -> list[str]:
    """The datasets that the project has."""
    asked = {"base_object_classes": ["Dataset"], "latest_only": True, "is_op": False}
    found = server.objs_query({"project_id": source.project.id, "filter": asked}).objs
    return sorted({one.object_id for one in found})


def add(server: Any, source: Source, name: str, ids: Sequence[str]) -> dict[str, Any]:
    """A new version of the dataset with these rows; one that is in it already is replaced, as it may be corrected since.

    Each has its inputs, or what was logged, by their own names, then `output`, `expected` (the newest correction,
    else None) and `row`, the id it comes from.
    """
    name = _checked(name)
    if not ids:
        raise InvalidBoard("no row was chosen for the dataset")
    with _one_at_a_time:
        before = _rows_of(server, source, name)
        made = records(source, ids[:MOST])
        fresh = {record["row"] for record in made}
        kept = [row for row in before if row.get("row") not in fresh]
        server.dataset_create(
            {"project_id": source.project.id, "name": name, "rows": [*kept, *made]}
        )
    corrected = sum(record["expected"] is not None for record in made)
    return {
        "name": name,
        "rows": len(kept) + len(made),
        "added": len(kept) + len(made) - len(before),
        "corrected": corrected,
    }


def chosen(source: Source, choice: Choice, *, roots: bool) -> list[str]:
    """The newest rows of a choice, as many as are added at once."""
    where, params = choice.where()
    extra = ' AND "llmwatch parent_id" IS NULL' if roots else ""
    sql = (
        f'SELECT "llmwatch id" FROM keyed.{quoted(source.table)} WHERE {where}{extra} '
        f'ORDER BY "llmwatch ts" DESC, "llmwatch seq" DESC LIMIT {MOST}'
    )
    return [row[0] for row in source.execute(sql, params, events=choice.says).rows]


def records(source: Source, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The rows as records of a dataset, in the order they were recorded."""
    sql = (
        f"SELECT id, inputs, output, data FROM main.{quoted(source.table)} "
        "WHERE id IN (SELECT unnest(?::VARCHAR[])) ORDER BY ts, writer, seq"
    )
    expected = _corrections(source, ids)
    return [
        _record(row_id, _parsed(data) if inputs is None else _parsed(inputs), _parsed(output))
        | {"expected": expected.get(row_id), "row": row_id}
        for row_id, inputs, output, data in source.execute(sql, [list(ids)]).rows
    ]


def _record(row_id: str, given: Any, output: Any) -> dict[str, Any]:
    """What was given by its own names; a name that is one of the record's own has an underscore."""
    del row_id
    own = {"output", "expected", "row"}
    fields = given if isinstance(given, Mapping) else {"inputs": given}
    named = {f"{name}_" if name in own else name: value for name, value in fields.items()}
    return named if output is None else {**named, "output": output}


def _corrections(source: Source, ids: Iterable[str]) -> dict[str, Any]:
    """What each row should have answered, by the newest correction of it."""
    sql = (
        "SELECT row_id, value FROM said.feedback WHERE name = 'correction' "
        "AND row_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY ts, writer, seq"
    )
    found = source.reader.execute(sql, [list(ids)], (EVENTS,)).rows
    values = {row_id: _parsed(value) for row_id, value in found}
    return {
        row_id: value.get("expected") if isinstance(value, Mapping) else value
        for row_id, value in values.items()
    }


def _parsed(text: Any) -> Any:
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _rows_of(server: Any, source: Source, name: str) -> list[dict[str, Any]]:
    if name not in names(server, source):
        return []
    where = {"project_id": source.project.id, "object_id": name, "digest": "latest"}
    table = server.obj_read(where).obj.val["rows"].rpartition("/")[2]
    rows = server.table_query({"project_id": source.project.id, "digest": table}).rows
    return [row.val for row in rows]


def _checked(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > 128:
        raise InvalidBoard("a dataset has a name of 1 to 128 characters")
    return name.strip()
