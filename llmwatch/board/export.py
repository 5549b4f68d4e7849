"""The chosen rows as a file: CSV, or a JSON object a line, streamed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson

from llmwatch.board.choice import Choice
from llmwatch.board.source import Seen, Source
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def lines(source: Source, choice: Choice, form: str, *, roots: bool = False) -> Iterator[bytes]:
    """Every chosen row, oldest first, in whole."""
    columns = [seen for seen in source.columns().values() if seen.known > 0]
    where, params = choice.where()
    extra = ' AND "llmwatch parent_id" IS NULL' if roots else ""
    fields = ", ".join(_field(seen) for seen in columns)
    sql = (
        f'SELECT "llmwatch id" AS id, {fields} FROM keyed.{quoted(source.table)} WHERE {where}{extra} '
        'ORDER BY "llmwatch ts", "llmwatch writer", "llmwatch seq"'
    )
    rows = source.reader.stream(
        sql, params, (source.table, EVENTS) if choice.says else (source.table,)
    )
    names = ["id", *(seen.name for seen in columns if seen.name != "id")]
    keep = [0, *(n + 1 for n, seen in enumerate(columns) if seen.name != "id")]
    json_at = {n for n, place in enumerate(keep) if place and columns[place - 1].type == "json"}
    chosen = ([row[place] for place in keep] for row in rows)
    yield from _csv(names, chosen) if form == "csv" else _json(names, chosen, json_at)


def _field(seen: Seen) -> str:
    name = quoted(seen.sql)
    return f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ')" if seen.type == "time" else name


def _csv(names: list[str], rows: Iterator[list[Any]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(names)
    for n, row in enumerate(rows):
        writer.writerow([_harmless(value) for value in row])
        if n % 500 == 499:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula, kept from it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _json(names: list[str], rows: Iterator[list[Any]], json_at: set[int]) -> Iterator[bytes]:
    for row in rows:
        record = {
            name: _parsed(value) if n in json_at else value
            for n, (name, value) in enumerate(zip(names, row, strict=True))
            if value is not None
        }
        yield orjson.dumps(record, default=str) + b"\n"


def _parsed(text: Any) -> Any:
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        return text
