"""`table.rows()`: which rows, in which order, how many, and in which form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.errors import LlmwatchError, MissingExtra
from llmwatch.stream.columns import CALL, DATA, ENVELOPE, Column, quoted
from llmwatch.stream.relation import names_for_people
from llmwatch.stream.row import Row

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from llmwatch.stream.table import StreamTable

NEWEST_FIRST = ("-llmwatch ts",)
"""The order that file statistics can answer: by the time rows were recorded, newest first."""
STORED = [c.name for c in (*ENVELOPE, *CALL, DATA) if c.name != "t"]
When = datetime | str | timedelta | int | float


@dataclass(frozen=True)
class Rows:
    """A choice of rows; each method gives a narrower one, and nothing is read until it is iterated or converted.

    `for row in table.rows().filter(model="gpt-4o").sort("-cost_usd").limit(10): ...`
    """

    table: StreamTable
    conditions: tuple[str, ...] = ()
    params: tuple[Any, ...] = ()
    order: tuple[str, ...] = ()
    most: int | None = None
    skipped: int = 0
    chosen: tuple[str, ...] = ()

    def filter(self, condition: str | None = None, /, *params: Any, **equal: Any) -> Rows:
        """Rows that fit an SQL condition (`?` for each of `params`), and whose columns equal what is given."""
        conditions, values = list(self.conditions), list(self.params)
        if condition is not None:
            conditions.append(condition)
            values += params
        for name, value in equal.items():
            conditions.append(f"{quoted(name)} IS NOT DISTINCT FROM ?")
            values.append(value)
        return replace(self, conditions=tuple(conditions), params=tuple(values))

    def select(self, *names: str) -> Rows:
        """Only these columns."""
        return replace(self, chosen=names)

    def sort(self, *names: str) -> Rows:
        """By these columns; `-name` for descending."""
        return replace(self, order=names)

    def limit(self, most: int, *, skip: int = 0) -> Rows:
        """At most so many rows, after skipping some."""
        if most < 0 or skip < 0:
            raise ValueError(f"limit and skip count rows from 0; got {most} and {skip}")
        return replace(self, most=most, skipped=skip)

    def since(self, when: When) -> Rows:
        """Rows recorded at or after `when`: a datetime, ISO text, a timestamp, or how long ago."""
        return self._timed(">=", when)

    def until(self, when: When) -> Rows:
        """Rows recorded before `when`."""
        return self._timed("<", when)

    def _timed(self, comparison: str, when: When) -> Rows:
        condition = f'"llmwatch ts" {comparison} make_timestamptz(?::BIGINT)'
        conditions, params = (*self.conditions, condition), (*self.params, _microseconds(when))
        return replace(self, conditions=conditions, params=params)

    # --- reading ---------------------------------------------------------------------

    def __iter__(self) -> Iterator[Row]:
        columns = ", ".join(quoted(f"llmwatch {name}") for name in STORED)
        for values in self.table.reader.stream(self._sql(columns), self._values(), self._tables):
            row = Row(self.table, dict(zip(STORED, values, strict=True)))
            yield _only(row, self.chosen) if self.chosen else row

    def count(self) -> int:
        sql = f"SELECT count(*) FROM ({self._sql('1')})"
        return int(self.table.reader.execute(sql, self._values(), self._tables).rows[0][0])

    def ids(self) -> list[str]:
        """The ids of the rows."""
        sql = self._sql('"llmwatch id"')
        return [row[0] for row in self.table.reader.execute(sql, self._values(), self._tables).rows]

    def stored(self, columns: str) -> Iterator[tuple[Any, ...]]:
        """An SQL select list over `keyed.<table>`, row by row, as it is stored."""
        return self.table.reader.stream(self._sql(columns), self._values(), self._tables)

    def copy_to(self, path: Path, options: str, columns: str | None = None) -> int:
        """Write typed columns to a file by DuckDB's COPY; returns how many rows."""
        sql = self._sql(columns or self._shown())
        return self.table.reader.copy(sql, self._values(), self._tables, to=path, options=options)

    def to_arrow(self) -> pa.Table:
        """Typed columns as a `pyarrow.Table`; values that do not fit their column's type are null there."""
        _need("pyarrow", "to_arrow")
        return self.table.reader.arrow(self._sql(self._shown()), self._values(), self._tables)

    def to_polars(self) -> pl.DataFrame:
        """Typed columns as a polars frame."""
        _need("polars", "to_polars")
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas frame, each value as it was logged."""
        _need("pandas", "to_pandas")
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self])

    # --- the SQL ---------------------------------------------------------------------

    @property
    def _tables(self) -> list[str]:
        return [self.table.name]

    def _values(self) -> list[Any]:
        return list(self.params)

    def _sql(self, columns: str) -> str:
        where = list(self.conditions)
        if (newest := self._newest_since()) is not None:
            where.append(f'"llmwatch ts" >= make_timestamptz({newest})')
        sql = f"SELECT {columns} FROM keyed.{quoted(self.table.name)}"
        if where:
            sql += f" WHERE {' AND '.join(f'({condition})' for condition in where)}"
        sql += f" ORDER BY {self._ordered()}"
        if self.most is not None:
            sql += f" LIMIT {self.most} OFFSET {self.skipped}"
        self.table.reader.check_conditions(self.table.name, where)
        return sql

    def _ordered(self) -> str:
        down = " DESC" if self._newest_first else ""
        named = [] if self._newest_first else [self._term(name) for name in self.order]
        return ", ".join([*named, *(f'"llmwatch {name}"{down}' for name in ("ts", "writer", "seq"))])

    @property
    def _newest_first(self) -> bool:
        if self.order in (("-timestamp",), ("-ts",)):
            return not self._has_key(self.order[0][1:])
        return self.order == NEWEST_FIRST

    def _term(self, name: str) -> str:
        column, direction = (name[1:], "DESC") if name.startswith("-") else (name, "ASC")
        if column == "timestamp" and not self._has_key("timestamp"):
            column = "llmwatch ts"
        return f"{quoted(column)} {direction} NULLS LAST"

    def _has_key(self, key: str) -> bool:
        return any(column.key == key for column in self.table.columns)

    def _newest_since(self) -> int | None:
        """For the newest rows of all: a time that enough rows are known to follow, from file statistics."""
        if self.conditions or self.most is None or not self._newest_first:
            return None
        return self.table.newest_since(self.most + self.skipped)

    def _shown(self) -> str:
        """A select list of the columns that have something to show."""
        columns = self.table.shown_columns()
        if self.chosen:
            columns = {name: columns[name] for name in self.chosen}
        return ", ".join(f"{quoted(sql)} AS {quoted(name)}" for name, sql in columns.items())

    def _repr_html_(self) -> str:
        from llmwatch.stream.display import table_html

        return table_html(self)


def shown_columns(columns: Sequence[Column], *, calls: bool, dicts: bool) -> dict[str, str]:
    """The columns a person sees, by name, and the column of `keyed.<table>` that holds each."""
    shown: dict[str, str] = {}
    names = dict(names_for_people(columns))
    call_names = {column.name for column in CALL}
    for column in columns:
        if column.key is not None and dicts:
            shown[column.key] = column.key
        elif calls and (column.name in call_names or column.name == "id"):
            shown[names[column.name]] = f"llmwatch {column.name}"
    shown.setdefault("timestamp", "llmwatch ts")
    return shown


def _only(row: Row, names: Sequence[str]) -> Row:
    row._fields = {name: row._fields[name] for name in names if name in row._fields}
    return row


def _need(module: str, method: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise MissingExtra("frames", method)


def _microseconds(when: When) -> int:
    if isinstance(when, timedelta):
        when = datetime.now(timezone.utc) - when
    elif isinstance(when, str):
        try:
            when = datetime.fromisoformat(when.replace("Z", "+00:00"))
        except ValueError:
            raise LlmwatchError(f"{when!r} is not a time; write it as 2026-01-31T09:30") from None
    elif isinstance(when, (int, float)):
        return int(when * 1_000_000)
    return int(when.astimezone(timezone.utc).timestamp() * 1_000_000)


__all__ = ["Mapping", "Row", "Rows"]
