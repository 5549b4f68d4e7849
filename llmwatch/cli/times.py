"""Times as a person writes them: how long ago, or when."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta, timezone

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def when(text: str) -> datetime:
    """A moment: `90m`, `12h`, `7d` or `2w` ago, or a date or time in ISO form (of this machine's zone, unless said).

    >>> when("2026-01-31T09:30Z").isoformat()
    '2026-01-31T09:30:00+00:00'
    """
    if ago := _AGO.fullmatch(text.strip()):
        return datetime.now(timezone.utc) - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
    try:
        return datetime.fromisoformat(text.strip().replace("Z", "+00:00")).astimezone(timezone.utc)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 90m, 12h, 7d or 2w for so long ago, or 2026-01-31T09:30"
        ) from None
