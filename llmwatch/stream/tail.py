"""The spool tail: lines that are not in the lake yet, kept in memory and read as they grow."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.stream import quarantine
from llmwatch.stream.columns import LINE_VERSION, Column, quoted
from llmwatch.stream.duck import good, key_types, line_fields, lines_table, read_lines
from llmwatch.stream.segments import Segment, whole_lines, written

if TYPE_CHECKING:
    import duckdb

CHUNK = 64 << 20
"""New bytes of one segment read at a time."""


class SegmentGone(Exception):
    """A segment that was listed is in the lake and deleted by now: list again."""


@dataclass
class _Seen:
    path: Path
    end: int = 0


class Tail:
    """The lines of some segments in a DuckDB table; each refresh reads only the bytes that are new."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str, columns: Sequence[Column]) -> None:
        self.name = name
        self._connection = connection
        self._columns = tuple(columns)
        self._fields = ", ".join(quoted(f) for f in line_fields(columns))
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._holds_data = any(column.name == "data" for column in columns)
        self.keys: dict[str, Counter[str]] = {}
        self.has_pieces = False
        connection.execute(f"CREATE OR REPLACE TABLE {name} ({lines_table(columns)}, segment VARCHAR)")

    def refresh(self, segments: Iterable[Segment]) -> None:
        """Hold exactly the whole lines that `segments` hold now."""
        current = {(segment.writer, segment.number): segment for segment in segments}
        if gone := self._seen.keys() - current.keys():
            self._forget(gone)
        for key, segment in current.items():
            self._read(key, segment)

    def _forget(self, gone: Collection[tuple[str, int]]) -> None:
        """A new table of what is left: DuckDB keeps the bytes of deleted rows of a table in memory for ever."""
        left = f"SELECT * FROM {self.name} WHERE NOT list_contains(?, segment)"
        names = [_name(key) for key in gone]
        self._connection.execute(f"CREATE OR REPLACE TABLE {self.name} AS {left}", [names])
        for key in gone:
            del self._seen[key]
        if not self._seen:
            self.keys.clear()
            self.has_pieces = False

    def _read(self, key: tuple[str, int], segment: Segment) -> None:
        seen = self._seen.setdefault(key, _Seen(segment.path))
        try:
            with segment.path.open("rb") as file:
                fd = file.fileno()
                end = written(fd)  # once: what comes meanwhile is the next refresh's
                while (left := end - seen.end) > 0 and (lines := whole_lines(fd, seen.end, min(left, CHUNK))):
                    self._insert(lines, _name(key))
                    seen.end += len(lines)
        except FileNotFoundError:
            raise SegmentGone(str(segment.path)) from None

    def _insert(self, lines: bytes, segment: str) -> None:
        try:
            self._load(lines, segment)
        except _duckdb_errors():
            # lines longer than any row, or bytes that DuckDB gives up on: leave them to the compactor
            self._load(quarantine.ours_only(lines), segment)
        self._learn()
        self._connection.execute(f"INSERT INTO {self.name} SELECT * FROM fresh")
        self._connection.execute("DROP TABLE fresh")

    def _load(self, lines: bytes, segment: str) -> None:
        with tempfile.NamedTemporaryFile(suffix=".jsonl", dir=_fast_directory()) as copy:
            copy.write(lines)
            copy.flush()
            self._connection.execute("DROP TABLE IF EXISTS fresh")
            self._connection.execute(
                f"CREATE TEMP TABLE fresh AS SELECT {self._fields}, '{segment}' AS segment "
                f"FROM {read_lines([Path(copy.name)], self._columns)} WHERE {good(self._columns)} "
                f"AND v <= {LINE_VERSION}"  # a newer llmwatch's: the compactor says so and leaves them
            )

    def _learn(self) -> None:
        if not self._holds_data:
            return
        for key, types in key_types(self._connection, "fresh").items():
            self.keys.setdefault(key, Counter()).update(types)
        if not self.has_pieces:
            found = self._connection.execute("SELECT t FROM fresh WHERE t <> 'row' LIMIT 1")
            self.has_pieces = bool(found.fetchall())


def _name(key: tuple[str, int]) -> str:
    return f"{key[0]}-{key[1]}"


def _duckdb_errors() -> type[Exception]:
    import duckdb

    return duckdb.Error


def _fast_directory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - private file, deleted at once
