"""Lake files kept in memory without their texts, so that a page asks a million rows in tens of milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.stream.columns import Column, quoted
from llmwatch.stream.duck import have_columns, read_files

if TYPE_CHECKING:
    import duckdb

    from llmwatch.stream.snapshot import DataFile

_LEFT_OUT = frozenset({"trace_id", "turn_id", "exception"})
_SETTLED_ROWS = 50_000
"""A file with as many rows is seldom merged with others, so it is kept together with its like."""
_number = count()


def narrow(columns: Iterable[Column]) -> tuple[Column, ...]:
    """The columns that are kept: no JSON, no vectors, nothing that is long or looked up by row."""
    return tuple(
        c for c in columns if not (c.json or c.type == "BLOB" or c.name in _LEFT_OUT or c.widened)
    )


@dataclass(frozen=True)
class _Table:
    """Some files in one table: a table for each costs ten times as long to make."""

    name: str
    files: frozenset[Path]
    columns: tuple[Column, ...]


class Kept:
    """Tables in memory that hold Parquet files; files never change, so what is kept is never stale."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        self._tables: tuple[_Table, ...] = ()
        self._leaving: list[str] = []

    def covering(
        self, files: Sequence[DataFile], columns: Sequence[Column]
    ) -> tuple[list[str], list[DataFile]]:
        """The tables that hold nothing but some of these files, and the files that none of them holds."""
        paths = {file.path for file in files}
        fit = [t for t in self._tables if t.columns == tuple(columns) and t.files <= paths]
        held = frozenset().union(*(table.files for table in fit))
        return [table.name for table in fit], [file for file in files if file.path not in held]

    @property
    def names(self) -> tuple[str, ...]:
        """What views may name; another tuple whenever they have to be made anew."""
        return tuple(table.name for table in self._tables)

    def hold(self, files: Sequence[DataFile], columns: Sequence[Column]) -> None:
        """Keep these files and no others. Runs beside queries, not in their way."""
        names, missing = self.covering(files, columns)
        staying = tuple(table for table in self._tables if table.name in names)
        gone, self._leaving = self._leaving, [t.name for t in self._tables if t.name not in names]
        settled = [file for file in missing if file.rows >= _SETTLED_ROWS]
        young = [file for file in missing if file.rows < _SETTLED_ROWS]
        made = tuple(self._load(group, columns) for group in (settled, young) if group)
        self._tables = staying + made
        for name in gone:  # by now no query is left that began when views still named them
            self._execute(f"DROP TABLE IF EXISTS {name}")

    def _load(self, files: Sequence[DataFile], columns: Sequence[Column]) -> _Table:
        name = f"kept.main.{quoted(str(next(_number)))}"
        names = ", ".join(quoted(column.name) for column in columns)
        source = have_columns(self._database.cursor(), read_files(files), columns)
        self._execute(f"CREATE TABLE {name} AS SELECT {names} FROM {source}")
        return _Table(name, frozenset(file.path for file in files), tuple(columns))

    def _execute(self, sql: str) -> None:
        cursor = self._database.cursor()
        try:
            cursor.execute(sql)
        finally:
            cursor.close()
