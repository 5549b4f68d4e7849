"""Reads the windows that rules look at from the tables `metrics` and `drift`: no more of them than the rules need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from llmwatch.stream.columns import quoted
from llmwatch.watch import names
from llmwatch.watch.conditions import Absence, Budget, Change, Condition, Drift, Trend, parts
from llmwatch.watch.periods import period_start
from llmwatch.watch.rules import Rule
from llmwatch.watch.series import DAY_US, DRIFT, EVERY_ROW, Known, Source

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

DRIFT_TABLE = "drift"
_TS, _WRITER, _SEQ = '"llmwatch ts"', '"llmwatch writer"', '"llmwatch seq"'
_ENDS = "(window_start + CAST(window_s AS HUGEINT) * 1000000)::BIGINT"
_LONGEST_WINDOWS = 70
"""So many windows before the ones that are looked at, for trends and recent changes."""


@dataclass(frozen=True)
class Span:
    """What is read: windows that end from `from_us` on, those told since `told_since_us`, and of earlier days (up to
    `days`) those near the same time of day."""

    from_us: int
    until_us: int
    told_since_us: int | None = None
    days: int = 0
    slack_us: int = 0


def span(
    rules: Sequence[Rule], from_us: int, now_us: int, told_since_us: int | None = None
) -> Span:
    """What a look at these rules needs, when windows from `from_us` on are to be judged."""
    conditions = [one for rule in rules for one in parts(rule.when)]
    absences = [round(one.after_s * 1e6) for one in conditions if isinstance(one, Absence)]
    budgets = [period_start(one.period, now_us) for one in conditions if isinstance(one, Budget)]
    start = min([from_us - max(absences, default=0), *budgets])
    slack = max(absences, default=0) + 300_000_000
    return Span(start, now_us, told_since_us, max(map(_days, conditions), default=0), slack)


def _days(condition: Condition) -> int:
    if isinstance(condition, Change):
        return {"day": 7, "week": 28}.get(condition.against, 0)
    return 7 if isinstance(condition, Absence) and condition.usual else 0


def load(reader: Reader, rules: Sequence[Rule], wanted: Span) -> Known:
    """The windows and drift runs that the rules look at."""
    known = Known()
    there = reader.project.tables()
    conditions = [one for rule in rules for one in parts(rule.when)]
    if names.TABLE in there:
        _load_metrics(reader, known, conditions, {rule.by for rule in rules}, wanted)
    if DRIFT_TABLE in there and any(isinstance(one, Drift) for one in conditions):
        _load_drift(reader, known, wanted)
    return known


def _load_metrics(
    reader: Reader,
    known: Known,
    conditions: Sequence[Condition],
    groupings: Iterable[tuple[str, ...]],
    wanted: Span,
) -> None:
    columns = {column.key for column in reader.columns(names.TABLE) if column.key is not None}
    if not {"set", "window_start", "window_s", "n"} <= columns:
        return
    metrics = sorted(
        name
        for name in columns - set(names.ROW)
        if any(fnmatchcase(name, one.metric) for one in conditions if one.metric != "*")
    )
    where, params = _chosen(conditions, groupings, wanted)
    sql = (
        f'SELECT "set", "table", "group", window_s, {_ENDS} AS ends, n, epoch_us({_TS}), '
        + "".join(f"TRY_CAST({quoted(name)} AS DOUBLE), " for name in metrics)
        + f'"closed" FROM keyed.{quoted(names.TABLE)} WHERE {where} ORDER BY ends, {_TS}, {_WRITER}, {_SEQ}'
    )
    for row in reader.stream(sql, params, [names.TABLE]):
        _keep(known, metrics, row)


def _keep(known: Known, metrics: Sequence[str], row: tuple[Any, ...]) -> None:
    set_, table, group, window_s, ends, rows, told_us, *values, closed = row
    if not isinstance(set_, str) or ends is None:
        return
    source = Source(_name(table), set_, str(group or EVERY_ROW))
    series = known.of(source, int(window_s) * 1_000_000)
    told = {name: float(v) for name, v in zip(metrics, values, strict=True) if v is not None}
    if closed:
        series.add(int(ends), int(rows or 0), told)
    else:
        series.add_lasting(int(told_us), int(ends) - series.window_us, told)


def _chosen(
    conditions: Sequence[Condition], groupings: Iterable[tuple[str, ...]], wanted: Span
) -> tuple[str, list[Any]]:
    """Which rows: closed windows (for budgets also those of a day that still last), of groups that a rule asks for."""
    windows = max(_LONGEST_WINDOWS, max(map(_reach, conditions), default=0))
    near = f"{_ENDS} >= ? - {windows} * CAST(window_s AS HUGEINT) * 1000000"
    params: list[Any] = [wanted.from_us]
    if wanted.told_since_us is not None:
        near += f" OR epoch_us({_TS}) > ?"
        params.append(wanted.told_since_us)
    if wanted.days:
        begin = wanted.from_us - wanted.slack_us
        reach = wanted.until_us - begin + wanted.slack_us
        near += f" OR ({_ENDS} >= ? AND ({_ENDS} - ?) % {DAY_US} <= ?)"
        params += [begin - wanted.days * DAY_US, begin - (wanted.days + 1) * DAY_US, reach]
    grouped = "" if any(groupings) else f" AND \"group\" = '{EVERY_ROW}'"
    over = f'({near}) AND {_ENDS} <= ? AND "closed"'
    params.append(wanted.until_us)
    if any(isinstance(one, Budget) for one in conditions):
        over = f'({over}) OR (NOT "closed" AND {_ENDS} > ? AND epoch_us({_TS}) <= ?)'
        params += [wanted.from_us, wanted.until_us]
    return f"({over}){grouped}", params


def _reach(condition: Condition) -> int:
    if isinstance(condition, Trend):
        return 2 * condition.windows
    if isinstance(condition, Change) and condition.against == "recent":
        return 2 * condition.windows
    return 0


def _load_drift(reader: Reader, known: Known, wanted: Span) -> None:
    columns = {column.key for column in reader.columns(DRIFT_TABLE) if column.key is not None}
    if not {"table", "drift_detected"} <= columns:
        return
    metrics = sorted(
        name for name in columns if name.startswith("drift/") and name.endswith("_drift")
    )
    verdict = "verdict" if "verdict" in columns else "NULL"
    sql = (
        f'SELECT "table", epoch_us({_TS}), drift_detected, {verdict}, '
        + "".join(f"TRY_CAST({quoted(name)} AS DOUBLE), " for name in metrics)
        + f"1 FROM keyed.{quoted(DRIFT_TABLE)} WHERE epoch_us({_TS}) BETWEEN ? AND ? ORDER BY {_TS}"
    )
    params = [wanted.from_us - 7 * DAY_US, wanted.until_us]
    for table, at_us, found, said, *values, _ in reader.stream(sql, params, [DRIFT_TABLE]):
        told = {name: float(v) for name, v in zip(metrics, values, strict=True) if v is not None}
        if said == "insufficient data":
            told.pop("drift/drift_detected", None)
        elif found is not None:
            told["drift/drift_detected"] = float(found)
        known.of(Source(_name(table), DRIFT), 3_600_000_000).add(int(at_us), 1, told)


def _name(table: Any) -> str:
    """The table's own name: a set may be declared of `project/table`, and all is of one project here."""
    return str(table).rpartition("/")[2]
