"""The values of a step: metrics under their exact names, and what sets and groups add to a name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.watch import names
from llmwatch.watch.series import DRIFT
from llmwatch.watch.sinks.metric_rows import MetricRow, parsed_of

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader
    from llmwatch.watch.sinks.journal import Journal

TIME = "window_time"
"""The axis: when the window began, in seconds since 1970 (UTC)."""
_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")


def points_of(reader: Reader, ids: Iterable[str], journal: Journal) -> dict[str, Any]:
    """What the rows with these ids tell that was not told before. All of one window's beginning."""
    rows = _rows(reader, names.TABLE, "id IN (SELECT unnest(?::VARCHAR[]))", [list(ids)])
    if not rows:
        return {}
    found: dict[str, Any] = {TIME: rows[0].at_us / 1_000_000}
    earlier = _rows(reader, names.TABLE, "window_start = ?", [rows[0].window_start])
    for row in rows:
        before = _told_before(row, earlier)
        for name, value in row.values.items():
            if before.get(name) != value and (key := _key(row, name, journal)) is not None:
                found[key] = value
    return found


def points_of_run(reader: Reader, run_id: str, journal: Journal) -> dict[str, Any]:
    """What a run of the drift job found."""
    found: dict[str, Any] = {}
    for row in _rows(reader, DRIFT, "id = ?", [run_id]):
        found[TIME] = row.at_us / 1_000_000
        for name, value in row.values.items():
            if (key := _key(row, name, journal)) is not None:
                found[key] = value
    return found


def _told_before(row: MetricRow, earlier: Sequence[MetricRow]) -> dict[str, float]:
    """The values of the same window as they were said last: a window is said again when something came late."""
    told: dict[str, float] = {}
    for other in earlier:
        if other.id == row.id:
            break
        if other.closed and other.key == row.key:
            told = dict(other.values)
    return told


def _key(row: MetricRow, name: str, journal: Journal) -> str | None:
    """A name as it stands in the run: the exact one for the first set that tells it, else below the set's name."""
    whose = f"{row.set}\n{row.table}\n{row.window_s}"
    if row.group and not journal.lets(whose, json.dumps(dict(row.group), sort_keys=True)):
        return None
    plain = (
        name if journal.owner(name, whose) == whose else f"{_safe(row.set)}/{row.window_s}s/{name}"
    )
    return "/".join([plain, *(f"{_safe(k)}={_safe(v)}" for k, v in row.group.items())])


def _safe(text: str) -> str:
    """A text as part of a name; one that had to be changed ends in something of its own."""
    plain = _PLAIN.sub("_", text)[:64]
    if plain == text:
        return plain
    return f"{plain}-{hashlib.blake2b(text.encode('utf-8', 'replace'), digest_size=3).hexdigest()}"


def _rows(reader: Reader, table: str, where: str, params: Sequence[Any]) -> list[MetricRow]:
    sql = f"SELECT id, epoch_us(ts), data FROM main.{table} WHERE {where} ORDER BY ts, writer, seq"
    read = reader.execute(sql, params, [table]).rows
    return [row for row in (parsed_of(table, *one) for one in read) if row is not None]
