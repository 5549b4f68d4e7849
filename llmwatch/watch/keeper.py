"""Keeps the metric sets of one project up to date: makes the cells of minutes that are over, and tells windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmwatch import clock, faults
from llmwatch.errors import LlmwatchError
from llmwatch.stream.follow import RecordedReader
from llmwatch.stream.query import Reader
from llmwatch.stream.table import StreamTable
from llmwatch.watch import kept, names
from llmwatch.watch.arrivals import NEAR_US, Arrivals
from llmwatch.watch.cells import EVERY_ROW, Cell, Groups, Maker
from llmwatch.watch.compute import Measuring
from llmwatch.watch.reading import Ask, Frame, read, together
from llmwatch.watch.sets import MINUTE_S, MetricSet, seconds
from llmwatch.watch.state import State
from llmwatch.watch.windows import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Window, window_of

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project

GRACE_US = 5 * SECOND_US
"""A minute is made so long after its end; what is recorded later makes it anew."""
AHEAD_US = 5 * MINUTE_US
"""Rows whose clock is further ahead than this are not waited for."""
BEHIND_US = DAY_US
"""A set that is new begins with what was recorded since so long ago."""
ANEW_US = 6 * HOUR_US
"""Readers begin anew this often: DuckDB holds on to a little of every query and insertion, until its database goes."""
_AT_ONCE = 60
_MOST_EMPTY = 60
_HOURS_AT_ONCE = 24
Minutes = dict[int, dict[int, Groups]]
"""Minute -> group-by -> cells."""


class Keeper:
    """The watch's metrics of one project."""

    def __init__(
        self,
        project: Project,
        sets: Sequence[MetricSet],
        settings: Settings,
        passed: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`passed` hears how many minutes of a set were made."""
        self.project, self.sets, self._settings = project, tuple(sets), settings
        self._reader, self._recorded = Reader(project, settings), RecordedReader(project, settings)
        self._arrivals = Arrivals(project, settings, self._recorded, self._reader)
        self._measuring = {
            one.name: Measuring(project, one, settings, self._reader) for one in sets
        }
        self._results = StreamTable(f"{project.id}/{names.TABLE}", store=project.store.root)
        self._passed = passed
        self._due: dict[str, int] = {}
        self._anew_us = clock.now_us() + ANEW_US
        self._last: tuple[object, Frame] | None = None

    def close(self) -> None:
        self._arrivals.close()
        self._results.finish()
        self._reader.close()
        self._recorded.close()

    def turn(self) -> bool:
        """Take in what is new and tell what is due; True when there were rows to do something for."""
        now = clock.now_us()
        self._begin_anew(now)
        state = State.load(self.project)
        makers = [self._measuring[one.name].maker for one in self.sets]
        for maker in makers:
            self._begin(maker, state, now - BEHIND_US)
        found = self._arrivals.take(makers, state)
        if found.any:
            # before the followers' positions: what was taken in is in the state, or is given again
            state.save(self.project)
            for follower in found.followers:
                follower.commit()
        self._last = None  # rows may have come since
        worked = [self._kept(measuring, state, now) for measuring in self._by_source()]
        self._last = None
        return found.any or any(worked)

    def _begin_anew(self, now: int) -> None:
        if now >= self._anew_us:
            self._reader.close()  # each opens again when it is asked
            self._recorded.close()
            self._anew_us = now + ANEW_US

    def _kept(self, measuring: Measuring, state: State, now: int) -> bool:
        """A set that cannot be worked out (a column that `where` names is not there) holds up no other."""
        name = measuring.maker.set.name
        with faults.contained(f"metric set {name} of {self.project.id} could not be worked out"):
            return self._keep(measuring, state, now)
        return False

    def _by_source(self) -> list[Measuring]:
        """Sets that are read together one after the other."""
        return sorted(self._measuring.values(), key=lambda one: str(one.maker.source))

    def _begin(self, maker: Maker, state: State, since: int) -> None:
        """A set that is new: the minutes of what was recorded lately."""
        if maker.key not in state.spans:
            start = since // MINUTE_US * MINUTE_US + MINUTE_US
            state.spans[maker.key] = [start, start]
            self._arrivals.look_back(maker, state, start)

    # --- minutes -------------------------------------------------------------------------

    def _keep(self, measuring: Measuring, state: State, now: int) -> bool:
        """Make the minutes of a set that are over, then tell the windows they are in."""
        measuring.state = state
        touched = state.touched.setdefault(measuring.maker.key, set())
        ready = sorted(m for m in touched if _is_over(m, m + MINUTE_US, now))
        minute_by_minute = measuring.maker.set.window_s == MINUTE_S
        for first in range(0, len(ready), _AT_ONCE):
            chunk = ready[first : first + _AT_ONCE]
            made = self._make(measuring, state, chunk)
            self._passed(len(chunk))
            if minute_by_minute:
                for minute in chunk:
                    self._tell_window(measuring, Window(minute, minute + MINUTE_US), made[minute])
        span = state.spans[measuring.maker.key]
        before, span[1] = span[1], max(span[1], (now - GRACE_US) // MINUTE_US * MINUTE_US)
        told = set(ready)
        if not minute_by_minute:
            told = self._tell(measuring, state, ready, now)
        told |= self._tell_open(measuring, state, now)
        if span[1] > before:
            self._put_hours_together(measuring, state, now)
            self._tell_empty(measuring, state, told, now)
        touched.difference_update(ready)
        if ready or span[1] > before:
            state.save(self.project)
        return bool(ready)

    def _make(self, measuring: Measuring, state: State, minutes: Sequence[int]) -> Minutes:
        """Make the cells of these minutes anew, from their rows."""
        maker = measuring.maker
        made: Minutes = {minute: {} for minute in minutes}
        for minute, number, groups in maker.minutes(self._frame(maker, state, minutes)):
            made[minute][number] = groups
        state.turn += 1
        kept.write(
            self.project, self._settings, maker.key, kept.MINUTE, _lines(maker, made), state.turn
        )
        hours = {minute // HOUR_US * HOUR_US for minute in minutes}
        state.hours.setdefault(maker.key, set()).update(hours)
        return made

    def _frame(self, maker: Maker, state: State, minutes: Sequence[int]) -> Frame:
        """The rows of these minutes, read once for all sets of the same source that make the same minutes."""
        place = (maker.source, tuple(minutes))
        if self._last is None or self._last[0] != place:
            asks = [maker.ask(self._reader), *self._asks_beside(maker)]
            spans = [(minute, minute + MINUTE_US) for minute in minutes]
            recorded = _recorded(state, maker.table, minutes)
            self._last = place, read(self._reader, together(asks), spans, recorded)
        return self._last[1]

    def _asks_beside(self, maker: Maker) -> Iterator[Ask]:
        """What other sets of its source ask for; one that cannot ask says so when it is its turn."""
        for measuring in self._measuring.values():
            if measuring.maker is not maker and measuring.maker.source == maker.source:
                with suppress(LlmwatchError):
                    yield measuring.maker.ask(self._reader)

    def _put_hours_together(self, measuring: Measuring, state: State, now: int) -> None:
        """Cells of hours that are over, so that long windows read few lines."""
        maker = measuring.maker
        hours = state.hours.get(maker.key, set())
        for hour in sorted(h for h in hours if _is_over(h, h + HOUR_US + AHEAD_US, now))[
            :_HOURS_AT_ONCE
        ]:
            for number in range(len(maker.set.groupings)):
                minutes = kept.read_minutes(self._reader, maker, number, hour)
                whole = maker.merge_groups(minutes.values())
                line = [(hour, number, whole)]
                kept.write(self.project, self._settings, maker.key, kept.HOUR, line, state.turn)
            hours.discard(hour)

    # --- windows -------------------------------------------------------------------------

    def _tell(
        self, measuring: Measuring, state: State, minutes: Iterable[int], now: int
    ) -> set[int]:
        """The windows of these minutes; those that last still are remembered. Returns the starts of those told."""
        told = measuring.maker.set
        lasting = state.lasting.setdefault(told.name, set())
        over: set[int] = set()
        for window in sorted({window_of(m, told.window_s, told.timezone) for m in minutes}):
            if _is_over(window.start_us, window.end_us, now):
                self._tell_window(measuring, window)
                lasting.discard(window.start_us)
                over.add(window.start_us)
            else:
                lasting.add(window.start_us)
        return over

    def _tell_window(
        self,
        measuring: Measuring,
        window: Window,
        made: Mapping[int, Groups] | None = None,
        passed_s: float | None = None,
    ) -> None:
        """A row of `metrics` for each group of a window."""
        told = measuring.maker.set
        for number in range(len(told.groupings)):
            groups = measuring.groups(window, number) if made is None else made.get(number, {})
            for name, cell in self._of_interest(measuring, number, groups).items():
                usual = measuring.baselines.usual(
                    window, lambda past, n=number, g=name: measuring.groups(past, n).get(g)  # type: ignore[misc]
                ) if measuring.baselines.any else ()  # fmt: skip
                values = measuring.maker.values(cell, passed_s or window.length_s, usual)
                self._results.log(row_of(told, window, name, cell, values, closed=passed_s is None))

    def _of_interest(self, measuring: Measuring, number: int, groups: Groups) -> Mapping[str, Cell]:
        """The groups that had rows; of all rows together also that there was none."""
        if number == 0 and EVERY_ROW not in groups:
            empty = measuring.maker.empty(measuring.maker.ask(self._reader))
            return {EVERY_ROW: empty}
        return groups

    def _tell_empty(self, measuring: Measuring, state: State, known: set[int], now: int) -> None:
        """Windows in which nothing was recorded, from where the last turn stopped."""
        told = measuring.maker.set
        last = state.told.get(told.name)
        over = window_of(now - GRACE_US, told.window_s, told.timezone).start_us
        if last is None or over - last > _MOST_EMPTY * told.window_s * SECOND_US:
            last = window_of(now, told.window_s, told.timezone).start_us  # nobody was there to see
        state.told[told.name] = max(over, last)
        if last >= over:
            return
        begin = state.spans[measuring.maker.key][0]
        made = kept.minutes_made(self._reader, measuring.maker, Window(last, over))
        nothing = {0: {EVERY_ROW: measuring.maker.empty(measuring.maker.ask(self._reader))}}
        while last < over:
            window = window_of(last, told.window_s, told.timezone)
            last = window.end_us
            if window.start_us in known:
                continue
            is_made = any(window.start_us <= minute < window.end_us for minute in made)
            if not ((is_made or window.start_us < begin) and measuring.groups(window)):
                self._tell_window(measuring, window, nothing)

    def _tell_open(self, measuring: Measuring, state: State, now: int) -> set[int]:
        """Windows that were not over: now that they are, and as often as the set says."""
        told = measuring.maker.set
        lasting = state.lasting.setdefault(told.name, set())
        windows = [window_of(start, told.window_s, told.timezone) for start in sorted(lasting)]
        over = [window for window in windows if _is_over(window.start_us, window.end_us, now)]
        for window in over:
            self._tell_window(measuring, window)
            lasting.discard(window.start_us)
        starts = {window.start_us for window in over}
        if told.every is None or now < self._due.get(told.name, 0):
            return starts
        self._due[told.name] = now + seconds(told.every) * SECOND_US
        for window in windows:
            if window.start_us < now < window.end_us:
                passed = (now - window.start_us) / SECOND_US
                self._tell_window(measuring, window, passed_s=passed)
        return starts


def _is_over(start_us: int, end_us: int, now: int) -> bool:
    """Whether a time is past, or so far ahead that some clock is wrong."""
    return end_us + GRACE_US <= now or start_us > now + AHEAD_US


def _lines(maker: Maker, made: Minutes) -> Iterator[tuple[int, int, Groups]]:
    """Also places without rows: they may have had some."""
    for minute, by_number in made.items():
        for number in range(len(maker.set.groupings)):
            yield minute, number, by_number.get(number, {})


def _recorded(state: State, table: str, minutes: Iterable[int]) -> tuple[int, int]:
    """When the rows of these minutes can have been recorded."""
    minutes = list(minutes)
    first, last = min(minutes) - NEAR_US, max(minutes) + MINUTE_US + NEAR_US
    strays = state.strays.get(table, {})
    for hour in {minute // HOUR_US * HOUR_US for minute in minutes}:
        if hour in strays:
            first, last = min(first, strays[hour][0]), max(last, strays[hour][1] + SECOND_US)
    return first, last


def row_of(
    told: MetricSet,
    window: Window,
    group: str,
    cell: Cell,
    values: Mapping[str, Any],
    *,
    closed: bool,
) -> dict[str, Any]:
    return {
        "set": told.name,
        "table": told.table,
        "window_start": window.start_us,
        "window_s": told.window_s,
        "group": group,
        "n": cell[0],
        "closed": closed,
        **{name: value for name, value in values.items() if value is not None},
    }
