"""Stretches of time: the window that is looked at, and the earlier ones it is compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from llmwatch.errors import SettingsError

WEEKS = 4
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_WEEK_US = 604_800_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Window:
    """From `start_us` up to, and without, `end_us`: microseconds UTC."""

    start_us: int
    end_us: int

    @property
    def length_us(self) -> int:
        return self.end_us - self.start_us

    def earlier(self, by_us: int) -> Window:
        return Window(self.start_us - by_us, self.end_us - by_us)

    def __str__(self) -> str:
        """`2026-01-05 09:00 to 10:00 UTC`."""
        start, end = moment(self.start_us), moment(self.end_us)
        same_day = start.date() == end.date()
        return f"{start:%Y-%m-%d %H:%M} to {end:{'' if same_day else '%Y-%m-%d '}%H:%M} UTC"


def moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def duration_us(text: str | float | timedelta) -> int:
    """A length of time: `15m`, `1h`, `1d`, `2w`, a timedelta, or seconds.

    >>> duration_us("15m") == 15 * 60 * 1_000_000
    True
    """
    if isinstance(text, timedelta):
        seconds = text.total_seconds()
    elif isinstance(text, str):
        found = _DURATION.fullmatch(text.strip().lower())
        if found is None:
            raise SettingsError(f"{text!r} is not a length of time: write 30s, 15m, 1h, 1d or 2w")
        seconds = float(found[1]) * _UNITS[found[2]]
    else:
        seconds = float(text)
    if not 0 < seconds < 10 * 365 * 86400:
        raise SettingsError(
            f"{text!r} is not a length of time that can be looked at: it is over 0 and under ten years"
        )
    return round(seconds * 1_000_000)


def same_hours(window: Window, weeks: int = WEEKS) -> list[Window]:
    """The same hours of each of the weeks before: what differs by the hour or the day of the week is no drift."""
    apart = (
        -(-window.length_us // _WEEK_US) * _WEEK_US
    )  # a window of ten days is compared every two weeks
    return [window.earlier(apart * number) for number in range(1, weeks + 1)]


def before(window: Window, count: int = WEEKS) -> list[Window]:
    """The windows right before, of the same length."""
    return [window.earlier(window.length_us * number) for number in range(1, count + 1)]


def until_us(until: datetime | str | float | None, now_us: int) -> int:
    """Where the window ends: a time, an ISO date, seconds since 1970, or now."""
    if until is None:
        return now_us
    if isinstance(until, (int, float)):
        return int(until * 1_000_000)
    if isinstance(until, str):
        try:
            until = datetime.fromisoformat(until.replace("Z", "+00:00"))
        except ValueError:
            raise SettingsError(f"{until!r} is not a time: write 2026-01-31T09:30") from None
    if until.tzinfo is None:
        until = until.replace(tzinfo=timezone.utc)
    return round((until - _EPOCH) / timedelta(microseconds=1))
