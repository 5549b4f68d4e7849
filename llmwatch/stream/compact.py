"""Compaction: sealed spool segments become one Parquet file of the lake, exactly once."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch import settings as _settings
from llmwatch.store import EVENTS, Project
from llmwatch.stream import pieces, quarantine, steps
from llmwatch.stream.columns import LINE_VERSION, Column, fixed, grown, quoted
from llmwatch.stream.duck import Workbench, good, key_types, lake_columns, read_files, read_lines
from llmwatch.stream.lake import Lake, NewFile, locked
from llmwatch.stream.segments import Segment, list_segments, take
from llmwatch.stream.snapshot import DataFile

if TYPE_CHECKING:
    import duckdb

    from llmwatch.settings import Settings

logger = logging.getLogger("llmwatch")

BATCH_BYTES = 192 << 20
"""Spool bytes moved in one commit: bounds the compactor's memory."""
KEPT_BYTES = 96 << 20
"""After a larger batch a worker's memory is given back, though it may need it again."""
GRACE_S = 10.0
"""How long a committed segment stays for readers that had listed it."""


@dataclass
class CompactReport:
    """What one compaction did to one table."""

    table: str
    busy: bool = False
    segments: int = 0
    rows: int = 0
    bad_lines: int = 0
    small_files: int = 0
    left: list[str] = field(default_factory=list)


def compact(
    project: Project,
    table: str,
    *,
    settings: Settings | None = None,
    seal: bool = False,
    bench: Workbench | None = None,
) -> CompactReport:
    """Move every sealed segment of `table` into its lake. `busy` when another process is at it.

    `seal=True` first seals this process's own segment, so that all it wrote is moved. Who compacts often brings a
    `bench`, and closes it.
    """
    del settings
    if seal:
        from llmwatch.stream import spool

        spool.writer(project, table, _settings.current()).rotate()
    report = CompactReport(table)
    with (
        nullcontext(bench) if bench else closing(Workbench()) as database,
        locked(project, table) as mine,
    ):
        if not mine:
            report.busy = True
            return report
        compaction = _Compaction(project, table, report, database)
        while compaction.batch():
            pass
        compaction.delete_committed()
        report.small_files = sum(1 for file in compaction.lake.snapshot.rows if file.size < 16 << 20)
    return report


class _Compaction:
    def __init__(
        self, project: Project, table: str, report: CompactReport, bench: Workbench
    ) -> None:
        self.project, self.table, self.report, self.bench = project, table, report, bench
        self.spool = project.spool(table)
        self.events = table == EVENTS
        self.lake = Lake(project, table)

    def batch(self) -> bool:
        """Take some sealed segments and commit them; False when there is nothing to take."""
        with ExitStack() as held:
            segments = self._take(held)
            if not segments:
                return False
            with self.bench.cleared(self.project.temporary) as connection:
                segments = self._read(connection, segments)
                if not segments:
                    return False
                self._commit(connection, segments)
        if sum(segment.size() for segment in segments) > KEPT_BYTES:
            self.bench.close()
        self.report.segments += len(segments)
        return True

    def _take(self, held: ExitStack) -> list[Segment]:
        """Sealed segments in order of number: after one that is not sealed, none of that writer."""
        taken: list[Segment] = []
        size, blocked = 0, set[str]()
        for segment in list_segments(self.spool):
            if self.lake.snapshot.holds(segment.writer, segment.number) or segment.writer in blocked:
                continue
            if size and size + segment.size() > BATCH_BYTES:
                break
            if str(segment.path) in self.report.left or not held.enter_context(take(segment)):
                blocked.add(segment.writer)
                continue
            taken.append(segment)
            size += segment.size()
        return taken

    def _read(
        self, connection: duckdb.DuckDBPyConnection, segments: list[Segment]
    ) -> list[Segment]:
        """Read the lines into `batch`; segments of a newer llmwatch are left in the spool."""
        columns = fixed(self.events)
        self._load(connection, [segment.path for segment in segments], columns)
        newer = connection.execute(
            "SELECT DISTINCT filename FROM batch WHERE v > ?", [LINE_VERSION]
        ).fetchall()
        for (name,) in newer:
            self.report.left.append(name)
            logger.warning(
                "%s was written by a newer llmwatch and stays in the spool; upgrade this one to compact it", name
            )
        if newer:
            segments = _before_any_of(self.report.left, segments)
            kept = [str(segment.path) for segment in segments]
            connection.execute("DELETE FROM batch WHERE NOT list_contains(?, filename)", [kept])
        bad = connection.execute(
            f"SELECT filename FROM batch WHERE NOT ({good(columns)}) AND t IS DISTINCT FROM 'erased' GROUP BY ALL"
        ).fetchall()
        for (name,) in bad:
            self.report.bad_lines += quarantine.keep_bad_lines(self.project, self.table, name)
        connection.execute(f"DELETE FROM batch WHERE NOT ({good(columns)})")
        return segments

    def _load(
        self, connection: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[Column]
    ) -> None:
        try:
            connection.execute(f"CREATE TEMP TABLE batch AS SELECT * FROM {read_lines(files, columns)}")
        except _duckdb_errors() as error:
            # lines that no row can be so long as, or bytes that DuckDB gives up on: sort them out one by one
            logger.warning("%s: DuckDB cannot read the spool (%s); reading it line by line", self.spool, error)
            copies = [quarantine.readable_copy(file, self.project.temporary) for file in files]
            names = {str(copy): str(file) for copy, file in zip(copies, files, strict=True)}
            connection.execute(f"CREATE TEMP TABLE batch AS SELECT * FROM {read_lines(copies, columns)}")
            for copy, file in names.items():
                connection.execute("UPDATE batch SET filename = ? WHERE filename = ?", [file, copy])
                self.report.bad_lines += quarantine.keep_bad_lines(self.project, self.table, file)
                Path(copy).unlink()

    def _commit(self, connection: duckdb.DuckDBPyConnection, segments: Sequence[Segment]) -> None:
        columns = self.lake.columns
        if not self.events:
            columns = grown(columns, key_types(connection, "batch"))
        self.lake.grow(columns)
        connection.execute(f"CREATE TEMP VIEW shaped AS SELECT {lake_columns(columns)} FROM batch")
        steps.reached("compact.before-write")
        if not self.events and _has_pieces(connection):
            waiting = self.lake.snapshot.pieces
            files = self._write_merged(connection, columns, waiting)
        else:
            waiting = ()
            files = self._write(connection)
        steps.reached("compact.after-write")
        numbers: dict[str, int] = {}
        for segment in segments:
            numbers[segment.writer] = max(segment.number, numbers.get(segment.writer, 0))
        self.lake.commit(files, waiting, committed=numbers)
        self.report.rows += sum(file.rows for file in files if file.path.name.startswith("rows-"))
        for segment in segments:
            _mark_committed(segment)

    def _write(self, connection: duckdb.DuckDBPyConnection) -> list[NewFile]:
        # not sorted: that would cost a third more, and merging sorts
        file = self.lake.write(connection, "rows", "SELECT * FROM shaped")
        return [file] if file else []

    def _write_merged(
        self,
        connection: duckdb.DuckDBPyConnection,
        columns: Sequence[Column],
        waiting: Sequence[DataFile],
    ) -> list[NewFile]:
        """Put pieces of this batch and those that waited together; what is not settled waits on."""
        names = ", ".join(quoted(column.name) for column in columns)
        connection.execute("CREATE TEMP TABLE lines AS FROM shaped")
        if waiting:
            connection.execute(f"INSERT INTO lines BY NAME SELECT * FROM {read_files(waiting)}")
        connection.execute("CREATE TEMP TABLE spoken AS SELECT DISTINCT id FROM lines WHERE t IS NOT NULL")
        connection.execute(f"CREATE TEMP TABLE pieces AS SELECT {names} FROM lines SEMI JOIN spoken USING (id)")
        connection.execute(f"CREATE TEMP TABLE done AS {pieces.settled('pieces')}")
        together = pieces.merged("(FROM pieces SEMI JOIN done USING (id))", columns)
        rows = self.lake.write(
            connection,
            "rows",
            f"SELECT * FROM (SELECT {names} FROM lines ANTI JOIN spoken USING (id) "
            f"UNION ALL {together}) ORDER BY ts, writer, seq",
        )
        parts = self.lake.write(
            connection, "parts", f"SELECT {names} FROM pieces ANTI JOIN done USING (id)"
        )
        return [file for file in (rows, parts) if file]

    def delete_committed(self) -> None:
        """Delete segments that are in the lake, once no reader can still be about to open them."""
        steps.reached("compact.before-delete")
        for segment in list_segments(self.spool):
            if self.lake.snapshot.holds(segment.writer, segment.number) and _is_old(segment):
                segment.path.unlink(missing_ok=True)
                steps.reached("compact.between-deletes")


def _before_any_of(left: Sequence[str], segments: Sequence[Segment]) -> list[Segment]:
    """The segments that may be committed: a number in the lake stands for every lower number of that writer."""
    first: dict[str, int] = {}
    for segment in segments:
        if str(segment.path) in left:
            first[segment.writer] = min(segment.number, first.get(segment.writer, segment.number))
    return [s for s in segments if s.writer not in first or s.number < first[s.writer]]


def _duckdb_errors() -> type[Exception]:
    import duckdb

    return duckdb.Error


def _has_pieces(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT t FROM batch WHERE t <> 'row' LIMIT 1").fetchall())


def _mark_committed(segment: Segment) -> None:
    """The modification time of a committed segment says when it was committed."""
    os.utime(segment.path)


def _is_old(segment: Segment) -> bool:
    try:
        return time.time() - segment.path.stat().st_mtime > GRACE_S
    except FileNotFoundError:
        return False
