"""The worker's part of the drift job: runs that are due, each in a process of its own.

A run takes seconds and some hundred megabytes; in a process of its own neither the worker's other work nor its memory
knows of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING

from llmwatch import clock, faults
from llmwatch.drift.schedule import Job, jobs
from llmwatch.errors import LlmwatchError
from llmwatch.store import ensure

if TYPE_CHECKING:
    from pathlib import Path

    from llmwatch.settings import Settings
    from llmwatch.store import Store

_LOOK_EVERY_S = 5.0
_NAP_S = 0.05
_VERDICTS = {0, 4, 5}


class Scheduled:
    """Starts `llmwatch drift` for each job of the settings files when it is due, one at a time."""

    name = "drift jobs"

    def __init__(self) -> None:
        self._next = 0.0
        self._running: tuple[Job, subprocess.Popen[bytes], IO[bytes]] | None = None

    def tick(self, store: Store, settings: Settings) -> bool:
        del settings
        if self._running is not None:
            return self._looked_after()
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _LOOK_EVERY_S
        due = next((job for job in jobs() if _is_due(store, job)), None)
        if due is None:
            return False
        self._start(store, due)
        return True

    def finish(self, store: Store, settings: Settings) -> None:
        """Every run that is due, to its end: for a worker that runs once."""
        self._next = 0.0
        while self.tick(store, settings):
            time.sleep(_NAP_S)
            self._next = 0.0

    def _start(self, store: Store, job: Job) -> None:
        _write_last(store, job)  # before: a job that fails waits for its next turn like any other
        command = [sys.executable, "-m", "llmwatch", "drift", "--store", str(store.root)]
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the run has ended
        process = subprocess.Popen(
            [*command, "--table", str(job.table), *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "LLMWATCH_WORKER": "false"},
        )
        self._running = job, process, said

    def _looked_after(self) -> bool:
        assert self._running is not None
        job, process, said = self._running
        code = process.poll()
        if code is None:
            return True
        self._running = None
        with said:
            said.seek(0)
            told = said.read(4000).decode("utf-8", "replace").strip()
        if code not in _VERDICTS:
            faults.report(
                f"the drift job of table {job.table} ended with {code}", LlmwatchError(told)
            )
        return True


def _is_due(store: Store, job: Job) -> bool:
    there = store.project(job.table.entity, job.table.project)
    if job.table.table not in there.tables():
        return False
    return clock.now_us() - _last(store, job) >= job.every_us


def _state(store: Store, job: Job) -> Path:
    project = store.project(job.table.entity, job.table.project)
    return project.path / "positions" / "drift-jobs" / f"{job.key}.txt"


def _last(store: Store, job: Job) -> int:
    """When the job was started last; long ago when it never was."""
    try:
        return int(_state(store, job).read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def _write_last(store: Store, job: Job) -> None:
    path = _state(store, job)
    ensure(path.parent)
    draft = path.with_suffix(".tmp")
    draft.write_text(str(clock.now_us()), "ascii")
    draft.replace(path)
