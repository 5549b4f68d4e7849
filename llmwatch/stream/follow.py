"""`Follower`: what is recorded in a table from here on, given to one subscriber at least once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from llmwatch.store import Project
from llmwatch.stream.arrivals import Arrival, LakeArrivals, SegmentGone, fresh_lines, lines_left
from llmwatch.stream.columns import quoted
from llmwatch.stream.positions import Position, path_of
from llmwatch.stream.query import Reader
from llmwatch.stream.segments import Segment, list_segments

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.stream.snapshot import DataFile

MOST_BYTES = 64 << 20
"""Lines of one batch: with large rows a batch has fewer than its limit."""
_UNPACKED = 8
"""About how much larger rows are in memory than in a file."""


class RecordedReader(Reader):
    """A reader of rows as they were recorded: what scores derive of them would be put together for every batch."""

    def refresh(self, tables: Sequence[str], *, derived: bool = True) -> None:
        del derived
        super().refresh(tables, derived=False)


class Follower:
    """Every finished row of a table (every event, for the events), in the order each writer wrote them.

    Rows come at least once: what was given and not committed is given again, by this follower after `rewind()` and
    by the next one of the same `name`. A row that is written in two halves comes when it ended, as whole as it is
    then; with `patched=True` it comes once more when it is patched later (as far as that is seen before the patch
    is folded in). A row that was deleted or erased before its turn does not come. Compaction, merging, rotation and
    retention change nothing of this. One follower of a name at a time; not for several threads at once.

    `start="now"` leaves out what is there when a name is first used, a time in microseconds what was recorded before
    that time; either is remembered from the first use on.
    """

    def __init__(
        self,
        project: Project,
        table: str,
        name: str,
        settings: Settings | None = None,
        *,
        start: Literal["beginning", "now"] | int = "beginning",
        reader: RecordedReader | None = None,
        patched: bool = False,
    ) -> None:
        self.project, self.table, self.name = project, table, name
        self._path = path_of(project, name, table)
        self._reader = reader or RecordedReader(project, settings)
        self._own_reader = reader is None
        self._patched = patched
        self._turn = ""
        self._begin()
        if start != "beginning" and not self._path.exists():
            if start == "now":
                self._skip_what_is_there()
            else:
                self._position.since = start
            self.commit()

    def _begin(self) -> None:
        self._position = Position.load(self._path) or Position()
        self._lake = LakeArrivals(self.project, self.table, self._position)
        self._segments: list[Segment] = []
        self._pruned_at = -1

    def batch(self, limit: int = 1000) -> list[dict[str, Any]]:
        """The next rows, at most `limit`, as recorded, with the columns of the reader's relation; empty when there are none.

        Cheap when nothing is new: one look at a directory and at the end of a log.
        """
        while arrivals := self._arrivals(limit):
            if rows := self._whole(arrivals):
                return rows
        return []

    def commit(self) -> None:
        """Make the position durable: what was given up to now is not given again."""
        self._prune()
        self._position.save(self._path)

    def rewind(self) -> None:
        """Go back to what was last committed."""
        self._lake.close()
        self._begin()

    def lag(self) -> int:
        """About how many rows there are that were not given: exact but for pieces of rows in the spool."""
        waiting = self._look()
        return self._lake.pending + sum(lines_left(segment, self._position) for segment in waiting)

    def close(self) -> None:
        """Let go of what is held in memory. The position stays as it was last committed."""
        self._lake.close()
        if self._own_reader:
            self._reader.close()

    # --- which ones are new ------------------------------------------------------------

    def _look(self) -> list[Segment]:
        """The segments that are not in the lake, the one whose turn it is first."""
        self._segments = list_segments(
            self.project.spool(self.table)
        )  # before the snapshot: see architecture
        self._lake.look()
        snapshot = self._lake.snapshot
        if not self._lake.pending:
            self._position.lake_version = snapshot.version
        return [s for s in self._segments if not snapshot.holds(s.writer, s.number)]

    def _arrivals(self, limit: int) -> list[Arrival]:
        """The next lines that are new; the position stands behind them."""
        while True:
            segments = self._look()
            if not self._lake.pending:  # its rows come before any line of a later segment
                found = self._from_spool(segments, limit)
                return self._arrivals(limit) if found is None else found
            taken = self._lake.take(min(limit, _fitting(self._lake.snapshot.rows)))
            if found := [arrival for arrival in taken if self._pass(arrival)]:
                return found

    def _from_spool(self, segments: Sequence[Segment], limit: int) -> list[Arrival] | None:
        """None when there is nothing here and a segment went into the lake meanwhile."""
        found: list[Arrival] = []
        size = 0
        for segment in _in_turn(segments, self._turn):
            try:
                for arrival, length in fresh_lines(segment, self._position):
                    if self._pass(arrival):
                        found.append(arrival)
                        size += length
                    if len(found) >= limit or size >= MOST_BYTES:
                        self._turn = segment.writer
                        return found
            except SegmentGone:
                return found or None
        return found

    def _pass(self, arrival: Arrival) -> bool:
        """Move the position behind a line; True when that line may finish a row."""
        position, t = self._position, arrival.t
        half_seen = arrival.id in position.waiting
        if position.passed(arrival.writer, arrival.seq):
            return half_seen and t is None  # put together by the compactor since
        position.advance(arrival.writer, arrival.seq, arrival.ts)
        if arrival.ts < position.since:
            return False
        if t == "start" and not half_seen:
            position.wait_for(arrival.id)
            return False
        if t == "end":
            position.wait_for(arrival.id)
        elif t == "delete":
            position.waiting.pop(arrival.id, None)
        return t in {None, "start", "end"} or (t == "patch" and self._patched)

    def _skip_what_is_there(self) -> None:
        while self._arrivals(100_000):
            pass

    # --- what they hold ----------------------------------------------------------------

    def _whole(self, arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
        """The rows that the arrivals finish, each once, as the reader has them now."""
        waiting = self._position.waiting
        plain = [a for a in arrivals if a.t is None and a.id not in waiting]
        others = {a.id for a in arrivals} - {a.id for a in plain}
        found = _by_id(chain(self._read_plain(plain), self._read(others) if others else ()))
        rows: list[dict[str, Any]] = []
        for arrival in arrivals:
            row = _chosen(found.get(arrival.id, []), arrival)
            if row is not None and row.get("status") != "running":
                waiting.pop(arrival.id, None)
                rows.append(row)
        return rows

    def _read_plain(self, arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
        if not arrivals:
            return []
        times = [arrival.ts for arrival in arrivals]
        between = (
            "ts BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT)"  # few files
        )
        return self._read({a.id for a in arrivals}, f" AND {between}", min(times), max(times))

    def _read(self, ids: Iterable[str], also: str = "", *params: int) -> list[dict[str, Any]]:
        return rows_of(self._reader, self.table, ids, also, *params)

    # --- what need not be remembered ---------------------------------------------------

    def _prune(self) -> None:
        """Forget writers of whom nothing is left that could be taken for new."""
        position, names = self._position, {segment.path.name for segment in self._segments}
        position.offsets = {name: end for name, end in position.offsets.items() if name in names}
        version = self._lake.snapshot.version
        if version == self._pruned_at:
            return
        self._pruned_at = version
        oldest, living = self._lake.oldest_us(), {segment.writer for segment in self._segments}
        position.marks = {
            writer: mark
            for writer, mark in position.marks.items()
            if mark[1] >= oldest or writer in living
        }


def rows_of(
    reader: Reader, table: str, ids: Iterable[str], also: str = "", *params: int
) -> list[dict[str, Any]]:
    """The rows with these ids, with the columns of the reader's relation."""
    sql = f"SELECT * FROM main.{quoted(table)} WHERE id IN (SELECT unnest(?::VARCHAR[])){also}"
    return reader.execute(sql, [sorted(ids), *params], [table]).dicts()


def _in_turn(segments: Sequence[Segment], after: str) -> list[Segment]:
    """Each writer's in order; those after the writer that was served last come first."""
    return [*(s for s in segments if s.writer > after), *(s for s in segments if s.writer <= after)]


def _fitting(files: Sequence[DataFile]) -> int:
    """How many rows of these files are safe to hold at once."""
    rows = sum(file.rows for file in files)
    size = sum(file.size for file in files) * _UNPACKED
    return max(16, MOST_BYTES * rows // size) if size else 1000


def _by_id(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row)
    return found


def _chosen(rows: list[dict[str, Any]], arrival: Arrival) -> dict[str, Any] | None:
    """The row that an arrival is about, taken out of `rows`: a foreign id may be there twice."""
    for index, row in enumerate(rows):
        if (row["writer"], row["seq"]) == (arrival.writer, arrival.seq):
            return rows.pop(index)
    return rows.pop() if len(rows) == 1 else None
