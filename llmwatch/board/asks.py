"""What each kind of panel asks of a table, and the answer as columns of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from llmwatch import clock
from llmwatch.board import measures
from llmwatch.board.asked import Answer, Asked, Measured, Quantiles, Rows, Steps, Wish, alone
from llmwatch.board.choice import Choice
from llmwatch.board.source import Source
from llmwatch.board.spec import Panel

MOST_GROUPS = 8
OTHER = "\x00other"
"""The group of all values that are not among the most frequent; no value can be it."""
_STEPS_S = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
    604800,
    2592000,
)
_MOST_BINS = 90


def ask(source: Source, panel: Panel, choice: Choice) -> Answer:
    """The answer for one panel; `InvalidBoard` when the table has not what it asks for."""
    return alone(steps(source, panel, choice))


def steps(source: Source, panel: Panel, choice: Choice) -> Steps:
    """The way to the answer for one panel, so that several panels' questions can be put together."""
    if panel.source:
        _check_events(source, panel)
    else:
        choice = choice.also(source, panel.where)
    return KINDS[panel.kind](Asked(source, panel, choice))


def _check_events(source: Source, panel: Panel) -> None:
    if panel.where:
        source.reader.check(f"SELECT 1 FROM {panel.source} WHERE {panel.where}", [source.table])


def _aggregate(asked: Asked, measure: measures.Measure) -> Measured:
    if measure.percentile is None:
        return measure.sql(asked.column)
    return Quantiles(asked.column(measure.of or ""), (measure.percentile / 100,))


def _measure(asked: Asked, text: str | None) -> measures.Measure:
    measure = measures.parse(text or "count")
    if measure.condition is not None and not asked.panel.source:
        asked.source.reader.check_conditions(asked.source.table, [measure.condition])
    elif measure.condition is not None:
        asked.source.reader.check(
            f"SELECT 1 FROM {asked.panel.source} WHERE {measure.condition}", [asked.source.table]
        )
    return measure


# --- over time -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Bins:
    """Equal spans of time: the first begins at `start`, all in microseconds."""

    start: int
    width: int
    count: int

    def to_json(self) -> dict[str, int]:
        return {"start": self.start, "width": self.width, "count": self.count}

    @property
    def sql(self) -> str:
        return f'(epoch_us("llmwatch ts") // {self.width} - {self.start // self.width})'


def bins(source: Source, choice: Choice, most: int = _MOST_BINS) -> Bins | None:
    """Bins over the chosen range; None when the table is empty."""
    start, end = choice.start, choice.end
    if start is None or end is None:
        extent = source.extent()
        if extent is None and start is None:
            return None
        start = start if start is not None else extent[0]  # type: ignore[index]
        end = end if end is not None else max(clock.now_us(), (extent or (0, 0))[1] + 1)
    width = _width(end - start, most)
    first = start // width * width
    return Bins(first, width, max(1, min(400, -(-(end - first) // width))))


def _width(span: int, most: int) -> int:
    for seconds in _STEPS_S:
        if seconds * 1_000_000 * most >= span:
            return seconds * 1_000_000
    return max(1_000_000, -(-span // most))


def _series(asked: Asked) -> Steps:
    panel, over = asked.panel, bins(asked.source, asked.choice)
    measure = _measure(asked, panel.measure)
    if over is None:
        return {"bins": None, "series": []}
    groups = (yield from _groups(asked, panel.limit or MOST_GROUPS)) if panel.by else None
    keys = (over.sql,) if groups is None else (over.sql, _group_sql(asked, groups))
    rows = yield from asked.rows(keys, _aggregate(asked, measure))
    if groups is None:
        rows = [(at, None, value) for at, value in rows]
    return {
        "bins": over.to_json(),
        "stacks": measure.additive,
        "series": _by_group(
            rows,
            groups,
            over,
            fill=0 if measure.function == "count" else None,
            additive=measure.additive,
        ),
    }


@dataclass(frozen=True)
class _Groups:
    values: tuple[Any, ...]
    others: int


def _groups(asked: Asked, limit: int) -> Generator[Sequence[Wish], Sequence[Rows], _Groups]:
    by = asked.column(asked.panel.by or "")
    ranked = f"ORDER BY 2 DESC, 1 LIMIT {limit}"
    rows = yield from asked.rows((by,), "count(*)", "count(*) OVER ()", rest=ranked)
    total = rows[0][2] if rows else 0
    return _Groups(tuple(row[0] for row in rows), max(0, total - len(rows)))


def _group_sql(asked: Asked, groups: _Groups) -> str:
    """A number for each of the groups that are shown, and one for all the others."""
    by = asked.column(asked.panel.by or "")
    cases = " ".join(
        f"WHEN {by} IS NOT DISTINCT FROM {_literal(value)} THEN {n}"
        for n, value in enumerate(groups.values)
    )
    return f"CASE {cases} ELSE {len(groups.values)} END" if cases else "0"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (bool, int, float)) and not (
        isinstance(value, float) and not math.isfinite(value)
    ):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _by_group(
    rows: Sequence[tuple[Any, ...]],
    groups: _Groups | None,
    over: Bins,
    *,
    fill: Any,
    additive: bool,
) -> list[Answer]:
    keys: list[Any] = [None] if groups is None else list(range(len(groups.values)))
    if groups is not None and groups.others and additive:
        keys.append(len(groups.values))
    lines: dict[Any, list[Any]] = {key: [fill] * over.count for key in keys}
    for bin_, key, value in rows:
        if key in lines and 0 <= bin_ < over.count:
            lines[key][bin_] = _number(value)
    return [{"name": _group_name(key, groups), "values": values} for key, values in lines.items()]


def _group_name(key: Any, groups: _Groups | None) -> Any:
    if groups is None:
        return None
    return groups.values[key] if key < len(groups.values) else OTHER


def _percentiles(asked: Asked) -> Steps:
    over = bins(asked.source, asked.choice)
    of = asked.panel.of or (50, 95, 99)
    if over is None:
        return {"bins": None, "series": []}
    column = asked.column(asked.panel.column or "")
    rows = yield from asked.rows((over.sql,), *(Quantiles(column, (p / 100,)) for p in of))
    lines: list[list[Any]] = [[None] * over.count for _ in of]
    for bin_, *values in rows:
        if 0 <= bin_ < over.count:
            for line, value in zip(lines, values, strict=True):
                line[bin_] = _number(value)
    return {
        "bins": over.to_json(),
        "stacks": False,
        "series": [{"name": f"p{p:g}", "values": line} for p, line in zip(of, lines, strict=True)],
    }


# --- single numbers ------------------------------------------------------------------------


def _single(asked: Asked) -> Steps:
    measure = _measure(asked, asked.panel.measure)
    over = bins(asked.source, asked.choice)
    if over is None:
        return {"value": None, "before": None, "spark": []}
    sql, earlier = _aggregate(asked, measure), _earlier(asked, over)
    before = [asked.wish((), sql, choice=earlier)] if earlier else []
    found = yield [asked.wish((), sql), asked.wish((over.sql,), sql), *before]
    value, *was = (_number(rows[0][0]) for rows in (found[0], *found[2:]))
    spark: list[Any] = [0 if measure.function == "count" else None] * over.count
    for bin_, number in found[1]:
        if 0 <= bin_ < over.count:
            spark[bin_] = _number(number)
    return {"value": value, "before": was[0] if was else None, "spark": spark}


def _earlier(asked: Asked, over: Bins) -> Choice | None:
    """The span of time just before; None when it reaches back before the first row."""
    extent, start = asked.source.extent(), asked.choice.start
    if start is None or extent is None or asked.choice.search:
        return None  # a text is looked for in the chosen range only: before it, nothing is known
    span = (asked.choice.end or over.start + over.width * over.count) - start
    if start - span < extent[0] - span // 20:
        return None
    return asked.choice.between(start - span, start)


# --- distributions -------------------------------------------------------------------------


_SHARES = (0.001, 0.5, 0.95, 0.99, 0.995, 0.999)


def _distribution(asked: Asked) -> Steps:
    column = asked.column(asked.panel.column or "")
    if not asked.panel.source and asked.source.column(asked.panel.column or "").type in (
        "text",
        "bool",
        "json",
    ):
        return {"categories": (yield from _most_frequent(asked, column, 12))}
    measured = [f"{name}({column})" for name in ("count", "min", "max", "avg", "stddev_samp")]
    rows = yield from asked.rows((), "count(*)", *measured, Quantiles(column, _SHARES))
    stats = rows[0]
    told = dict(
        zip(("rows", "known", "min", "max", "mean", "std"), map(_number, stats[:6]), strict=True)
    )
    if not stats[1]:
        return {"stats": told, "edges": [], "counts": []}
    p0, p50, p95, p99, p995, _ = (float(v) for v in stats[6])
    edges = _edges(max(float(stats[2]), p0), float(stats[3]), p50, p995)
    told |= {"p50": p50, "p95": p95, "p99": p99}
    return {
        "stats": told,
        "edges": edges,
        "counts": (yield from _histogram(asked, column, edges)),
    }


def _edges(least: float, top: float, middle: float, most: float, count: int = 40) -> list[float]:
    """Edges of bins; wider and wider ones when the values reach over orders of magnitude."""
    if least == top:
        return [least, least + 1]
    if least > 0 and middle > 0 and most / middle > 6:
        low, high = math.log(least), math.log(max(most, least * 1.01))
        return [math.exp(low + (high - low) * n / count) for n in range(count + 1)]
    high = most if most > least else top
    return [least + (high - least) * n / count for n in range(count + 1)]


def _histogram(
    asked: Asked, column: str, edges: list[float]
) -> Generator[Sequence[Wish], Sequence[Rows], list[int]]:
    counts = [0] * (len(edges) - 1)
    place = (
        _place(column, edges) if len(edges) > 2 else f"CASE WHEN {column} IS NOT NULL THEN 0 END"
    )
    for n, count in (yield from asked.rows((place,), f"count({column})")):
        if n is not None:
            counts[min(len(counts) - 1, max(0, int(n)))] += count
    return counts


def _place(column: str, edges: list[float]) -> str:
    """Which bin a value lies in; the edges are even, by value or by logarithm."""
    low, high, count = edges[0], edges[-1], len(edges) - 1
    if edges[1] - edges[0] < (edges[2] - edges[1]) * 0.999:
        span = math.log(high) - math.log(low)
        return f"floor((ln(greatest({column}, {low!r})) - {math.log(low)!r}) / {span / count!r})"
    return f"floor(({column} - {low!r}) / {(high - low) / count!r})"


def _heatmap(asked: Asked) -> Steps:
    over = bins(asked.source, asked.choice)
    column = asked.column(asked.panel.column or "")
    measured = [f"{name}({column})" for name in ("count", "min", "max")]
    rows = yield from asked.rows((), *measured, Quantiles(column, _SHARES))
    stats = rows[0]
    if over is None or not stats[0]:
        return {"bins": None, "edges": [], "cells": []}
    p0, p50, *_, most = (float(v) for v in stats[3])
    edges = _edges(max(float(stats[1]), p0), float(stats[2]), p50, most, count=24)
    if len(edges) == 2:
        return {"bins": over.to_json(), "edges": edges, "cells": []}
    last = len(edges) - 2
    place = f"greatest(0, least({last}, {_place(column, edges)}))::INT"
    found = f"AND {column} IS NOT NULL"
    rows = yield from asked.rows((over.sql, place), "count(*)", also=found)
    cells = sorted([x, y, n] for x, y, n in rows if 0 <= x < over.count)
    return {"bins": over.to_json(), "edges": edges, "cells": cells}


# --- lists ---------------------------------------------------------------------------------


def _top(asked: Asked) -> Steps:
    measure = _measure(asked, asked.panel.measure)
    column = asked.column(asked.panel.column or "")
    ranked = f"ORDER BY 2 DESC NULLS LAST, 3 DESC, 1 LIMIT {asked.panel.limit or 10}"
    told = (measure.sql(asked.column), "count(*)", "count(*) OVER ()")
    rows = yield from asked.rows((column,), *told, rest=ranked)
    return {
        "items": [
            {"name": plain(row[0]), "value": _number(row[1]), "rows": row[2]} for row in rows
        ],
        "groups": rows[0][3] if rows else 0,
    }


def _most_frequent(
    asked: Asked, column: str, limit: int
) -> Generator[Sequence[Wish], Sequence[Rows], list[Answer]]:
    rows = yield from asked.rows((column,), "count(*)", rest=f"ORDER BY 2 DESC, 1 LIMIT {limit}")
    return [{"name": plain(row[0]), "value": _number(row[1])} for row in rows]


def _grouped(asked: Asked) -> Steps:
    panel = asked.panel
    named = list(panel.measures or _usual(asked))
    sql = [_measure(asked, text).sql(asked.column) for text in named]
    by = asked.column(panel.by or "")
    ranked = f"ORDER BY count(*) DESC, 1 LIMIT {panel.limit or 100}"
    rows = yield from asked.rows((by,), *sql, "count(*) OVER ()", rest=ranked)
    return {
        "by": panel.by,
        "measures": named,
        "rows": [[plain(row[0]), *map(_number, row[1:-1])] for row in rows],
        "groups": rows[0][-1] if rows else 0,
    }


def _usual(asked: Asked) -> list[str]:
    columns = {} if asked.panel.source else asked.source.columns()
    known = {name for name, seen in columns.items() if seen.known > 0 and seen.type == "number"}
    wanted = ["count"]
    if "status" in columns and asked.source.is_calls:
        wanted.append("share(status = 'error')")
    wanted += [f"p50({name})" for name in ("latency_ms",) if name in known]
    wanted += [f"p95({name})" for name in ("latency_ms",) if name in known]
    wanted += [
        f"sum({name})"
        for name in ("cost_usd", "prompt_tokens", "completion_tokens")
        if name in known
    ]
    if len(wanted) == 1:
        wanted += [f"avg({name})" for name in sorted(known)[:4]]
    return wanted


def _rows(asked: Asked) -> Steps:
    """Only how many there are: the page asks for rows themselves as it scrolls."""
    roots = ' AND "llmwatch parent_id" IS NULL' if asked.panel.roots else ""
    rows = yield from asked.rows((), "count(*)", also=roots)
    return {"count": rows[0][0]}


def _note(_: Asked) -> Steps:
    yield from ()
    return {}


KINDS: dict[str, Callable[[Asked], Steps]] = {
    "lines": _series,
    "bars": _series,
    "percentiles": _percentiles,
    "distribution": _distribution,
    "heatmap": _heatmap,
    "number": _single,
    "top": _top,
    "groups": _grouped,
    "rows": _rows,
    "note": _note,
}


def _number(value: Any) -> Any:
    """A number that JSON can hold; NaN and infinities are unknown."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return (
        float(value)
        if value is not None and not isinstance(value, (int, float, str, bool))
        else value
    )


def plain(value: Any) -> Any:
    """A grouping value as JSON."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return _number(value) if isinstance(value, float) else str(value)
