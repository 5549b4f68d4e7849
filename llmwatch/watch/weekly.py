"""A week in figures: traffic, errors, speed and cost day by day beside the week before, alerts, and drift runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.watch import history, loading
from llmwatch.watch.conditions import AllOf, Drift, Threshold
from llmwatch.watch.history import Alert
from llmwatch.watch.rules import Rule
from llmwatch.watch.series import DAY_US, DRIFT, EVERY_ROW, Known, Series, Source

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

DAYS = 7
_REQUESTS, _ERRORS = "errors/request_count", "errors/total_count"
_READ = (
    _REQUESTS,
    _ERRORS,
    "latency/p50_ms",
    "latency/p95_ms",
    "cost/total_usd",
    "cost/input_tokens",
    "cost/output_tokens",
    "performance/accuracy",
    "performance/f1_score",
    "performance/mae",
    "performance/rmse",
    "predictions/low_confidence_rate",
)


@dataclass(frozen=True)
class Figure:
    """One number of a week, of the week before, and of each day. What is not known is None."""

    name: str
    unit: str
    value: float | None
    before: float | None
    days: tuple[float | None, ...]
    less_is_better: bool | None = True
    note: str = ""
    set: str = ""
    """The metric set that told it, where it is not the table's."""

    @property
    def change(self) -> float | None:
        """As a share of the week before."""
        if self.value is None or not self.before:
            return None
        return (self.value - self.before) / abs(self.before)


@dataclass(frozen=True)
class TableWeek:
    """One table, as its metric sets tell it: each figure is of `set` where that one tells it."""

    table: str
    set: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Week:
    """Everything that a weekly report says."""

    project: str
    from_us: int
    until_us: int
    tables: tuple[TableWeek, ...] = ()
    alerts: tuple[Alert, ...] = ()
    alerts_before: int = 0
    drift_runs: int = 0
    drift_found: int = 0
    id: str = field(default_factory=clock.new_id)

    def as_dict(self) -> dict[str, Any]:
        told = asdict(self)
        for table, one in zip(told["tables"], self.tables, strict=True):
            for figure, source in zip(table["figures"], one.figures, strict=True):
                figure["change"] = source.change
        return told


def week(reader: Reader, until: datetime) -> Week:
    """The seven days before a time."""
    until_us = round((until - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds() * 1e6)
    from_us = until_us - DAYS * DAY_US
    conditions = AllOf((*(Threshold(name, above=0) for name in _READ), Drift()))
    span = loading.Span(from_us - DAYS * DAY_US, until_us)
    known = loading.load(reader, [Rule("the week", conditions)], span)
    every = history.alerts(reader)
    runs = _drift_runs(known, from_us, until_us)
    return Week(
        reader.project.id,
        from_us,
        until_us,
        tuple(_table(known, sources, until_us) for sources in _sources(known)),
        tuple(one for one in every if _during(one, from_us, until_us)),
        sum(from_us - DAYS * DAY_US <= one.fired_us < from_us for one in every),
        len(runs),
        sum(run > 0 for run in runs),
    )


def _during(alert: Alert, from_us: int, until_us: int) -> bool:
    return alert.fired_us < until_us and (alert.resolved_us or until_us) >= from_us


def _drift_runs(known: Known, from_us: int, until_us: int) -> list[float]:
    return [
        run
        for source, series in known.series.items()
        if source.set == DRIFT
        for run in series.between("drift/drift_detected", from_us, until_us)
    ]


def _sources(known: Known) -> list[list[Source]]:
    """The sets of each table: first the one that tells the most of what a report shows, then those with the shortest windows."""
    tables: dict[str, list[Source]] = {}
    for source in sorted(known.series):
        if source.group == EVERY_ROW and source.set != DRIFT:
            tables.setdefault(source.table, []).append(source)
    return [sorted(sources, key=lambda source: _rank(known, source)) for sources in tables.values()]


def _rank(known: Known, source: Source) -> tuple[int, int, str]:
    series = known.series[source]
    told = sum(any(v is not None for v in column) for column in series.values.values())
    return -told, series.window_us, source.set


def _table(known: Known, sources: Sequence[Source], until_us: int) -> TableWeek:
    first = sources[0]
    made = (_told_first(make, known, sources, until_us) for make in _FIGURES)
    return TableWeek(first.table, first.set, tuple(one for one in made if one is not None))


def _told_first(
    make: Callable[[Series, int], Figure | None],
    known: Known,
    sources: Sequence[Source],
    until_us: int,
) -> Figure | None:
    """A figure of the first set that tells it."""
    for source in sources:
        if (one := make(known.series[source], until_us)) is not None:
            if source == sources[0]:
                return one
            return replace(one, set=source.set)
    return None


Over = Callable[[Series, int, int], "float | None"]


def _figure(
    series: Series, until_us: int, over: Over, name: str, unit: str, better: bool | None, note: str
) -> Figure | None:
    ends = [until_us - (DAYS - day - 1) * DAY_US for day in range(DAYS)]
    days = tuple(over(series, end - DAY_US, end) for end in ends)
    value = over(series, until_us - DAYS * DAY_US, until_us)
    before = over(series, until_us - 2 * DAYS * DAY_US, until_us - DAYS * DAY_US)
    if value is None and before is None:
        return None
    return Figure(name, unit, value, before, days, better, note)


def _rows(series: Series, after_us: int, until_us: int) -> float | None:
    places = [i for i, end in enumerate(series.ends) if after_us < end <= until_us]
    return float(sum(series.rows[i] for i in places)) if places else None


def _sum(*names: str) -> Over:
    def over(series: Series, after_us: int, until_us: int) -> float | None:
        values = [v for name in names for v in series.between(name, after_us, until_us)]
        return math.fsum(values) if values else None

    return over


def _share(part: str, whole: str, times: float = 1.0) -> Over:
    def over(series: Series, after_us: int, until_us: int) -> float | None:
        count = math.fsum(series.between(whole, after_us, until_us))
        found = math.fsum(series.between(part, after_us, until_us))
        return times * found / count if count else None

    return over


def _typical(name: str) -> Over:
    def over(series: Series, after_us: int, until_us: int) -> float | None:
        values: Sequence[float] = series.between(name, after_us, until_us)
        return statistics.median(values) if values else None

    return over


def _made(
    over: Over, name: str, unit: str, better: bool | None = True, note: str = ""
) -> Callable[[Series, int], Figure | None]:
    return lambda series, until_us: _figure(series, until_us, over, name, unit, better, note)


_TYPICAL = "of a typical window"
_FIGURES = (
    _made(_rows, "requests", "", None),
    _made(_share(_ERRORS, _REQUESTS, 100.0), "errors", "%"),
    _made(_typical("latency/p50_ms"), "latency p50", "ms", note=_TYPICAL),
    _made(_typical("latency/p95_ms"), "latency p95", "ms", note=_TYPICAL),
    _made(_sum("cost/total_usd"), "cost", "USD"),
    _made(_sum("cost/input_tokens", "cost/output_tokens"), "tokens", "", None),
    _made(_typical("performance/accuracy"), "accuracy", "", better=False, note=_TYPICAL),
    _made(_typical("performance/f1_score"), "F1", "", better=False, note=_TYPICAL),
    _made(_typical("performance/mae"), "mean error", "", note=_TYPICAL),
    _made(_typical("performance/rmse"), "RMSE", "", note=_TYPICAL),
    _made(_typical("predictions/low_confidence_rate"), "unsure answers", "share", note=_TYPICAL),
)
