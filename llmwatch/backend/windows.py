"""Time in buckets, as requests for statistics ask for it: bounds, granularity, and the zone whose clock buckets follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from llmwatch import clock
from llmwatch.backend import wire
from llmwatch.backend.feedback_rules import invalid
from llmwatch.backend.fragments import Fragment

MOST_BUCKETS = 10_000
_HOUR = 3600
# for spans up to so many hours, buckets of so many seconds
_BY_SPAN = ((2, 300), (12, _HOUR), (72, 6 * _HOUR), (14 * 24, 12 * _HOUR))


@dataclass(frozen=True)
class Window:
    """From `start` up to and without `end`, in buckets of `granularity` seconds."""

    start: datetime
    end: datetime
    granularity: int
    timezone: str

    @property
    def _origin_us(self) -> int:
        """The beginning of the first bucket: a whole number of buckets since midnight of the zone's clock."""
        offset = self.start.astimezone(_zone(self.timezone)).utcoffset() or timedelta()
        ahead = offset // timedelta(microseconds=1)
        size = self.granularity * 1_000_000
        start = wire.microseconds(self.start) or 0
        return (start + ahead) // size * size - ahead

    def bucket(self, column: str) -> Fragment:
        """The number of the bucket that a time falls into, in SQL."""
        size = self.granularity * 1_000_000
        return Fragment(f"((epoch_us({column}) - {self._origin_us}) // {size})")

    def holds(self, column: str) -> Fragment:
        bounds = (wire.microseconds(self.start), wire.microseconds(self.end))
        return Fragment(
            f"({column} >= make_timestamptz(?::BIGINT) AND {column} < make_timestamptz(?::BIGINT))",
            bounds,
        )

    def begins(self, number: int) -> datetime:
        return wire.from_microseconds(self._origin_us + number * self.granularity * 1_000_000)

    def numbers(self) -> range:
        """Every bucket, those that nothing falls into too."""
        last = (wire.microseconds(self.end) or 0) - 1 - self._origin_us
        return range(last // (self.granularity * 1_000_000) + 1)

    def fields(self) -> dict[str, Any]:
        """What an answer says of its window."""
        return {
            "start": self.start.astimezone(timezone.utc),
            "end": self.end.astimezone(timezone.utc),
            "granularity": self.granularity,
            "timezone": self.timezone,
        }


def window(req: Mapping[str, Any]) -> Window:
    """The window that a request asks for; up to now, and in buckets of a fitting size, when it does not say."""
    start = wire.as_datetime(req["start"])
    end = req.get("end")
    end = wire.from_microseconds(clock.now_us()) if end is None else wire.as_datetime(end)
    if end < start:
        raise invalid(f"the window ends at {end.isoformat()}, before it begins")
    zone = req.get("timezone") or "UTC"
    _zone(zone)
    seconds = (end - start).total_seconds()
    granularity = req.get("granularity") or _fitting(seconds)
    if granularity < 1:
        raise invalid(f"a bucket is at least one second long, not {granularity}")
    return Window(start, end, max(int(granularity), int(seconds / MOST_BUCKETS) + 1), zone)


def _fitting(seconds: float) -> int:
    found = (size for hours, size in _BY_SPAN if seconds <= hours * _HOUR)
    return next(found, 24 * _HOUR)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid(f"{name!r} is not the name of a time zone") from error
