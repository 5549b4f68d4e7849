"""Rows of the table `metrics`, as a sink takes them: a window of a set, its group, and the values that are known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.watch import names

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

_OF_THE_ROW = frozenset(names.ROW)
Key = tuple[str, str, int, str]


@dataclass(frozen=True)
class MetricRow:
    """What was said of one window."""

    id: str
    said_us: int
    set: str
    table: str
    window_start: int
    window_s: int
    group: Mapping[str, str]
    closed: bool
    values: Mapping[str, float]

    @property
    def key(self) -> Key:
        """Whose line it is a point of."""
        group = json.dumps(dict(self.group), sort_keys=True)
        return self.set, self.table, self.window_s, group

    @property
    def end_us(self) -> int:
        return self.window_start + self.window_s * 1_000_000


def parsed(row_id: str, said_us: int, data: Any) -> MetricRow | None:
    """A row of the table; None where it is not one of a metric set."""
    told = orjson.loads(data) if isinstance(data, (str, bytes)) else data
    if not isinstance(told, Mapping):
        return None
    start, length = told.get("window_start"), told.get("window_s")
    if not isinstance(start, int) or not isinstance(length, (int, float)) or length <= 0:
        return None
    return MetricRow(
        row_id,
        said_us,
        str(told.get("set", "")),
        str(told.get("table", "")),
        start,
        int(length),
        _group(told.get("group")),
        told.get("closed") is not False,
        dict(_numbers(told)),
    )


def said_since(reader: Reader, since_us: int) -> Iterator[MetricRow]:
    """What was said of windows from a time on, in the order it was said."""
    sql = (
        f"SELECT id, epoch_us(ts), data FROM main.{names.TABLE} "
        "WHERE ts >= make_timestamptz(?::BIGINT) ORDER BY ts, writer, seq"
    )
    for row_id, said_us, data in reader.execute(sql, [since_us], [names.TABLE]).rows:
        if (found := parsed(row_id, said_us, data)) is not None:
            yield found


def _numbers(told: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The metrics: what is a finite number. Anything else is unknown, and unknown is not 0."""
    for name, value in told.items():
        if name not in _OF_THE_ROW and isinstance(value, (int, float)) and math.isfinite(value):
            yield name, value if isinstance(value, float) else int(value)


def _group(told: Any) -> dict[str, str]:
    """The group of a row; one that is no JSON object is a group all the same, and not all rows together."""
    try:
        group = (
            json.loads(told) if isinstance(told, str) and told else told
        )  # takes lone surrogates
    except ValueError:
        group = {"group": told}
    if not isinstance(group, Mapping):
        return {}
    return {str(name): "" if value is None else str(value) for name, value in group.items()}
