"""DuckDB connections set up the one way we use them, and spool lines read into them."""

from __future__ import annotations

import atexit
import ctypes
import os
import secrets
import sys
import time
import traceback
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.store import ensure
from llmwatch.stream import fork
from llmwatch.stream.columns import DERIVED, LINE_KINDS, Column, from_data, literal, quoted
from llmwatch.stream.snapshot import DataFile

if TYPE_CHECKING:
    import duckdb

LONGEST_LINE = 96 << 20
"""A row is bounded far below this; a longer line is not a row of ours."""


def connect(
    *, temporary: Path | None = None, threads: int | None = None, memory: str = "2GB"
) -> duckdb.DuckDBPyConnection:
    """An in-memory database that looks nothing up on the network or in Python's variables."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "preserve_insertion_order": False,
    }
    if temporary is not None and temporary.parent.is_dir():
        # a directory for each connection: DuckDB names its files alike in every process
        config["temp_directory"] = str(ensure(temporary) / f"{os.getpid()}-{secrets.token_hex(4)}")
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(config=config)
    connection.execute(_IN_UTC)
    _connections.add(connection)
    return connection


class Workbench:
    """A database for one piece of work after another, each of which finds it empty.

    Opening a database takes 15 ms, and closing one gives back memory that the next has to ask the system for again:
    half of the cost of a compaction.
    """

    def __init__(self) -> None:
        self._database: duckdb.DuckDBPyConnection | None = None
        self._temporary: Path | None = None
        self._process = 0
        self._used_at = 0.0

    @contextmanager
    def cleared(self, temporary: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection whose TEMP tables end with the block. For one thread at a time."""
        if self._database is None or (self._process, self._temporary) != (os.getpid(), temporary):
            self.close()
            self._database = connect(temporary=temporary, threads=1)
            self._process, self._temporary = os.getpid(), temporary
        try:
            with self._database.cursor() as connection:
                _connections.add(connection)
                connection.execute(_IN_UTC)
                yield connection
        except BaseException:  # whatever is wrong with it, the next piece of work has another
            self.close()
            raise
        self._used_at = time.monotonic()

    def close_unused(self, for_s: float) -> None:
        if time.monotonic() - self._used_at >= for_s:
            self.close()

    def close(self) -> None:
        if self._database is not None:
            if self._process == os.getpid():  # a child leaves that of its parent alone
                self._database.close()
            self._database = None


_connections: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
_IN_UTC = "SET TimeZone = 'UTC'"  # each connection has its own


_inherited = False


def _keep_for_ever() -> None:
    """In a forked child: closing an inherited database crashes, or waits for threads that only the parent has."""
    global _inherited
    for connection in list(_connections):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        _inherited = True


@atexit.register
def _end_quietly() -> None:
    """DuckDB's binding prints a page about every database that is still open as the very last thing."""
    if _inherited:
        fork.point_nowhere(2)
    elif (trace := getattr(sys, "last_traceback", None)) is not None:
        traceback.clear_frames(trace)  # printed by now; what it holds on to may be a half-read table


fork.in_child(_keep_for_ever)


def line_columns(columns: Iterable[Column]) -> dict[str, str]:
    """How each fixed column stands on a line, as a type for `read_json`."""
    return {
        column.name: _line_type(column)
        for column in columns
        if column.key is None and column.name not in DERIVED
    }


def _line_type(column: Column) -> str:
    if column.json:
        return "JSON"
    return {"TIMESTAMPTZ": "BIGINT", "BLOB": "VARCHAR"}.get(column.type, column.type)


def good(columns: Iterable[Column]) -> str:
    """The SQL condition under which a line is one of ours."""
    names = {column.name for column in columns}
    kinds = ", ".join(literal(kind) for kind in LINE_KINDS)
    whole = f"id IS NOT NULL AND ts IS NOT NULL AND writer IS NOT NULL AND seq IS NOT NULL AND t IN ({kinds})"
    return whole + (" AND coalesce(json_type(data), 'OBJECT') = 'OBJECT'" if "data" in names else "")


def read_lines(files: Sequence[Path], columns: Iterable[Column]) -> str:
    """SQL that reads spool lines; what is not a line of ours comes as a row without an id."""
    types = {"v": "BIGINT", "t": "VARCHAR"} | line_columns(columns)
    spec = ", ".join(f"{quoted(name)}: {literal(type_)}" for name, type_ in types.items())
    names = ", ".join(literal(str(file)) for file in files)
    return (
        f"read_json([{names}], format = 'newline_delimited', columns = {{{spec}}}, filename = true, "
        f"ignore_errors = true, maximum_object_size = {LONGEST_LINE})"
    )


def from_line(column: Column) -> str:
    """The SQL for a lake column out of the columns of a line."""
    if column.key is not None:
        return from_data(column)
    name = quoted(column.name)
    if column.name == "t":
        return "NULLIF(t, 'row')"
    if column.name == "number":
        text = "value->>'$'"
        return (
            f"CASE json_type(value) WHEN 'VARCHAR' THEN NULL WHEN 'BOOLEAN' THEN ({text})::BOOLEAN::INT::DOUBLE "
            f"ELSE try_cast({text} AS DOUBLE) END"
        )
    if column.name == "text":
        return "CASE WHEN json_type(value) = 'VARCHAR' THEN value->>'$' END"
    if column.json:
        return f"{name}::VARCHAR"
    return {
        "TIMESTAMPTZ": f"make_timestamptz({name})",
        "BLOB": f"from_base64({name})",
    }.get(column.type, name)


def lake_columns(columns: Iterable[Column]) -> str:
    """A select list that turns line columns into lake columns."""
    return ", ".join(f"{from_line(column)} AS {quoted(column.name)}" for column in columns)


def key_types(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, dict[str, int]]:
    """For each key that the dicts in `source.data` have, how many values of each JSON type."""
    path = "'/' || replace(replace(k, '~', '~0'), '/', '~1')"  # as `columns.json_path`
    rows = connection.execute(
        f"SELECT k, json_type(data, {path}), count(*), min(o) FROM "
        "(SELECT data, unnest(keys) AS k, unnest(range(len(keys))) AS o FROM "
        f"(SELECT data, json_keys(data) AS keys FROM {source} WHERE data IS NOT NULL)) "
        "GROUP BY ALL ORDER BY 4, 1"
    ).fetchall()
    seen: dict[str, dict[str, int]] = {}
    for key, type_, count, _ in rows:
        seen.setdefault(key, {})[type_] = count
    return seen


def line_fields(columns: Iterable[Column]) -> dict[str, str]:
    """What is kept of a line, with its types."""
    return {"v": "BIGINT", "t": "VARCHAR"} | line_columns(columns) | {"filename": "VARCHAR"}


def lines_table(columns: Iterable[Column]) -> str:
    """The columns of a table that keeps lines as they were read."""
    return ", ".join(f"{quoted(name)} {type_}" for name, type_ in line_fields(columns).items())


def read_files(files: Iterable[DataFile]) -> str:
    """SQL that reads Parquet files of a lake, each with the columns it has."""
    names = ", ".join(literal(str(file.path)) for file in files)
    return f"read_parquet([{names}], union_by_name = true)"


def have_columns(connection: duckdb.DuckDBPyConnection, relation: str, columns: Iterable[Column]) -> str:
    """`relation` with exactly `columns`: those that no file has yet are NULL."""
    found = connection.execute(f"SELECT * FROM {relation} LIMIT 0").description or ()
    present = {column[0] for column in found}
    fields = (
        quoted(column.name) if column.name in present else f"NULL::{column.type} AS {quoted(column.name)}"
        for column in columns
    )
    return f"(SELECT {', '.join(fields)} FROM {relation})"
