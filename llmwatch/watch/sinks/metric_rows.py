"""Rows of the tables `metrics` and `drift`, as a sink takes them: a window of a set, its group, and the values that are known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.watch import names
from llmwatch.watch.series import DRIFT

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

TABLES = (names.TABLE, DRIFT)
"""Where metrics are: windows of metric sets, and runs of the drift job."""
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
    def at_us(self) -> int:
        """Where it stands in a history: a window where it began, a run of the drift job, whose windows overlap, when it was."""
        return self.said_us if self.set == DRIFT else self.window_start


def parsed_of(table: str, row_id: str, said_us: int, data: Any) -> MetricRow | None:
    """A row of one of `TABLES`."""
    return (parsed_run if table == DRIFT else parsed)(row_id, said_us, data)


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


def parsed_run(row_id: str, said_us: int, data: Any) -> MetricRow | None:
    """A row of the table `drift`; None where it is not one of the drift job."""
    told = orjson.loads(data) if isinstance(data, (str, bytes)) else data
    if not isinstance(told, Mapping) or told.get("kind") != "job":
        return None
    start, end = told.get("window_start_us"), told.get("window_end_us")
    if not isinstance(start, int) or not isinstance(end, int) or end <= start:
        return None
    values = {name: value for name, value in _numbers(told) if name.startswith("drift/")}
    if told.get("verdict") == "insufficient data":
        values.pop("drift/drift_detected", None)
    length = max(
        60, round((end - start) / 60_000_000) * 60
    )  # one line, also when a run is late by a second
    return MetricRow(
        row_id, said_us, DRIFT, str(told.get("table", "")), start, length, {}, True, values
    )


def said_since(reader: Reader, since_us: int, table: str = names.TABLE) -> Iterator[MetricRow]:
    """What was said of windows from a time on, in the order it was said."""
    sql = (
        f"SELECT id, epoch_us(ts), data FROM main.{table} "
        "WHERE ts >= make_timestamptz(?::BIGINT) ORDER BY ts, writer, seq"
    )
    for row_id, said_us, data in reader.execute(sql, [since_us], [table]).rows:
        if (found := parsed_of(table, row_id, said_us, data)) is not None:
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
