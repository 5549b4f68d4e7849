"""Commits to a table's Delta log, through delta-rs. Used by whoever holds the table's lock, never in a reader."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.store import EVENTS, Project, ensure
from llmwatch.stream import fork, steps
from llmwatch.stream.columns import Column, delta_field, fixed, literal, quoted
from llmwatch.stream.snapshot import DataFile, Snapshot, load

if TYPE_CHECKING:
    import duckdb
    from deltalake import DeltaTable

CONFIGURATION = {
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 1 days",
    # far longer than a segment of a crashed host can wait to be taken, or its rows would double
    "delta.setTransactionRetentionDuration": "interval 3650 days",
}
STATISTICS = ("ts", "id", "trace_id")
"""Columns with a lowest and highest value in the log: order, look-up by id, look-up by trace. No user text."""


def locked(project: Project, table: str, *, wait: bool = False) -> AbstractContextManager[bool]:
    """The right to change a table's lake; False when another process has it."""
    return fork.alone(project.lock(table), wait=wait)


@dataclass(frozen=True)
class NewFile:
    """A Parquet file that is written and synced, and not yet in any commit."""

    path: Path
    rows: int
    statistics: str


class Lake:
    """A table's Delta log, opened to commit to it."""

    def __init__(self, project: Project, table: str) -> None:
        self.project, self.table = project, table
        self.path = project.lake(table)
        self._is_events = table == EVENTS
        self.snapshot = load(self.path)
        self._delta: DeltaTable | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.snapshot.columns or fixed(self._is_events)

    def refresh(self) -> Snapshot:
        self.snapshot = load(self.path, self.snapshot)
        return self.snapshot

    def grow(self, columns: Sequence[Column]) -> None:
        """Make the table hold `columns`: create it, add what is new, mark what widened."""
        if self.snapshot.version < 0:
            self._create(columns)
        known = {column.name: column for column in self.columns}
        if added := [column for column in columns if column.name not in known]:
            self._open().alter.add_columns([_field(column) for column in added])
        for column in columns:
            if column.widened and not known.get(column.name, column).widened:
                self._open().alter.set_column_metadata(column.name, _metadata(column))
        self.refresh()

    def _create(self, columns: Sequence[Column]) -> None:
        from deltalake import DeltaTable, Schema

        ensure(self.path)
        schema = Schema([_field(column) for column in columns])
        DeltaTable.create(str(self.path), schema=schema, configuration=dict(CONFIGURATION))
        _make_private(self.path / "_delta_log")
        self.refresh()

    def left_files(self, older_than_s: float) -> list[Path]:
        """Parquet files that no snapshot of the last `older_than_s` seconds holds."""
        hours = max(0, int(older_than_s // 3600))
        if older_than_s and not hours:
            hours = 1
        names = self._open().vacuum(
            retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True
        )
        ours = (self.path / name for name in names if name.endswith(".parquet") and "/" not in name)
        return [
            path for path in ours if path.exists()
        ]  # the log still names what an earlier vacuum deleted

    def _open(self) -> DeltaTable:
        from deltalake import DeltaTable

        if self._delta is None:
            self._delta = DeltaTable(str(self.path))
        else:
            self._delta.update_incremental()
        return self._delta

    def write(
        self, connection: duckdb.DuckDBPyConnection, kind: str, select: str
    ) -> NewFile | None:
        """Write what `select` gives as one Parquet file; None when it gives nothing."""
        path = self.path / f"{kind}-{uuid.uuid4().hex}.parquet"
        ensure(self.path)
        connection.execute(
            f"COPY ({select}) TO {literal(str(path))} "
            "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 8192)"
        )
        path.chmod(0o600)
        rows, statistics = _statistics(connection, path)
        if rows == 0:
            path.unlink()
            return None
        _sync(path)
        return NewFile(path, rows, statistics)

    def commit(
        self,
        add: Sequence[NewFile],
        remove: Sequence[DataFile] = (),
        *,
        committed: Mapping[str, int] | None = None,
        same_rows: bool = False,
    ) -> Snapshot:
        """Replace files and record segments as taken, in one commit or not at all."""
        from deltalake.transaction import CommitProperties, Transaction

        now = int(time.time() * 1000)
        delta = self._open()
        transactions = [Transaction(writer, n, now) for writer, n in (committed or {}).items()]
        steps.reached("lake.before-commit")
        delta.create_write_transaction(
            [
                *(_added(file, now, same_rows) for file in add),
                *(_removed(file, now, same_rows) for file in remove),
            ],
            mode="append",
            schema=delta.schema(),
            commit_properties=CommitProperties(app_transactions=transactions),
        )
        steps.reached("lake.after-commit")
        return self.refresh()


def _added(file: NewFile, now: int, same_rows: bool):  # type: ignore[no-untyped-def]
    from deltalake.transaction import AddAction

    size = file.path.stat().st_size
    return AddAction(file.path.name, size, {}, now, not same_rows, file.statistics)


def _removed(file: DataFile, now: int, same_rows: bool):  # type: ignore[no-untyped-def]
    from deltalake.transaction import RemoveAction

    return RemoveAction(file.path.name, not same_rows, now, file.size)


def _field(column: Column):  # type: ignore[no-untyped-def]
    from deltalake import Field

    return Field.from_json(json.dumps(delta_field(column)))


def _metadata(column: Column) -> dict[str, str]:
    metadata = delta_field(column)["metadata"]
    assert isinstance(metadata, dict)
    return metadata


def _statistics(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, str]:
    written = connection.execute("SELECT * FROM read_parquet(?) LIMIT 0", [str(path)]).description
    names = [name for name in STATISTICS if name in {column[0] for column in written or ()}]
    bounds = ", ".join(f"min({_bound(name)}), max({_bound(name)})" for name in names)
    row = connection.execute(
        f"SELECT count(*), {bounds} FROM read_parquet(?)", [str(path)]
    ).fetchone()
    assert row is not None
    lowest = {
        name: _told(value)
        for name, value in zip(names, row[1::2], strict=True)
        if value is not None
    }
    highest = {
        name: _told(value, up=True)
        for name, value in zip(names, row[2::2], strict=True)
        if value is not None
    }
    told = {"numRecords": row[0], "minValues": lowest, "maxValues": highest}
    return row[0], json.dumps(told)


def _bound(name: str) -> str:
    return "epoch_us(ts)" if name == "ts" else quoted(name)


def _told(value: str | int, *, up: bool = False) -> str:
    """A bound as Delta writes it: times in whole milliseconds, rounded outwards."""
    if isinstance(value, str):
        return value
    moment = datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=value // 1000 + up)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sync(path: Path) -> None:
    for target, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        fd = os.open(target, flags | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _make_private(directory: Path) -> None:
    """delta-rs makes files by the umask; the directory above them keeps others out."""
    directory.chmod(0o700)
