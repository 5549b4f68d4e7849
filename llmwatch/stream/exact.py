"""The lines of an exact export: everything the store knows of a row or an event, under the time it was recorded.

    {"llmwatch_export": 1, "table": "local/bot/answers"}
    {"row": {"id": "...", "ts": 1763703531000000, "data": {...}}}
    {"event": {"id": "...", "ts": 1763703532000000, "row_id": "...", "kind": "score", ...}}
    {"llmwatch_export_end": {"rows": 1, "events": 1}}
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from llmwatch.stream.columns import CALL, DATA, DERIVED, EVENT, Column, quoted

VERSION = 1
HEAD = "llmwatch_export"
END = "llmwatch_export_end"
_ID = Column("id", "VARCHAR")
_TS = Column("ts", "TIMESTAMPTZ")
ROW_COLUMNS = (_ID, _TS, *CALL, DATA)
EVENT_COLUMNS = tuple(c for c in EVENT if c.name not in {"writer", "seq", *DERIVED})
_BY_NAME = {
    "row": {column.name: column for column in ROW_COLUMNS},
    "event": {column.name: column for column in EVENT_COLUMNS},
}
_REQUIRED = {"row": ("id", "ts"), "event": ("id", "ts", "kind")}
_LATEST_US = 253_402_300_800_000_000
"""The end of the year 9999."""
_MEDIA = re.compile(rb'"([0-9a-f]{2}/[0-9a-f]{64}\.[a-z0-9]{1,8})"')


class NotExact(ValueError):
    """Why a line is no row or event of an exact export."""


# --- writing -----------------------------------------------------------------------------


def selected(columns: Iterable[Column], prefix: str = "") -> str:
    """A select list for values that `line` writes."""
    return ", ".join(_stored(column.type, quoted(prefix + column.name)) for column in columns)


def _stored(type_: str, name: str) -> str:
    return {"TIMESTAMPTZ": f"epoch_us({name})", "BLOB": f"to_base64({name})"}.get(type_, name)


def line(kind: str, columns: Sequence[Column], values: Sequence[Any]) -> bytes:
    """One row or event; JSON goes in as the text it is stored as."""
    fields = {
        column.name: orjson.Fragment(value) if column.json else value
        for column, value in zip(columns, values, strict=True)
        if value is not None
    }
    return orjson.dumps({kind: fields}) + b"\n"


def head(table: str) -> bytes:
    return orjson.dumps({HEAD: VERSION, "table": table}) + b"\n"


def end(rows: int, events: int) -> bytes:
    return orjson.dumps({END: {"rows": rows, "events": events}}) + b"\n"


# --- reading -----------------------------------------------------------------------------


def is_head(first_line: bytes) -> bool:
    """Whether a file that begins so is an exact export."""
    return re.match(rb'\s*\{\s*"llmwatch_export"\s*:', first_line) is not None


def checked(record: Any) -> tuple[str, dict[str, Any]]:
    """`("row" or "event", its fields)`; raises `NotExact` where the store could not hold it as it is."""
    if not isinstance(record, dict) or len(record) != 1:
        raise NotExact('it is neither a {"row": ...} nor an {"event": ...}')
    ((kind, fields),) = record.items()
    if kind not in _BY_NAME or not isinstance(fields, dict):
        raise NotExact('it is neither a {"row": ...} nor an {"event": ...}')
    for name in _REQUIRED[kind]:
        if name not in fields:
            raise NotExact(f"the {kind} has no {name!r}")
    for name, value in fields.items():
        if (column := _BY_NAME[kind].get(name)) is None:
            raise NotExact(f"{name!r} is not a column of a {kind}")
        _check_value(column, value)
    return kind, fields


def _check_value(column: Column, value: Any) -> None:
    if column.name == "data" and not isinstance(value, dict):
        raise NotExact("'data' is not a JSON object")
    if not column.json and not _FITS[column.type](value):
        raise NotExact(f"{column.name!r} holds {value!r:.60}, which is no {_SAID[column.type]}")
    if column.name == "id" and not 0 < len(value) <= 128:
        raise NotExact("'id' is not of 1 to 128 characters")


def _is_whole(value: Any) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _is_base64(value: Any) -> bool:
    try:
        return type(value) is str and len(base64.b64decode(value, validate=True)) % 4 == 0
    except (binascii.Error, ValueError):
        return False


_FITS = {
    "VARCHAR": lambda value: type(value) is str,
    "BIGINT": _is_whole,
    "DOUBLE": lambda value: type(value) is float or _is_whole(value),
    "TIMESTAMPTZ": lambda value: type(value) is int and 0 <= value < _LATEST_US,
    "BLOB": _is_base64,
}
_SAID = {
    "VARCHAR": "text",
    "BIGINT": "whole number",
    "DOUBLE": "number",
    "TIMESTAMPTZ": "time in microseconds since 1970",
    "BLOB": "vector of 32-bit floats in base64",
}


def body(fields: Mapping[str, Any]) -> bytes:
    """The body of a spool line; its time goes into the envelope."""
    return orjson.dumps({name: value for name, value in fields.items() if name != "ts"})


def media_named(text: bytes) -> set[str]:
    """The media files that a line names."""
    return {name.decode() for name in _MEDIA.findall(text)} if b'"file"' in text else set()
