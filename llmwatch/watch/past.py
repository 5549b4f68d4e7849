"""Windows from before a metric set was kept, told after all: from the rows themselves, each as when it was over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llmwatch import clock
from llmwatch.stream.query import Reader
from llmwatch.stream.table import StreamTable
from llmwatch.watch import names
from llmwatch.watch.cells import EVERY_ROW, Groups, Maker
from llmwatch.watch.keeper import GRACE_US, row_of
from llmwatch.watch.reading import Frame, read
from llmwatch.watch.windows import DAY_US, Window, between, window_of

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.watch.sets import MetricSet

Told = tuple[Window, dict[str, Any]]


def tell(
    project: Project,
    sets: Sequence[MetricSet],
    from_us: int,
    until_us: int,
    settings: Settings,
    passed: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the windows that end in a stretch of time to the table `metrics`, as the watch would have then.

    A set with a baseline is compared with nothing; windows are of a day at most; `passed` hears of each day.
    """
    reader = Reader(project, settings)
    results = StreamTable(f"{project.id}/{names.TABLE}", store=project.store.root)
    try:
        for day in range(from_us // DAY_US * DAY_US, until_us, DAY_US):
            found = [one for told in sets for one in _day(reader, Maker(told), day)]
            for window, row in sorted(found, key=lambda one: one[0].end_us):
                if from_us < window.end_us <= until_us:
                    with clock.use(now=lambda at=window.end_us + GRACE_US: at):  # type: ignore[misc]
                        results.log(row)
            passed(1)
    finally:
        results.finish()
        reader.close()


def _day(reader: Reader, maker: Maker, start_us: int) -> Iterator[Told]:
    """The windows of a day; of all rows together also those without a row."""
    ask = maker.ask(reader)
    day = Window(start_us, start_us + DAY_US)
    frame = read(reader, ask, [(day.start_us, day.end_us)])
    cut = dict(_cut(maker.set, frame))
    for window in between(day, maker.set.window_s, maker.set.timezone):
        if window not in cut:
            yield from _told(maker, window, {EVERY_ROW: maker.empty(ask)})
            continue
        for number in range(len(maker.set.groupings)):
            yield from _told(maker, window, maker.whole(cut[window], number))


def _cut(told: MetricSet, frame: Frame) -> Iterator[tuple[Window, Frame]]:
    windows = [window_of(int(at), told.window_s, told.timezone) for at in frame["at"]]
    starts = np.array([window.start_us for window in windows])
    for window in set(windows):
        where = np.flatnonzero(starts == window.start_us)
        yield window, {alias: values[where] for alias, values in frame.items()}


def _told(maker: Maker, window: Window, groups: Groups) -> Iterator[Told]:
    for name, cell in groups.items():
        values: Mapping[str, Any] = maker.values(cell, window.length_s)
        yield window, row_of(maker.set, window, name, cell, values, closed=True)
