"""Which columns a table has: ours, and those that logged dicts bring with them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

LINE_VERSION = 1
LINE_KINDS = ("row", "start", "end", "patch", "delete", "event")
MOST_LOGGED_COLUMNS = 500
"""A dict row with more keys keeps them all in `data`; only this many become columns."""


@dataclass(frozen=True)
class Column:
    """One column of the lake: its physical name, DuckDB type, and the logged key it holds."""

    name: str
    type: str
    json: bool = False
    key: str | None = None
    widened: bool = False

    @property
    def shown_type(self) -> str:
        return "JSON" if self.json else ("DOUBLE" if self.widened else self.type)


def _columns(type_: str, names: str, *, json: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, type_, json) for name in names.split())


ENVELOPE = (
    Column("id", "VARCHAR"),
    Column("ts", "TIMESTAMPTZ"),
    Column("writer", "VARCHAR"),
    Column("seq", "BIGINT"),
    # NULL in a row; `start`, `end`, `patch`, `delete` in a piece that waits for its row
    Column("t", "VARCHAR"),
)
CALL = (
    *_columns("VARCHAR", "trace_id parent_id op_name display_name kind status model version"),
    *_columns("VARCHAR", "user_id session_id turn_id"),
    *_columns("TIMESTAMPTZ", "started_at ended_at"),
    *_columns("DOUBLE", "latency_ms ttft_ms cost_usd"),
    *_columns("BIGINT", "prompt_tokens completion_tokens prompt_chars output_chars"),
    *_columns("VARCHAR", "exception_type exception"),
    *_columns("BLOB", "embedding"),
    *_columns("VARCHAR", "inputs output attributes summary", json=True),
)
DATA = Column("data", "VARCHAR", json=True)
ROW = (*ENVELOPE, *CALL, DATA)
EVENT = (
    *ENVELOPE[:4],
    *_columns("VARCHAR", "row_id table kind name"),
    Column("value", "VARCHAR", json=True),
    *_columns("VARCHAR", "creator replaces deletes"),
    Column("attributes", "VARCHAR", json=True),
    Column("number", "DOUBLE"),
    Column("text", "VARCHAR"),
)
DERIVED = frozenset({"number", "text"})
"""Columns of events that stand on no line: `value`, where it is a number or a string."""
RESERVED = frozenset(column.name for column in (*ROW, *EVENT))
CALL_NAMES = frozenset(column.name for column in CALL)

_DELTA = {
    "VARCHAR": "string",
    "BIGINT": "long",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "TIMESTAMPTZ": "timestamp",
    "BLOB": "binary",
}
_DUCKDB = {delta: duck for duck, delta in _DELTA.items()}
_UNPORTABLE = re.compile(r"[^A-Za-z0-9_.\-]")


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def fixed(table_is_events: bool) -> tuple[Column, ...]:
    return EVENT if table_is_events else ROW


# --- the columns of a Delta schema -------------------------------------------------------


def delta_field(column: Column) -> dict[str, object]:
    """The column as a field of a Delta schema, what is ours to remember in its metadata."""
    metadata: dict[str, object] = {}
    if column.json:
        metadata["llmwatch.json"] = "true"
    if column.key is not None:
        metadata["llmwatch.key"] = column.key
    if column.widened:
        metadata["llmwatch.widened"] = "true"
    return {
        "name": column.name,
        "type": _DELTA[column.type],
        "nullable": True,
        "metadata": metadata,
    }


def from_delta(schema: str) -> tuple[Column, ...]:
    """The columns in a Delta schema string; another tool's types are read as text."""
    return tuple(_from_field(field) for field in json.loads(schema)["fields"])


def _from_field(field: Mapping[str, object]) -> Column:
    metadata = field["metadata"]
    assert isinstance(metadata, dict)
    return Column(
        name=str(field["name"]),
        type=_DUCKDB.get(str(field["type"]), "VARCHAR"),
        json="llmwatch.json" in metadata,
        key=metadata.get("llmwatch.key"),
        widened="llmwatch.widened" in metadata,
    )


# --- the columns that logged dicts bring -------------------------------------------------

KeyTypes = Mapping[str, Mapping[str, int]]
"""For each logged key, how many values of each JSON type were seen."""


def grown(columns: Sequence[Column], seen: KeyTypes) -> tuple[Column, ...]:
    """`columns` with those that the keys seen need: new ones, and integers that met floats."""
    by_key = {column.key: column for column in columns if column.key is not None}
    taken = {column.name.lower() for column in columns} | RESERVED
    spoken_for = {key.lower() for key in by_key}  # SQL ignores case: of `Foo` and `foo`, the second stays in `data`
    result = {column.name: column for column in columns}
    for key, types in seen.items():
        if key in by_key:
            known = by_key[key]
            if known.type == "BIGINT" and "DOUBLE" in types:
                result[known.name] = replace(known, widened=True)
        elif len(by_key) < MOST_LOGGED_COLUMNS and key.lower() not in spoken_for:
            if (column := _column_for(key, types, taken)) is None:
                continue
            result[column.name] = by_key[key] = column
            taken.add(column.name.lower())
            spoken_for.add(key.lower())
    return tuple(result.values())


def _column_for(key: str, types: Mapping[str, int], taken: Container[str]) -> Column | None:
    if not key or "\0" in key or key.lower().startswith("llmwatch "):
        return None  # no name in SQL, or one that `keyed.<table>` has for a column of ours
    kind = _type_of(types)
    if kind is None:
        return None
    name = _free_name(_UNPORTABLE.sub("_", key)[:128], taken)
    return Column(name, "VARCHAR" if kind == "JSON" else kind, kind == "JSON", key)


def _free_name(name: str, taken: Container[str]) -> str:
    """A name of ours is left to us; keys of the same length in another script than Latin are numbered."""
    if name.lower() in taken:
        name = f"logged_{name}"
    numbered = (f"{name}_{n}" for n in itertools.count(2))
    return name if name.lower() not in taken else next(n for n in numbered if n.lower() not in taken)


def _type_of(types: Mapping[str, int]) -> str | None:
    """The most frequent type decides; numbers count together and are floats if one is."""
    votes: dict[str, int] = {}
    for json_type, count in types.items():
        if (kind := _KINDS.get(json_type)) is not None:
            votes[kind] = votes.get(kind, 0) + count
    if not votes:
        return None
    kind = max(_PRECEDENCE, key=lambda name: votes.get(name, 0))
    if kind == "NUMBER":
        return "DOUBLE" if "DOUBLE" in types else "BIGINT"
    return kind


_PRECEDENCE = ("NUMBER", "BOOLEAN", "VARCHAR", "JSON")
_KINDS = {
    "BIGINT": "NUMBER",
    "UBIGINT": "NUMBER",
    "HUGEINT": "NUMBER",
    "DOUBLE": "NUMBER",
    "BOOLEAN": "BOOLEAN",
    "VARCHAR": "VARCHAR",
    "OBJECT": "JSON",
    "ARRAY": "JSON",
}


def json_path(key: str) -> str:
    """A JSON pointer to a top-level key, as an SQL literal; a JSON path knows no key `""`, and `"*"` is every key."""
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))


def from_data(column: Column, data: str = "data") -> str:
    """The SQL for a logged column out of the row's `data`: NULL where the value does not fit."""
    assert column.key is not None
    path = json_path(column.key)
    text = f"json_extract_string({data}, {path})"
    kind = f"json_type({data}, {path})"
    if column.json:
        return f"json_extract({data}, {path})::VARCHAR"
    if column.type == "VARCHAR":
        return f"CASE WHEN {kind} = 'VARCHAR' THEN {text} END"
    if column.type == "BOOLEAN":
        return f"CASE WHEN {kind} = 'BOOLEAN' THEN {text}::BOOLEAN END"
    if column.type == "BIGINT":
        return f"CASE WHEN {kind} IN ('BIGINT', 'UBIGINT') THEN try_cast({text} AS BIGINT) END"
    special = "('NaN', 'Infinity', '-Infinity')"  # how capture writes them
    numbers = "('BIGINT', 'UBIGINT', 'DOUBLE', 'HUGEINT')"
    return f"CASE WHEN {kind} IN {numbers} OR {text} IN {special} THEN try_cast({text} AS DOUBLE) END"


def shown(column: Column) -> str:
    """The SQL for a lake column as a query sees it: an integer column that met floats, whole."""
    name = quoted(column.name)
    if not column.widened:
        return name
    wide = from_data(replace(column, type="DOUBLE", widened=False))
    return f"coalesce({name}::DOUBLE, {wide})"
