"""Days, weeks and months (UTC) that budgets are for, and lengths of time as rules write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

PERIODS = ("day", "week", "month")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def period_start(period: str, at_us: int) -> int:
    """When the period that a time is in began. A window that ends as a period begins belongs to the one before.

    >>> moment(period_start("week", 1_700_000_000_000_000)).isoformat()
    '2023-11-13T00:00:00+00:00'
    """
    now = moment(at_us - 1)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        day -= timedelta(days=day.weekday())
    elif period == "month":
        day = day.replace(day=1)
    return round((day - _EPOCH) / timedelta(microseconds=1))
