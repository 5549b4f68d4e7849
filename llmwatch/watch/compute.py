"""`measure`: the values of a metric set over any window, from the parts that are kept and the rows that are not in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import settings as settings_
from llmwatch.errors import NotFound, SettingsError
from llmwatch.names import parse_table
from llmwatch.store import Project, open_store
from llmwatch.stream.query import Reader
from llmwatch.watch import kept
from llmwatch.watch.baselines import Baselines
from llmwatch.watch.cells import Cell, Groups, Maker, group_name
from llmwatch.watch.families.measure import Values
from llmwatch.watch.reading import read
from llmwatch.watch.sets import MetricSet
from llmwatch.watch.state import State
from llmwatch.watch.windows import SECOND_US, Window, asked

if TYPE_CHECKING:
    from llmwatch.settings import Settings

Told = Window | str | tuple[datetime, datetime]


def measure(
    project: Project | str | None,
    metric_set: MetricSet | str,
    window: Told = "1h",
    group: Mapping[str, Any] | None = None,
    *,
    settings: Settings | None = None,
) -> Values:
    """The metrics of a set over a window, by name; None where a value is not known.

    `window` is `"1h"` (the last hour), or a pair of aware datetimes. `group` picks one group of a group-by of the set:
    `{"model": "gpt-4o"}`. `metric_set` is a `MetricSet`, or the name of one in the settings files. What the worker has
    worked out already is not read again.
    """
    metric_set = _set(metric_set, project)
    place = _project(project, metric_set)
    with_ = Measuring(place, metric_set, settings or settings_.current())
    try:
        return with_.values(asked(window), group or {})
    finally:
        with_.close()


class Measuring:
    """Measures a metric set again and again."""

    def __init__(
        self, project: Project, told: MetricSet, settings: Settings, reader: Reader | None = None
    ) -> None:
        self.project, self.maker = project, Maker(told)
        self._reader, self._own = reader or Reader(project, settings), reader is None
        self.baselines = Baselines(self.maker, self._reader)
        self.state: State | None = None
        """What the watch remembers; None: as it last wrote it."""

    def close(self) -> None:
        if self._own:
            self._reader.close()

    def values(self, window: Window, group: Mapping[str, Any]) -> Values:
        """The values of one group."""
        number, name = _place(self.maker.set, group)
        cell = self._cell(window, number, name)
        if cell is None:
            cell = self.maker.empty(self.maker.ask(self._reader))
        usual = (
            self.baselines.usual(window, lambda past: self._cell(past, number, name))
            if self.baselines.any
            else ()
        )
        found = self.maker.values(cell, window.length_s, usual)
        return {name: found.get(name) for name in dict.fromkeys([*self.maker.set.names(), *found])}

    def groups(self, window: Window, number: int = 0) -> Groups:
        """The cells of every group of a group-by."""
        covered = self._covered(window)
        if covered is None:
            return self._from_rows(window, number)
        found = list(kept.read(self._reader, self.maker, number, covered).values())
        sides = (
            Window(window.start_us, covered.start_us),
            Window(covered.end_us, window.end_us),
        )
        found += [self._from_rows(side, number) for side in sides if side.start_us < side.end_us]
        return self.maker.merge_groups(found)

    def _cell(self, window: Window, number: int, name: str) -> Cell | None:
        return self.groups(window, number).get(name)

    def _covered(self, window: Window) -> Window | None:
        """What of a window is in kept cells: whole minutes that the worker has looked at."""
        span = (self.state or State.load(self.project)).covered(self.maker.key)
        if span is None:
            return None
        start, end = max(window.start_us, span[0]), min(window.end_us, span[1])
        start = -(-start // (60 * SECOND_US)) * 60 * SECOND_US
        end = end // (60 * SECOND_US) * 60 * SECOND_US
        return Window(start, end) if start < end else None

    def _from_rows(self, window: Window, number: int) -> Groups:
        ask = self.maker.ask(self._reader)
        exact = (window.start_us, window.end_us)
        frame = read(self._reader, ask, [exact])
        return self.maker.whole(frame, number)


def _place(told: MetricSet, group: Mapping[str, Any]) -> tuple[int, str]:
    """Which group-by a group is of, and its name there."""
    for number, names in enumerate(told.groupings):
        if set(names) == set(group):
            return number, group_name({name: _text(group[name]) for name in names})
    known = ", ".join(" and ".join(names) for names in told.groupings if names) or "nothing"
    raise SettingsError(
        f"metric set {told.name} is grouped by {known}, not by {' and '.join(group)}: add it to `by`"
    )


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _set(told: MetricSet | str, project: Project | str | None) -> MetricSet:
    if isinstance(told, MetricSet):
        return told
    from llmwatch.watch import default_sets
    from llmwatch.watch.declarations import declared

    for one in declared():
        if one.name == told:
            return one
    if told == default_sets.NAME and project is not None:
        return default_sets.default(project.id if isinstance(project, Project) else project)
    raise NotFound(f"the settings files declare no metric set {told!r} ([[watch.metrics]])")


def _project(told: Project | str | None, metric_set: MetricSet) -> Project:
    if isinstance(told, Project):
        return told
    parsed = parse_table(f"{told}/x") if told else parse_table(metric_set.table)
    return open_store().project(parsed.entity, parsed.project)
