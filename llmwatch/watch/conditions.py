"""Conditions: what a rule asks of a window. Each answers yes, no, or that it cannot be known, and says why in words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from llmwatch.errors import SettingsError
from llmwatch.watch.periods import PERIODS, period_start
from llmwatch.watch.series import DAY_US, DRIFT, Known, Series, Source
from llmwatch.watch.wording import number

FEWEST_BEFORE = 5
"""With fewer earlier windows there is no saying what is usual."""
_NOISE = 1.4826  # the median distance from the median, as a standard deviation


@dataclass(frozen=True)
class Held:
    """Whether a condition holds at a time (None: cannot be known), the value it looked at, and the words for it."""

    holds: bool | None
    value: float | None = None
    said: str = ""


UNKNOWN = Held(None)


class Condition(Protocol):
    """What every kind of condition has."""

    @property
    def metric(self) -> str: ...

    @property
    def set(self) -> str | None: ...

    def holds(self, known: Known, source: Source, at_us: int) -> Held: ...


@dataclass(frozen=True)
class Threshold:
    """A metric above, or below, a number. Windows with fewer than `min_rows` rows say nothing."""

    metric: str
    above: float | None = None
    below: float | None = None
    min_rows: int = 0
    set: str | None = None

    def __post_init__(self) -> None:
        _one_of(self.metric, self.above, self.below)

    def holds(self, known: Known, source: Source, at_us: int) -> Held:
        found = _window(known, source, at_us, self.min_rows)
        value = found and found[0].value(self.metric, found[1])
        if value is None:
            return UNKNOWN
        high = self.above is not None
        limit = self.above if self.above is not None else self.below
        assert limit is not None
        holds = value > limit if high else value < limit
        side = "above" if value > limit else "below" if value < limit else "at"
        return Held(holds, value, f"{self.metric} is {number(value)}, {side} {number(limit)}")


@dataclass(frozen=True)
class Trend:
    """A metric that rises, or falls, over the last `windows` windows: most pairs of them do (Kendall's tau of at least
    .6), and the last third is off the first by at least the share `by`."""

    metric: str
    direction: Literal["rising", "falling"] = "rising"
    windows: int = 8
    by: float = 0.1
    min_rows: int = 0
    set: str | None = None

    def __post_init__(self) -> None:
        if self.direction not in {"rising", "falling"}:
            raise SettingsError(f"a trend is rising or falling, not {self.direction!r}")
        if self.windows < 4:
            raise SettingsError(f"a trend needs at least 4 windows, not {self.windows}")

    def holds(self, known: Known, source: Source, at_us: int) -> Held:
        found = _window(known, source, at_us, self.min_rows)
        if found is None:
            return UNKNOWN
        values = found[0].last(self.metric, found[1], self.windows)
        if len(values) < self.windows:
            return UNKNOWN
        third = max(1, self.windows // 3)
        first, last = statistics.median(values[:third]), statistics.median(values[-third:])
        sign = 1 if self.direction == "rising" else -1
        apart = sign * (last - first)
        holds = sign * _tau(values) >= 0.6 and apart > 0 and apart >= self.by * abs(first)
        said = (
            f"{self.metric} went from {number(first)} to {number(last)} over {self.windows} windows"
        )
        return Held(holds, values[-1], said)


@dataclass(frozen=True)
class Change:
    """A metric above (below) what is usual by a share of it, and by more than it usually varies (`deviations`).

    Usual is the median: of the windows right before (`against="recent"`, as many as `windows`), of the same time on up
    to 7 days before (`"day"`), or on up to 4 weeks before (`"week"`)."""

    metric: str
    above: float | None = None
    below: float | None = None
    against: Literal["recent", "day", "week"] = "recent"
    windows: int = 60
    deviations: float = 3.0
    min_rows: int = 0
    set: str | None = None

    def __post_init__(self) -> None:
        _one_of(self.metric, self.above, self.below)
        if self.against not in {"recent", "day", "week"}:
            raise SettingsError(
                f"a change is against recent, day or week, not {self.against!r}; against a golden set, declare "
                "it as the metric set's baseline and use its degradation or mean_shift"
            )

    def holds(self, known: Known, source: Source, at_us: int) -> Held:
        found = _window(known, source, at_us, self.min_rows)
        value = found and found[0].value(self.metric, found[1])
        if found is None or value is None:
            return UNKNOWN
        before = list(self._before(*found))
        if len(before) < FEWEST_BEFORE:
            return UNKNOWN
        usual = statistics.median(before)
        noise = _NOISE * statistics.median(abs(one - usual) for one in before)
        share = self.above if self.above is not None else self.below
        assert share is not None
        apart = (value - usual) * (1 if self.above is not None else -1)
        holds = apart > max(share * abs(usual), self.deviations * noise)
        return Held(holds, value, f"{self.metric} is {number(value)}, usually {number(usual)}")

    def _before(self, series: Series, index: int) -> Iterator[float]:
        end = series.ends[index]
        if self.against == "recent":
            # not the newest ones: what is going on may have begun in them
            skipped = max(1, self.windows // 10)
            yield from series.last(self.metric, index - 1 - skipped, self.windows)
            return
        apart, times = (DAY_US, 7) if self.against == "day" else (7 * DAY_US, 4)
        slack = 2 * series.window_us
        for number_ in range(1, times + 1):
            there = end - number_ * apart
            yield from series.between(self.metric, there - slack - 1, there + slack)


@dataclass(frozen=True)
class Budget:
    """The sum of a metric since the day, week or month began (UTC) has reached a share of a limit.

    A window that is told while it lasts counts as far as it was told. One that is in two periods, as days of another time
    zone are, belongs to the one that its middle is in."""

    metric: str
    limit: float
    period: Literal["day", "week", "month"] = "day"
    share: float = 1.0
    set: str | None = None

    def __post_init__(self) -> None:
        if self.period not in PERIODS:
            raise SettingsError(f"a budget is for a day, week or month, not {self.period!r}")
        if not self.limit > 0 or not self.share > 0:
            raise SettingsError("a budget has a limit and a share above 0")

    def holds(self, known: Known, source: Source, at_us: int) -> Held:
        series = known.series.get(source)
        if series is None:
            return UNKNOWN
        start, half = period_start(self.period, at_us), series.window_us // 2
        spent = series.between(self.metric, start + half - 1, at_us)
        lasting = series.so_far(self.metric, at_us)
        if lasting is not None and period_start(self.period, lasting[0] + half) == start:
            spent.append(lasting[1])
        total = math.fsum(spent)
        said = f"{self.metric} is {number(total)} this {self.period}, of {number(self.limit)}"
        return Held(total >= self.share * self.limit, total, said)


@dataclass(frozen=True)
class Drift:
    """The newest run of the drift job on the table found drift: in any signal, or in the one that is named."""

    signal: str | None = None
    set: str | None = DRIFT

    @property
    def metric(self) -> str:
        return f"drift/{self.signal}_drift" if self.signal else "drift/drift_detected"

    def holds(self, known: Known, source: Source, at_us: int) -> Held:
        series = known.series.get(source)
        index = series.index(at_us) if series else None
        value = series.value(self.metric, index) if series and index is not None else None
        if value is None:
            return UNKNOWN
        said = (
            "the newest drift run found drift" if value else "the newest drift run found no drift"
        )
        return Held(value > 0, value, f"{said} in {self.signal}" if self.signal else said)


@dataclass(frozen=True)
class Absence:
    """No window with rows (with a value of `metric`, when one is named) ended within `after_s` seconds. With `usual`,
    only where rows came at this time a week before (a day before, while no older ones are known): nights are quiet."""

    after_s: float = 1800.0
    usual: bool = False
    metric: str = "*"
    set: str | None = None

    def holds(self, known: Known, source: Source, at_us: int) -> Held:
        series = known.series.get(source)
        if series is None:
            return UNKNOWN
        after_us = round(self.after_s * 1_000_000)
        seen = self._newest(series, at_us)
        if seen is None:
            return UNKNOWN
        if at_us - seen <= after_us:
            return Held(False, (at_us - seen) / 1e6, "rows come")
        said = f"nothing was recorded for {number((at_us - seen) / 60e6)} minutes"
        return Held(self._expected(series, at_us, after_us), (at_us - seen) / 1e6, said)

    def _newest(self, series: Series, at_us: int) -> int | None:
        index = series.index(at_us)
        for place in range(-1 if index is None else index, -1, -1):
            if self._has(series, place):
                return series.ends[place]
        return None

    def _has(self, series: Series, place: int) -> bool:
        if self.metric == "*":
            return series.rows[place] > 0
        return series.value(self.metric, place) is not None

    def _expected(self, series: Series, at_us: int, after_us: int) -> bool | None:
        if not self.usual:
            return True
        for days in (7, 1):
            then = at_us - days * DAY_US
            if series.ends[0] <= then:
                places = range(*_places(series, then - after_us, then))
                return any(self._has(series, place) for place in places)
        return None


@dataclass(frozen=True)
class AllOf:
    """Every one of several conditions holds."""

    conditions: tuple[Condition, ...]

    @property
    def metric(self) -> str:
        return self.conditions[0].metric

    @property
    def set(self) -> str | None:
        return self.conditions[0].set

    def holds(self, known: Known, source: Source, at_us: int) -> Held:
        found = _asked(self.conditions, known, source, at_us)
        said = "; ".join(one.said for one in found if one.said)
        if any(one.holds is False for one in found):
            return Held(False, found[0].value, said)
        unknown = any(one.holds is None for one in found)
        return Held(None if unknown else True, found[0].value, said)


@dataclass(frozen=True)
class AnyOf:
    """At least one of several conditions holds."""

    conditions: tuple[Condition, ...]

    @property
    def metric(self) -> str:
        return self.conditions[0].metric

    @property
    def set(self) -> str | None:
        return self.conditions[0].set

    def holds(self, known: Known, source: Source, at_us: int) -> Held:
        found = _asked(self.conditions, known, source, at_us)
        holding = [one for one in found if one.holds]
        if holding:
            return Held(True, holding[0].value, "; ".join(one.said for one in holding))
        known_ = [one for one in found if one.holds is not None]
        return Held(False, known_[0].value, known_[0].said) if known_ else UNKNOWN


def parts(condition: Condition) -> Iterator[Condition]:
    """The condition, or those that it is put together from."""
    if isinstance(condition, (AllOf, AnyOf)):
        for one in condition.conditions:
            yield from parts(one)
    else:
        yield condition


def _asked(conditions: Sequence[Condition], known: Known, source: Source, at_us: int) -> list[Held]:
    return [one.holds(known, _beside(one, known, source), at_us) for one in conditions]


def _beside(condition: Condition, known: Known, source: Source) -> Source:
    """Where a condition of a combination looks: its own set of the same table, of the same group if that has it."""
    if condition.set in {None, source.set}:
        return source
    assert condition.set is not None
    same = Source(source.table, condition.set, source.group)
    return same if same in known.series else Source(source.table, condition.set)


def _window(known: Known, source: Source, at_us: int, min_rows: int) -> tuple[Series, int] | None:
    """The newest window of a source, unless it is long past or has too few rows."""
    series = known.series.get(source)
    index = series.index(at_us) if series else None
    if series is None or index is None:
        return None
    if at_us - series.ends[index] >= 2 * series.window_us or series.rows[index] < min_rows:
        return None
    return series, index


def _places(series: Series, after_us: int, until_us: int) -> tuple[int, int]:
    from bisect import bisect_right

    return bisect_right(series.ends, after_us), bisect_right(series.ends, until_us)


def _tau(values: Sequence[float]) -> float:
    pairs = [(a, b) for i, a in enumerate(values) for b in values[i + 1 :]]
    return sum((b > a) - (b < a) for a, b in pairs) / len(pairs)


def _one_of(metric: str, above: float | None, below: float | None) -> None:
    if (above is None) == (below is None):
        raise SettingsError(f"say above or below, one of the two, of {metric}")
