"""What forwarding would send in a day, from what was recorded lately: an estimate, and from how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.backend import wire
from llmwatch.forward import calls, options
from llmwatch.forward.sampler import AdaptiveSampler
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted
from llmwatch.stream.query import Reader

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project

DAY_S = 86400.0
_SAMPLE = 500
_EVENTS = "feedback, scores, labels"
_FEEDBACK_BYTES = 500
LEAST_S, ENOUGH_S = 60.0, 3600.0


@dataclass(frozen=True)
class Estimate:
    """Of one table: rows and bytes a day; `seen_s` is the time they were estimated from."""

    table: str
    rows_a_day: float | None
    bytes_a_day: float | None
    media_bytes_a_day: float | None
    seen_s: float
    note: str = ""


def estimate(
    project: Project, settings: Settings, sampler: AdaptiveSampler | None
) -> list[Estimate]:
    """By table, the events as one; from the last day's records."""
    reader = Reader(project, settings)
    try:
        tables = [
            _of_table(reader, project, table, sampler) for table in options.tables_of(project)
        ]
        return [*tables, _of_events(reader)]
    finally:
        reader.close()


def _of_table(
    reader: Reader, project: Project, table: str, sampler: AdaptiveSampler | None
) -> Estimate:
    text = " || ".join(
        f"coalesce({name}, '')" for name in ("inputs", "output", "attributes", "data")
    )
    files = f'list_sum([x::BIGINT for x in regexp_extract_all({text}, \'"file":"[^"]*","bytes":(\\d+)\', 1)])'
    since = clock.now_us() - int(DAY_S * 1e6)
    sql = (
        f"SELECT count(*), (epoch_us(max(ts)) - epoch_us(min(ts))) / 1e6, sum({files}), "
        "count(DISTINCT coalesce(trace_id, id)), "
        "count(DISTINCT coalesce(trace_id, id)) FILTER (status = 'error') "
        f"FROM main.{quoted(table)} WHERE ts >= make_timestamptz(?)"
    )
    rows, seen, media, traces, failed = reader.execute(sql, [since], [table]).rows[0]
    if (seen or 0) < LEAST_S:
        return Estimate(table, None, None, None, seen or 0.0, _too_few(seen))
    share, note = _share(sampler, traces, failed)
    a_day = share * DAY_S / seen
    size = _mean_size(reader, project, table, since)
    return Estimate(
        table, rows * a_day, rows * size * a_day, (media or 0) * a_day, seen, _few(seen) + note
    )


def _share(sampler: AdaptiveSampler | None, traces: int, failed: int) -> tuple[float, str]:
    if sampler is None:
        return 1.0, ""
    share = (failed + sampler.base_rate * (traces - failed)) / traces
    return share, "; slow, disliked, unsafe and unsure traces are sent on top of the sample"


def _too_few(seen: float | None) -> str:
    return (
        f"the last day's records cover {seen or 0:.0f} s; {LEAST_S:.0f} are needed to say anything"
    )


def _few(seen: float) -> str:
    return (
        f"from only {seen / 60:.0f} minutes" if seen < ENOUGH_S else f"from {seen / 3600:.1f} hours"
    )


def _mean_size(reader: Reader, project: Project, table: str, since: int) -> float:
    """Bytes of a row as a call, from some of them made into calls."""
    sql = (
        f"SELECT * FROM main.{quoted(table)} WHERE ts >= make_timestamptz(?) "
        f"AND status IS DISTINCT FROM 'running' USING SAMPLE {_SAMPLE} ROWS"
    )
    sizes = [
        len(wire.dumps(calls.call_of(row, table, project.id, _as_it_is)))
        for row in reader.execute(sql, [since], [table]).dicts()
    ]
    return sum(sizes) / len(sizes) if sizes else 0.0


def _as_it_is(value: Any) -> Any:
    return value


def _of_events(reader: Reader) -> Estimate:
    since = clock.now_us() - int(DAY_S * 1e6)
    sql = (
        "SELECT count(*), (epoch_us(max(ts)) - epoch_us(min(ts))) / 1e6, sum(strlen(value)) FROM said.events "
        "WHERE kind IN ('feedback', 'score', 'label') AND ts >= make_timestamptz(?)"
    )
    count, seen, size = reader.execute(sql, [since], [EVENTS]).rows[0]
    if (seen or 0) < LEAST_S:
        return Estimate(_EVENTS, None, None, None, seen or 0.0, _too_few(seen))
    a_day = DAY_S / seen
    sent = (size or 0) + count * _FEEDBACK_BYTES
    return Estimate(_EVENTS, count * a_day, sent * a_day, 0.0, seen, _few(seen))
