"""Which rows are new since a position: in files of the lake not looked at yet, and in what segments gained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from llmwatch.store import EVENTS, Project
from llmwatch.stream.columns import ENVELOPE
from llmwatch.stream.duck import connect, have_columns, read_files
from llmwatch.stream.segments import whole_lines
from llmwatch.stream.snapshot import EMPTY, Snapshot, commits_after, load

if TYPE_CHECKING:
    import duckdb

    from llmwatch.stream.positions import Position
    from llmwatch.stream.segments import Segment
    from llmwatch.stream.snapshot import DataFile

CHUNK = 4 << 20
"""Bytes of a segment read at a time."""
MOST_KEYS = 1_000_000
"""Rows of the lake listed at a time: bounds the memory of a first reading of everything."""
TRIES = 20
_NEVER_US = 1 << 62
Commit = list[dict[str, Any]]
MOST_COMMITS = 2000
"""With more commits to read than this, looking at every file once is quicker."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One line that is new: a whole row (`t` is None) or a piece of one."""

    t: str | None
    id: str
    writer: str
    seq: int
    ts: int


class SegmentGone(Exception):
    """The segment went into the lake meanwhile: look there."""


# --- what segments gained ----------------------------------------------------------------


def fresh_lines(segment: Segment, position: Position) -> Iterator[tuple[Arrival, int]]:
    """Each whole line behind the position's offset, with its length; the offset follows."""
    name = segment.path.name
    start = position.offsets.get(name, 0)
    for line, end in _lines(segment.path, start):
        position.offsets[name] = end
        if (arrival := _parsed(line)) is not None:
            yield arrival, len(line)


def _lines(path: Path, start: int) -> Iterator[tuple[bytes, int]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        # not skipped: what follows it of the same writer must not come first
        raise SegmentGone(str(path)) from None
    with file:
        end = start
        while chunk := whole_lines(file.fileno(), end, CHUNK):
            for line in chunk.splitlines(keepends=True):
                end += len(line)
                yield line, end


def _parsed(line: bytes) -> Arrival | None:
    """None for what is no line of ours: torn, erased, foreign. The compactor keeps such lines aside."""
    try:
        found: Any = _loads(line)
        t, row_id, writer = found["t"], found["id"], found["writer"]
        seq, ts = found["seq"], found["ts"]
    except (ValueError, KeyError, TypeError):
        return None
    whole = isinstance(row_id, str) and isinstance(writer, str) and type(seq) is type(ts) is int
    return Arrival(None if t in ("row", "event") else t, row_id, writer, seq, ts) if whole else None


def _loads(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)  # NaN or half a character, which DuckDB reads too


def lines_left(segment: Segment, position: Position) -> int:
    """About how many lines of a segment the position has not passed, by the numbers of its first and last line."""
    try:
        with segment.path.open("rb") as file:
            first = _first_parsed(file)
            last = _first_parsed(_last_lines(file))
    except FileNotFoundError:
        return 0
    if first is None or last is None:
        return 0
    done, _ = position.marks.get(last.writer, (0, 0))
    return max(0, last.seq + 1 - max(done, first.seq))


def _first_parsed(lines: Iterable[bytes]) -> Arrival | None:
    return next((found for line in lines if (found := _parsed(line)) is not None), None)


def _last_lines(file: IO[bytes]) -> list[bytes]:
    """Some whole lines at a file's end, the last one first."""
    end = file.seek(0, 2)
    take = 1 << 16
    while True:
        file.seek(max(0, end - take))
        lines = file.read(min(take, end)).split(b"\n")[1 if take < end else 0 : -1]
        if lines or take >= end:
            return lines[::-1]
        take *= 16


# --- what the lake gained ----------------------------------------------------------------


class LakeArrivals:
    """The rows in files of the lake that were not looked at, in order; a few numbers of each, never its content."""

    def __init__(self, project: Project, table: str, position: Position) -> None:
        self._project = project
        self._events = table == EVENTS
        self._path = project.lake(table)
        self.snapshot: Snapshot = EMPTY
        self._known: set[str] | None = None
        self._database: duckdb.DuckDBPyConnection | None = None
        self._next = self._count = 0
        self._position = position

    @property
    def pending(self) -> int:
        """Rows listed and not taken."""
        return self._count - self._next

    def look(self) -> None:
        """Find the rows that are new in the lake, when none is left from the look before."""
        for attempt in range(TRIES):
            try:
                self._look()
                break
            except _file_gone():
                if attempt == TRIES - 1:
                    raise
                self.snapshot, self._known = EMPTY, None

    def _look(self) -> None:
        while not self.pending:
            before, self.snapshot = self.snapshot, load(self._path, self.snapshot)
            if self._known is None:
                self._begin()
            elif self.snapshot is not before:
                self._learn(_commits(self._path, before.version, self.snapshot.version) or [])
            known = self._known or set()
            if not (new := [file for file in self.snapshot.files if file.path.name not in known]):
                return
            self._list(new)

    def _begin(self) -> None:
        """Known at first: the files that were there when the position was taken, as far as the log still tells."""
        now = self.snapshot
        self._known = set()
        commits = _commits(self._path, self._position.lake_version, now.version)
        if commits is not None:
            added = {path for commit in commits for path in _paths(commit, "add")}
            there = {file.path.name for file in now.files}
            there |= {path for commit in commits for path in _paths(commit, "remove")}
            self._known = there - added
            self._learn(commits)

    def _learn(self, commits: Sequence[Commit]) -> None:
        """A file that was merged from known ones holds nothing new."""
        assert self._known is not None
        for commit in commits:
            removed = _paths(commit, "remove")
            if removed <= self._known and not _changes_data(commit):
                self._known |= _paths(commit, "add")
            self._known -= removed

    def _list(self, files: Sequence[DataFile]) -> None:
        database = self._tell()
        columns = tuple(c for c in ENVELOPE if c.name != "t" or not self._events)
        t = "NULL::VARCHAR AS t" if self._events else "t"
        database.execute(
            "CREATE OR REPLACE TEMP TABLE keys AS "
            "SELECT *, row_number() OVER (ORDER BY ts, writer, seq) AS n FROM ("
            f"SELECT id, writer, seq, epoch_us(ts) AS ts, {t} "
            f"FROM {have_columns(database, read_files(files), columns)} LEFT JOIN marks USING (writer) "
            "WHERE seq >= coalesce(mark, 0) OR id IN (SELECT id FROM waiting) "
            f"ORDER BY ts, writer, seq LIMIT {MOST_KEYS})"
        )
        [(self._count,)] = database.execute("SELECT count(*) FROM keys").fetchall()
        self._next = 0
        if self._count < MOST_KEYS:  # else these files are looked at again for the rest
            self._known = (self._known or set()) | {file.path.name for file in files}

    def _tell(self) -> duckdb.DuckDBPyConnection:
        """A database that has what the position knows as tables."""
        if self._database is None:
            self._database = connect(temporary=self._project.temporary, threads=1)
        marks = self._position.marks
        self._database.execute(
            "CREATE OR REPLACE TEMP TABLE marks AS "
            "SELECT unnest(?::VARCHAR[]) AS writer, unnest(?::BIGINT[]) AS mark",
            [list(marks), [mark[0] for mark in marks.values()]],
        )
        self._database.execute(
            "CREATE OR REPLACE TEMP TABLE waiting AS SELECT unnest(?::VARCHAR[]) AS id",
            [list(self._position.waiting)],
        )
        return self._database

    def take(self, limit: int) -> list[Arrival]:
        """The next rows, in the order they were recorded."""
        assert self._database is not None
        found = self._database.execute(
            "SELECT t, id, writer, seq, ts FROM keys WHERE n > ? AND n <= ? ORDER BY n",
            [self._next, self._next + limit],
        ).fetchall()
        self._next += len(found)
        if self._next >= self._count:
            self._database.execute("DROP TABLE keys")
        return [Arrival(*fields) for fields in found]

    def oldest_us(self) -> int:
        """A time that no row in the lake is older than; 0 when the files do not say."""
        lowest = [file.lowest.get("ts", "") for file in self.snapshot.files]
        if not lowest:
            return _NEVER_US
        first = min(lowest)
        return (
            int(datetime.fromisoformat(first.replace("Z", "+00:00")).timestamp() * 1e6)
            if first
            else 0
        )

    def close(self) -> None:
        if (database := self._database) is not None:
            self._database = None
            database.close()


def _file_gone() -> type[Exception]:
    import duckdb

    return duckdb.IOException


def _paths(commit: Commit, action: str) -> set[str]:
    return {told[action]["path"] for told in commit if action in told}


def _changes_data(commit: Commit) -> bool:
    return any(
        (told.get("add") or told.get("remove") or {}).get("dataChange", False) for told in commit
    )


def _commits(lake: Path, after: int, upto: int) -> list[Commit] | None:
    if not 0 <= after <= upto or upto - after > MOST_COMMITS:
        return [] if after == upto else None
    return commits_after(lake, after, upto)
