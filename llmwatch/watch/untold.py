"""Windows from before a metric set was kept: measured from the rows themselves, for a backtest. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from llmwatch.names import parse_table
from llmwatch.watch.cells import Groups
from llmwatch.watch.compute import Measuring
from llmwatch.watch.reading import read
from llmwatch.watch.series import DAY_US, Known, Source
from llmwatch.watch.windows import Window, window_of

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.stream.query import Reader
    from llmwatch.watch.sets import Group, MetricSet

Pending = dict[Window, dict[int, list[Groups]]]


def missing(known: Known, sets: Sequence[MetricSet], from_us: int, until_us: int) -> dict[str, int]:
    """Until when each set was not kept, of those for which that is after the beginning."""
    found = {}
    for one in sets:
        mine = [series.ends[0] for source, series in known.series.items() if source.set == one.name]
        first = min(mine, default=until_us) - one.window_s * 1_000_000
        if first > from_us:
            found[one.name] = min(first, until_us)
    return found


def of_project(sets: Sequence[MetricSet], reader: Reader) -> list[MetricSet]:
    """The sets of tables that the reader's project has."""
    there = reader.project.tables()
    tables = [(one, parse_table(one.table)) for one in sets]
    return [
        one
        for one, table in tables
        if f"{table.entity}/{table.project}" == reader.project.id and table.table in there
    ]


def fill(
    reader: Reader,
    known: Known,
    sets: Sequence[MetricSet],
    from_us: int,
    until_us: int,
    settings: Settings,
    *,
    groupings: Collection[Group] = ((),),
    passed: Callable[[int], None] = lambda _: None,
) -> None:
    """Add the windows that nobody told, day by day; `passed` hears of each day."""
    until = missing(known, sets, from_us, until_us)
    for one in sets:
        if one.name in until:
            measuring = Measuring(reader.project, one, settings, reader)
            pending: Pending = {}
            for start, end in _days(from_us, until[one.name]):
                _gather(measuring, reader, pending, start, end, groupings)
                _tell(measuring, known, pending, end)
                passed(1)


def days(known: Known, sets: Sequence[MetricSet], from_us: int, until_us: int) -> int:
    """How many days `fill` has before it, for a progress bar."""
    ends = missing(known, sets, from_us, until_us).values()
    return sum(len(list(_days(from_us, end))) for end in ends)


def _days(from_us: int, until_us: int) -> Iterator[tuple[int, int]]:
    start = from_us
    while start < until_us:
        end = min((start // DAY_US + 1) * DAY_US, until_us)
        yield start, end
        start = end


def _gather(
    measuring: Measuring,
    reader: Reader,
    pending: Pending,
    start: int,
    end: int,
    groupings: Collection[Group],
) -> None:
    told = measuring.maker.set
    frame = read(reader, measuring.maker.ask(reader), [(start, end)])
    for minute, number, groups in measuring.maker.minutes(frame):
        if told.groupings[number] in groupings:
            window = window_of(minute, told.window_s, told.timezone)
            pending.setdefault(window, {}).setdefault(number, []).append(groups)


def _tell(measuring: Measuring, known: Known, pending: Pending, until_us: int) -> None:
    """The windows that are whole by now."""
    maker = measuring.maker
    table = parse_table(maker.set.table).table
    for window in sorted(one for one in pending if one.end_us <= until_us):
        for number, groups in pending.pop(window).items():
            for name, cell in maker.merge_groups(groups).items():
                usual = (
                    measuring.baselines.usual(
                        window,
                        lambda past, n=number, g=name: measuring.groups(past, n).get(g),  # type: ignore[misc]
                    )
                    if measuring.baselines.any
                    else ()
                )
                values = maker.values(cell, window.length_s, usual)
                series = known.of(
                    Source(table, maker.set.name, name), maker.set.window_s * 1_000_000
                )
                series.add(window.end_us, int(cell[0]), values)
