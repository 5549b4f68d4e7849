"""Values as they stand on a line and in the backend's files: JSON that loses nothing it can keep."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from llmwatch.capture.keys import clean_text

_OPTIONS = orjson.OPT_NON_STR_KEYS
_EPOCH = datetime.fromtimestamp(0, timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def dumps(value: Any, *, exact: bool = False) -> bytes:
    """JSON on one line. Integers past 64 bits, which orjson cannot write, are kept; what strict readers of JSON do
    not take is written as orjson writes it (NaN is null) or as capture does (a lone surrogate is U+FFFD).

    `exact` keeps lone surrogates, for contents that only `loads` reads and that have a digest to keep.
    """
    try:
        return orjson.dumps(value, default=str, option=_OPTIONS)
    except (TypeError, ValueError):
        if exact:
            return json.dumps(value, default=str, separators=(",", ":")).encode()
        text = json.dumps(_readable(value), default=_text, separators=(",", ":"))
        return text.encode()


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {
            _readable(key) if isinstance(key, str) else key: _readable(v)
            for key, v in value.items()
        }
    return [_readable(each) for each in value] if isinstance(value, (list, tuple)) else value


def _text(value: Any) -> str:
    return clean_text(str(value))


def loads(text: str | bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)  # NaN, lone surrogates


def without_unknown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is not known is left out of a line, never written as null."""
    return {name: value for name, value in fields.items() if value is not None}


def microseconds(moment: Any) -> int | None:
    """A time from a request (a datetime or ISO text; naive means UTC) as it stands on a line."""
    if moment is None:
        return None
    return (as_datetime(moment) - _EPOCH) // _MICROSECOND


def as_datetime(moment: datetime | str) -> datetime:
    if isinstance(moment, str):
        # fromisoformat reads a final Z from Python 3.11 on only
        moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def from_microseconds(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
