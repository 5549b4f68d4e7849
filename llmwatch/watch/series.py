"""What rules look at: the metrics that were told of each window, and the runs of the drift job, as series in time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

Value = float | None

MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
DRIFT = "drift"
"""The name under which runs of the drift job stand among the metric sets."""
EVERY_ROW = "{}"
"""The group of all rows together."""


@dataclass(frozen=True, order=True)
class Source:
    """Whose metrics they are: a set of a table, and a group of its rows (JSON text, as in the table `metrics`)."""

    table: str
    set: str
    group: str = EVERY_ROW


@dataclass
class Series:
    """Windows of one source in order, by the microsecond that they end at; what is not known of one is None."""

    window_us: int
    ends: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    values: dict[str, list[Value]] = field(default_factory=dict)
    lasting: dict[str, list[tuple[int, int, float]]] = field(default_factory=dict)
    """Of windows that were told before they were over, each telling: when it was, when the window began, the value."""

    def add_lasting(self, told_us: int, start_us: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            insort(self.lasting.setdefault(name, []), (told_us, start_us, value))

    def so_far(self, metric: str, at_us: int) -> tuple[int, float] | None:
        """When the window in which that moment is began, and what it had come to as it was told last."""
        tellings = self.lasting.get(metric, [])
        place = bisect_right(tellings, at_us, key=lambda telling: telling[0]) - 1
        if place < 0:
            return None
        _, start, value = tellings[place]
        return (start, value) if start <= at_us < start + self.window_us else None

    def add(self, end_us: int, rows: int, values: Mapping[str, Value]) -> None:
        """A window; told anew, the last telling holds. Quick when they come in order."""
        place = len(self.ends)
        if place and end_us <= self.ends[-1]:
            place = bisect_left(self.ends, end_us)
        if place == len(self.ends) or self.ends[place] != end_us:
            self.ends.insert(place, end_us)
            self.rows.insert(place, rows)
            for column in self.values.values():
                column.insert(place, None)
        self.rows[place] = rows
        for name in self.values.keys() | values.keys():
            self._column(name)[place] = values.get(name)

    def _column(self, name: str) -> list[Value]:
        if name not in self.values:
            self.values[name] = [None] * len(self.ends)
        return self.values[name]

    def index(self, at_us: int) -> int | None:
        """The place of the newest window that had ended then."""
        found = bisect_right(self.ends, at_us) - 1
        return found if found >= 0 else None

    def value(self, metric: str, index: int) -> Value:
        column = self.values.get(metric)
        return column[index] if column is not None else None

    def last(self, metric: str, index: int, count: int) -> list[float]:
        """The newest `count` known values up to that window, oldest first."""
        found: list[float] = []
        for place in range(index, -1, -1):
            value = self.value(metric, place)
            if value is not None:
                found.append(value)
                if len(found) == count:
                    break
        return found[::-1]

    def between(self, metric: str, after_us: int, until_us: int) -> list[float]:
        """The known values of windows that ended after one time and by the other."""
        places = range(bisect_right(self.ends, after_us), bisect_right(self.ends, until_us))
        return [value for i in places if (value := self.value(metric, i)) is not None]

    def told(self, pattern: str) -> Iterable[str]:
        """The metrics of this source with such a name (`features/*_null_rate`)."""
        names = self.values.keys() | self.lasting.keys()
        return sorted(name for name in names if fnmatchcase(name, pattern))


@dataclass
class Known:
    """Everything that a look at the rules has before it."""

    series: dict[Source, Series] = field(default_factory=dict)

    def of(self, source: Source, window_us: int) -> Series:
        if source not in self.series:
            self.series[source] = Series(window_us)
        return self.series[source]

    def sources(
        self, metric: str, set_: str | None, table: str | None, by: Sequence[str]
    ) -> list[Source]:
        """Those that tell a metric. Where no set is named, the one of each table with the shortest windows."""
        found = [
            source
            for source, series in self.series.items()
            if (set_ is None or source.set == set_)
            and (table is None or source.table == table.rpartition("/")[2])
            and keys_of(source.group) == frozenset(by)
            and (metric == "*" or any(True for _ in series.told(metric)))
        ]
        return sorted(found if set_ is not None else self._one_set_a_table(found))

    def _one_set_a_table(self, sources: Sequence[Source]) -> list[Source]:
        chosen: dict[str, tuple[int, str]] = {}
        for source in sources:
            offered = self.series[source].window_us, source.set
            chosen[source.table] = min(chosen.get(source.table, offered), offered)
        return [source for source in sources if source.set == chosen[source.table][1]]


def keys_of(group: str) -> frozenset[str]:
    """The dimensions of a group.

    >>> sorted(keys_of('{"model": "small", "op": "answer"}'))
    ['model', 'op']
    """
    return frozenset(_parsed(group))


def in_words(group: str) -> str:
    """A group as a person says it; nothing for all rows together.

    >>> in_words('{"model": "small", "op": null}')
    'model small, op unknown'
    """
    told = _parsed(group)
    return ", ".join(f"{k} {'unknown' if v is None else v}" for k, v in told.items())


def _parsed(group: str) -> dict[str, Any]:
    import orjson

    if group == EVERY_ROW:
        return {}
    try:
        told = orjson.loads(group)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
