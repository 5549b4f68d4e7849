"""Small files become larger, sorted ones; pieces that waited are folded into the rows they speak of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmwatch.store import EVENTS, Project
from llmwatch.stream import derived, pieces, steps
from llmwatch.stream.columns import Column, quoted
from llmwatch.stream.duck import connect, have_columns, read_files
from llmwatch.stream.lake import Lake, NewFile, locked
from llmwatch.stream.snapshot import DataFile, load

if TYPE_CHECKING:
    import duckdb

    from llmwatch.settings import Settings

TIERS = ((8 << 20, 8), (48 << 20, 6))
"""Files below this size are merged once there are this many of them."""
TARGET_BYTES = 128 << 20
MANY_PIECES = 500
MANY_LATE = 20_000
"""Rows of one file that were scored after it was merged: then it is written anew with what was found."""
PIECES_KEPT_US = 7 * 24 * 3600 * 1_000_000
"""A patch or delete waits this long for a row that has not come."""


@dataclass
class MergeReport:
    """What one merge did to one table."""

    table: str
    busy: bool = False
    merged: int = 0
    into: int = 0
    folded: int = 0


def merge_small(
    project: Project, table: str, *, settings: Settings | None = None, everything: bool = False
) -> MergeReport:
    """Merge small files where there are many of them; `everything` merges and folds whatever there is."""
    del settings
    report = MergeReport(table)
    if not project.lake(table).is_dir():
        return report
    with locked(project, table) as mine:
        if not mine:
            report.busy = True
            return report
        lake = Lake(project, table)
        if table != EVENTS and _worth_folding(lake, everything):
            _fold(lake, report)
        large = everything
        while group := _group(lake.snapshot.rows, everything):
            _merge(lake, group, report)
            large |= max(file.size for file in group) > TIERS[0][0]
        if large and not table.startswith("_"):
            # seldom: it looks at every id
            _fold_late_scores(lake, report, at_least=1 if everything else MANY_LATE)
    return report


def _group(files: Sequence[DataFile], everything: bool) -> list[DataFile]:
    """Files to merge into one: the oldest of the lowest tier that has enough."""
    for below, enough in TIERS:
        small = sorted((file for file in files if file.size < below), key=_lowest)
        if len(small) >= (2 if everything else enough):
            return _up_to(TARGET_BYTES, small)
    return []


def _up_to(target: int, files: Sequence[DataFile]) -> list[DataFile]:
    chosen: list[DataFile] = []
    total = 0
    for file in files:
        total += file.size
        if total > target and len(chosen) > 1:
            break
        chosen.append(file)
    return chosen


def _lowest(file: DataFile) -> str:
    return file.lowest.get("ts", "")


def _merge(lake: Lake, files: Sequence[DataFile], report: MergeReport) -> None:
    steps.reached("merge.before-write")
    with _connection(lake) as connection:
        rows = have_columns(connection, read_files(files), lake.columns)
        if not lake.table.startswith("_"):
            rows = derived.folded(connection, _events(lake, files), lake.table, rows, lake.columns)
        file = lake.write(connection, "rows", f"SELECT * FROM {rows} ORDER BY ts, writer, seq")
    steps.reached("merge.after-write")
    lake.commit([file] if file else [], files, same_rows=True)
    report.merged += len(files)
    report.into += 1


def _connection(lake: Lake) -> duckdb.DuckDBPyConnection:
    return connect(temporary=lake.project.temporary, threads=1, memory="1500MB")


# --- what scorers found ------------------------------------------------------------------


def _events(lake: Lake, files: Sequence[DataFile]) -> list[DataFile]:
    """The files of events that can speak of rows in these files: nobody scores a row before it is there."""
    first = min((_lowest(file) for file in files), default="")
    events = load(lake.project.lake(EVENTS)).rows
    return [file for file in events if file.highest.get("ts", "~") >= first]


def fold_late_scores(project: Project, table: str) -> None:
    """Write anew the files of a table in which many rows were scored late, as after scoring the past; others are left."""
    with locked(project, table) as mine:
        if mine and project.lake(table).is_dir() and not table.startswith("_"):
            _fold_late_scores(Lake(project, table), MergeReport(table), at_least=MANY_LATE)


def _fold_late_scores(lake: Lake, report: MergeReport, *, at_least: int) -> None:
    """Write anew the files in which many rows were scored since they were merged. Of the rows, only that changes."""
    rows = lake.snapshot.rows
    if not (rows and (events := _events(lake, rows))):
        return
    with _connection(lake) as connection:
        late = derived.late(connection, events, lake.table, rows)
    for file in rows:
        if late.get(str(file.path), 0) >= at_least:
            _merge(lake, [file], report)


# --- folding -----------------------------------------------------------------------------


def _worth_folding(lake: Lake, everything: bool) -> bool:
    waiting = sum(file.rows for file in lake.snapshot.pieces)
    return waiting > 0 if everything else waiting >= MANY_PIECES


def _fold(lake: Lake, report: MergeReport) -> None:
    """Rewrite the files that hold rows which pieces speak of; other pieces wait on."""
    columns, waiting = lake.columns, lake.snapshot.pieces
    with _connection(lake) as connection:
        connection.execute(
            f"CREATE TABLE pieces AS SELECT * FROM {have_columns(connection, read_files(waiting), columns)}"
        )
        touched = _files_with(connection, lake.snapshot.rows)
        files = _folded(lake, connection, touched, columns)
        steps.reached("merge.after-write")
        lake.commit(files, [*touched, *waiting])
    report.folded += len(touched)


def _files_with(connection: duckdb.DuckDBPyConnection, files: Sequence[DataFile]) -> list[DataFile]:
    if not files:
        return []
    source = read_files(files).replace("union_by_name = true", "union_by_name = true, filename = true")
    connection.execute(
        f"CREATE TABLE found AS SELECT DISTINCT id, filename FROM {source} SEMI JOIN pieces USING (id)"
    )
    names = {row[0] for row in connection.execute("SELECT DISTINCT filename FROM found").fetchall()}
    return [file for file in files if str(file.path) in names]


def _folded(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    touched: Sequence[DataFile],
    columns: Sequence[Column],
) -> list[NewFile]:
    names = ", ".join(quoted(column.name) for column in columns)
    written: list[NewFile | None] = []
    for file in touched:
        rows = have_columns(connection, read_files([file]), columns)
        ours = f"(SELECT {names} FROM pieces SEMI JOIN (SELECT id FROM {rows}) USING (id))"
        whole = pieces.whole_relation(rows, ours, columns)
        written.append(lake.write(connection, "rows", f"SELECT * FROM ({whole}) ORDER BY ts, writer, seq"))
    found = "SEMI JOIN found USING (id)" if touched else "WHERE false"
    expired = int(time.time() * 1e6) - PIECES_KEPT_US
    kept = (
        f"SELECT {names} FROM pieces WHERE id NOT IN (SELECT id FROM pieces {found}) "
        f"AND (id IN (SELECT id FROM pieces WHERE t IN ('start', 'end')) OR epoch_us(ts) > {expired})"
    )
    written.append(lake.write(connection, "parts", kept))
    return [file for file in written if file is not None]
