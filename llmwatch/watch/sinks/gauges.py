"""The latest value of every metric of every set and group, as long as it is news."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llmwatch import clock
from llmwatch.watch.sinks.labels import Bounded
from llmwatch.watch.sinks.metric_rows import TABLES, Key, MetricRow, said_since

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

MOST_GROUPS = 500
"""Groups of one metric set that have gauges; the rows of further ones are left out, and counted."""
_FIRST_LOOK_US = 26 * 3600 * 1_000_000  # a day's window is told once, when it is over
_MARGIN_US = 60_000_000
_STALE_WINDOWS, _STALE_S = 3, 300


class _Point(NamedTuple):
    window_start: int
    said_us: int
    value: float


@dataclass
class Line:
    """The metrics of one set, window length and group."""

    row: MetricRow
    """The latest window."""
    points: dict[str, _Point] = field(default_factory=dict)

    def take(self, row: MetricRow) -> None:
        if row.window_start >= self.row.window_start:
            self.row = row
        for name, value in row.values.items():
            before = self.points.get(name)
            if before is None or row.window_start >= before.window_start:
                self.points[name] = _Point(row.window_start, row.said_us, value)

    def current(self, now_us: int) -> dict[str, float]:
        """What was said lately: a metric that nobody tells any more has no value rather than an old one."""
        oldest = now_us - max(_STALE_WINDOWS * self.row.window_s, _STALE_S) * 1_000_000
        return {name: point.value for name, point in self.points.items() if point.said_us >= oldest}


class Gauges:
    """The lines of a project's tables `metrics` and `drift`, brought up to date by reading what is new."""

    def __init__(self, project: Project, reader: Reader) -> None:
        self.project, self._reader = project, reader
        self._lines: dict[Key, Line] = {}
        self._bounds: dict[str, Bounded] = {}
        self._since = dict.fromkeys(TABLES, clock.now_us() - _FIRST_LOOK_US)

    def refresh(self) -> None:
        there = self.project.tables()
        for table, since in self._since.items():
            if table in there:
                self._since[table] = self._taken(table, since)

    def _taken(self, table: str, since: int) -> int:
        """Take what a table says since then; from when on to look the next time."""
        newest = since
        for row in said_since(self._reader, since, table):
            newest = max(newest, row.said_us - _MARGIN_US)
            self._take(row)
        return newest

    def _take(self, row: MetricRow) -> None:
        bound = self._bounds.setdefault(row.set, Bounded(MOST_GROUPS))
        if bound.lets(row.key):
            self._lines.setdefault(row.key, Line(row)).take(row)

    def lines(self) -> Iterator[tuple[MetricRow, dict[str, float]]]:
        """For each line its latest window and the values that are news."""
        now = clock.now_us()
        for line in self._lines.values():
            if values := line.current(now):
                yield line.row, values

    @property
    def left_out(self) -> dict[str, int]:
        """How many rows of each set were beyond the bound."""
        return {name: bound.refused for name, bound in self._bounds.items() if bound.refused}
