"""The worker's first subscribers: spool into lake every few seconds, and what is too old removed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llmwatch import faults
from llmwatch.stream import segments
from llmwatch.stream.duck import Workbench

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmwatch.settings import Settings
    from llmwatch.store import Project, Store

_SWEEP_EVERY_S = 3600.0
_LONGEST_WAIT_S = 600.0
_KEPT_OPEN_S = 10.0
"""A worker that is busy keeps its database and its memory; one that has time gives both back."""


class Backoff:
    """Waits longer after each failure of one thing, so that a broken table does not eat the worker."""

    def __init__(self, first_s: float = 2.0) -> None:
        self._first_s = first_s
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def attempt(self, key: str, action: Callable[[], bool], cause: str) -> bool:
        """What `action` returns; False when it failed (which is reported) or has to wait."""
        if time.monotonic() < self._not_before.get(key, 0.0):
            return False
        failures = self._failures.pop(key, 0) + 1
        self._failures[key] = failures
        self._not_before[key] = time.monotonic() + min(self._first_s * 2**failures, _LONGEST_WAIT_S)
        worked = False
        with faults.contained(cause):
            worked = action()
            del self._failures[key], self._not_before[key]
        return worked


class Compaction:
    """Moves sealed segments into the lake, a table at a time, and merges what became many files."""

    name = "compaction"

    def __init__(self) -> None:
        self._next = 0.0
        self._backoff = Backoff()
        self._bench = Workbench()

    def tick(self, store: Store, settings: Settings) -> bool:
        if time.monotonic() < self._next:
            return False
        worked = False
        for project in store.projects():
            for table in project.all_tables():
                worked |= self._table(project, table, settings)
        self._bench.close_unused(for_s=_KEPT_OPEN_S)
        self._next = time.monotonic() + settings.compact_every_s
        return worked

    def _table(self, project: Project, table: str, settings: Settings) -> bool:
        spool = project.spool(table)
        if not any(segments.is_sealed(segment) for segment in segments.list_segments(spool)):
            return False
        return self._backoff.attempt(
            f"{project.id}/{table}",
            lambda: compact_and_merge(project, table, settings, self._bench),
            f"table {table} of {project.id} could not be compacted. Its rows are kept and can be read, in "
            f"{spool}; it is tried again later. `llmwatch doctor` says more",
        )


    def stop(self) -> None:
        self._bench.close()

    def finish(self, _store: Store, _settings: Settings) -> None:
        self._bench.close()


def compact_and_merge(
    project: Project, table: str, settings: Settings, bench: Workbench | None = None
) -> bool:
    """Compact one table; True when rows were moved."""
    from llmwatch.stream import compact, merge

    report = compact.compact(project, table, settings=settings, bench=bench)
    if report.small_files:
        merge.merge_small(project, table, settings=settings)
    return bool(report.rows)


class Retention:
    """Removes what is older or larger than the settings allow, and folds scores of the past into files, hourly."""

    name = "retention"

    def __init__(self) -> None:
        self._next = 0.0
        self._backoff = Backoff(first_s=60.0)

    def tick(self, store: Store, settings: Settings) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _SWEEP_EVERY_S
        for project in store.projects():
            self._backoff.attempt(
                project.id,
                lambda project=project: sweep(project, settings),  # type: ignore[misc]
                f"what is too old in {project.id} could not be removed; it is tried again in an hour",
            )
        return False


def sweep(project: Project, settings: Settings) -> bool:
    from llmwatch.stream import merge, retention

    retention.sweep(project, settings=settings)
    for table in project.tables():
        merge.fold_late_scores(project, table)
    return True
