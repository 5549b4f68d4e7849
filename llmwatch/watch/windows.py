"""Windows of time: where they begin and end, also where days are not 24 hours long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from llmwatch import clock
from llmwatch.errors import SettingsError
from llmwatch.watch.sets import DAY_S, seconds, zone

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = DAY_S * SECOND_US
_MONDAY = 4  # 1970-01-01 was a Thursday: so many days later a week began


@dataclass(frozen=True, order=True)
class Window:
    """A stretch of time, its end not included, in microseconds UTC."""

    start_us: int
    end_us: int

    @property
    def length_s(self) -> float:
        return (self.end_us - self.start_us) / SECOND_US

    def minutes(self) -> range:
        """The minutes that it covers, whole or in part, by their beginnings."""
        first = self.start_us // MINUTE_US * MINUTE_US
        return range(first, self.end_us, MINUTE_US)


def window_of(at_us: int, window_s: int, timezone_: str = "UTC") -> Window:
    """The window of this length that holds a moment. Those of days and weeks begin at midnight of the time zone.

    >>> window_of(90_000_000, 60)
    Window(start_us=60000000, end_us=120000000)
    """
    if window_s % DAY_S:
        length = window_s * SECOND_US
        start = at_us // length * length
        return Window(start, start + length)
    place = zone(timezone_)
    days = window_s // DAY_S
    day = _moment(at_us, place).toordinal() - datetime(1970, 1, 1).toordinal()  # noqa: DTZ001 - a date
    from_ = _MONDAY if days % 7 == 0 else 0
    first = (day - from_) // days * days + from_
    return Window(_midnight(first, place), _midnight(first + days, place))


def between(window: Window, window_s: int, timezone_: str = "UTC") -> Iterator[Window]:
    """The windows of a length that begin inside another, in order."""
    at = window.start_us
    while at < window.end_us:
        found = window_of(at, window_s, timezone_)
        if found.start_us >= window.start_us:
            yield found
        at = found.end_us


def asked(told: Window | str | tuple[datetime, datetime]) -> Window:
    """A window as people say it: `"1h"` is the last hour and what has passed of this minute, or a pair of times."""
    if isinstance(told, Window):
        return told
    if isinstance(told, str):
        now = clock.now_us() + 1
        return Window((now - seconds(told) * SECOND_US) // MINUTE_US * MINUTE_US, now)
    start, end = (_micros(time) for time in told)
    if start > end:
        raise SettingsError(f"a window that begins at {told[0]} cannot end at {told[1]}")
    return Window(start, end)


def _micros(time: datetime) -> int:
    if time.tzinfo is None:
        raise SettingsError(f"{time} has no time zone: say which, such as timezone.utc")
    return (time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def _moment(at_us: int, place: tzinfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=at_us)).astimezone(
        place
    )


def _midnight(day: int, place: tzinfo) -> int:
    date = datetime(1970, 1, 1) + timedelta(days=day)  # noqa: DTZ001 - the zone is given in the next line
    return _micros(date.replace(tzinfo=place))
