"""Rows and events that were recorded before, written to the spool once more with the times they had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch.stream.spool import Writer

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project

_FOR_EVER_US = 1 << 62


class Replay:
    """Appends lines at given times. A writer's times never decrease, so an earlier one begins another writer."""

    def __init__(self, project: Project, table: str, settings: Settings) -> None:
        self._of = project, table, settings
        self._writer = _PastWriter(*self._of)
        self.oldest: int | None = None

    def append(self, t: str, body: bytes, ts: int) -> bool:
        """As `Writer.append`, at the time `ts`."""
        if ts < self._writer.time:
            self._writer.close()
            self._writer = _PastWriter(*self._of)
        self._writer.time = ts
        self.oldest = ts if self.oldest is None else min(self.oldest, ts)
        return self._writer.append(t, body)

    def close(self) -> None:
        """Make what was written safe, and let the worker take it over."""
        self._writer.flush(fsync=True)
        self._writer.close()


class _PastWriter(Writer):
    """A writer whose clock is the row's."""

    def __init__(self, project: Project, table: str, settings: Settings) -> None:
        self.time = 0
        super().__init__(project, table, settings)
        self._now = lambda: self.time

    def configure(self, settings: Settings) -> None:
        super().configure(settings)
        self._max_age_us = _FOR_EVER_US  # a second of then is not a second of now: only size seals
