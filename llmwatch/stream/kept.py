"""Lake files kept in memory without their texts, so that a page asks a million rows in tens of milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.stream.columns import Column, quoted
from llmwatch.stream.duck import have_columns, read_files

if TYPE_CHECKING:
    import duckdb

    from llmwatch.stream.snapshot import DataFile

_LEFT_OUT = frozenset({"trace_id", "turn_id", "exception"})
_number = count()


def narrow(columns: Iterable[Column]) -> tuple[Column, ...]:
    """The columns that are kept: no JSON, no vectors, nothing that is long or looked up by row."""
    return tuple(c for c in columns if not (c.json or c.type == "BLOB" or c.name in _LEFT_OUT or c.widened))


class Kept:
    """A table in memory for each Parquet file; files never change, so what is kept is never stale."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        self._tables: dict[tuple[Path, tuple[Column, ...]], str] = {}

    def table(self, file: DataFile, columns: Sequence[Column]) -> str | None:
        """The name of the table that holds the file; None when it is not kept (yet)."""
        return self._tables.get((file.path, tuple(columns)))

    def hold(self, files: Sequence[DataFile], columns: Sequence[Column]) -> bool:
        """Keep these files and no others; whether anything changed. Runs beside queries, not in their way."""
        wanted = {(file.path, tuple(columns)): file for file in files}
        new = [key for key in wanted if key not in self._tables]
        for key in new:
            self._tables[key] = self._load(wanted[key], columns)
        gone = [key for key in self._tables if key not in wanted]
        for key in gone:
            self._cursor_execute(f"DROP TABLE IF EXISTS {self._tables.pop(key)}")
        return bool(new or gone)

    def _load(self, file: DataFile, columns: Sequence[Column]) -> str:
        name = f"kept.main.{quoted(str(next(_number)))}"
        names = ", ".join(quoted(column.name) for column in columns)
        source = have_columns(self._database.cursor(), read_files([file]), columns)
        self._cursor_execute(f"CREATE TABLE {name} AS SELECT {names} FROM {source}")
        return name

    def _cursor_execute(self, sql: str) -> None:
        cursor = self._database.cursor()
        try:
            cursor.execute(sql)
        finally:
            cursor.close()
