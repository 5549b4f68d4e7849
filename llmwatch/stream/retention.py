"""What is old goes: retention by age, a cap on the store's size, and files that nothing refers to."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch import settings as _settings
from llmwatch.store import EVENTS, VECTORS, Project, Store
from llmwatch.stream import holds, media_files, steps
from llmwatch.stream.lake import Lake, locked
from llmwatch.stream.merge import merge_small
from llmwatch.stream.snapshot import DataFile

if TYPE_CHECKING:
    from llmwatch.settings import Settings

logger = logging.getLogger("llmwatch")


@dataclass
class Removed:
    """What a sweep or a vacuum took away."""

    rows: int = 0
    files: int = 0
    bytes: int = 0
    media: int = 0
    needed: int = 0
    """Rows that waited to be sent elsewhere, past what may wait."""

    def add(self, file: DataFile, *, needed: bool = False) -> None:
        self.rows += file.rows
        self.needed += file.rows if needed else 0
        self.files += 1
        self.bytes += file.size


def sweep(project: Project, *, settings: Settings | None = None) -> Removed:
    """Apply the retention of the settings to a project: whole files, by the time of their newest row."""
    settings = settings or _settings.current()
    removed = Removed()
    tables = [*project.tables(), VECTORS, EVENTS]  # what was published (objects, datasets) stays
    held = holds.held(project, [(t, f) for t in tables for f in _rows(project, t)], _newest)
    if settings.retention_days:
        cutoff = time.time() - settings.retention_days * 86400
        for table in tables:
            _drop(project, table, lambda f, c=cutoff: _newest(f) < c and f.path not in held, removed)
    _keep_under_cap(project, settings, removed, held)
    if removed.needed:
        holds.note_dropped(project, removed.needed)
    if removed.files:
        logger.warning(
            "%s: retention removed %d rows in %d files (older than %s days, or the store was over %s GiB)",
            project.id, removed.rows, removed.files, settings.retention_days, settings.max_store_gb,
        )  # fmt: skip
        removed.media = media_files.remove_unreferenced(project)
    vacuum(project, older_than_s=settings.vacuum_after_s)
    return removed


def _keep_under_cap(project: Project, settings: Settings, removed: Removed, held: set[Path]) -> None:
    if not settings.max_store_gb:
        return
    over = size_of(project.store.root) - int(settings.max_store_gb * (1 << 30))
    if over <= 0:
        return
    files = [
        (_newest(file), table, file) for table in project.tables() for file in _rows(project, table)
    ]
    for _, table, file in sorted(files, key=lambda entry: entry[0]):
        if over <= 0:
            break
        if file.path in held:
            continue
        _drop(project, table, lambda other, f=file: other.path == f.path, removed)
        over -= file.size
    vacuum(project, older_than_s=0)


def _rows(project: Project, table: str) -> tuple[DataFile, ...]:
    return Lake(project, table).snapshot.rows if project.lake(table).is_dir() else ()


def _drop(project: Project, table: str, is_old, removed: Removed) -> None:  # type: ignore[no-untyped-def]
    if not project.lake(table).is_dir():
        return
    with locked(project, table) as mine:
        if not mine:
            return
        lake = Lake(project, table)
        old = [file for file in lake.snapshot.rows if is_old(file)]
        if old:
            lake.commit([], old)
        since = holds.needed(project).of(table)
        for file in old:
            removed.add(file, needed=_newest(file) >= since)


def _newest(file: DataFile) -> float:
    """When the newest row of a file was written; never old when the file does not say."""
    text = file.highest.get("ts")
    if text is None:
        return float("inf")
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp()


def vacuum(
    project: Project, table: str | None = None, *, older_than_s: float = 3600, fold: bool = False
) -> Removed:
    """Delete files that left the lake more than `older_than_s` ago. `fold` first removes deleted rows for good."""
    removed = Removed()
    for path in project.temporary.glob("*"):
        if time.time() - path.stat().st_mtime > 86400:  # of a process that died
            shutil.rmtree(path, ignore_errors=True)
    for name in [table] if table else project.all_tables():
        if fold:
            merge_small(project, name, everything=True)
        _vacuum_table(project, name, older_than_s, removed)
    return removed


def _vacuum_table(project: Project, table: str, older_than_s: float, removed: Removed) -> None:
    if not project.lake(table).is_dir():
        return
    with locked(project, table) as mine:
        if not mine:
            return
        lake = Lake(project, table)
        if lake.snapshot.version < 0:
            return
        for path in lake.left_files(older_than_s):
            removed.bytes += path.stat().st_size
            removed.files += 1
            path.unlink(missing_ok=True)
            steps.reached("vacuum.between-deletes")


def size_of(directory: Path) -> int:
    """Bytes of every file under a directory, as far as they are still there."""
    total = 0
    for path in directory.rglob("*"):
        try:
            if path.is_file():
                total += path.stat().st_size
        except OSError:
            continue
    return total


def store_size(store: Store) -> int:
    return size_of(store.root)
