"""Boards made from a table's columns: what to look at first, for each thing people record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmwatch.board.source import Source
from llmwatch.board.spec import Board
from llmwatch.errors import InvalidBoard


def make(seed: str, source: Source) -> Board:
    """The seed of that name for a table."""
    if seed not in SEEDS:
        raise InvalidBoard(f"there is no seed {seed!r}; there are: {', '.join(SEEDS)}")
    title, build, fits = SEEDS[seed]
    board = Board(seed, table=source.id, title=title, seeded=seed)
    on = _On(board, source)
    if seed in _OF_TABLES and not fits(on):
        theirs = source.id.rpartition("/")[0] + f"/{seed}"
        raise InvalidBoard(f"the board {seed!r} shows the table {theirs}: open it there")
    build(on)
    return board


def fitting(source: Source) -> list[dict[str, str]]:
    """The seeds that a table has the columns for, the most telling first."""
    has = _On(Board("seeds", table=source.id), source)
    return [{"name": name, "title": title} for name, (title, _, fits) in SEEDS.items() if fits(has)]


def best(source: Source) -> str:
    return fitting(source)[0]["name"]


class _On:
    """A board being made for a table: adds a panel only where the table has what it shows."""

    def __init__(self, board: Board, source: Source) -> None:
        self.board, self.source = board, source
        self.columns = source.columns()
        self.x = self.y = self.height = 0

    def has(self, *names: str) -> bool:
        return all(name in self.columns and self.columns[name].known > 0 for name in names)

    @property
    def calls(self) -> bool:
        return self.has("op_name")

    @property
    def trees(self) -> bool:
        return self.calls and self.has("parent_id")

    def add(self, kind: str, title: str, width: int, height: int, *needs: str, **more: Any) -> None:
        """From left to right, on the next line when the grid is full."""
        if not self.has(*needs):
            return
        if self.x + width > 24:
            self.x, self.y, self.height = 0, self.y + self.height, 0
        self.board.add(kind, title=title, at=(self.x, self.y, width, height), **more)
        self.x, self.height = self.x + width, max(self.height, height)

    def numbers(self, *panels: tuple[str, str, str, str]) -> None:
        """Single numbers in one line, as wide as the line gives: title, measure, unit, what it needs."""
        there = [panel for panel in panels if not panel[3] or self.has(panel[3])]
        for n, (title, measure, unit, _) in enumerate(there):
            width = 24 // len(there) + (1 if n < 24 % len(there) else 0)
            better = "down" if _is_burden(measure) else None
            self.add("number", title, width, 5, measure=measure, unit=unit or None, better=better)

    def half(self, kind: str, title: str, *needs: str, **more: Any) -> None:
        self.add(kind, title, 12, 11, *needs, **more)

    def third(self, kind: str, title: str, *needs: str, **more: Any) -> None:
        self.add(kind, title, 8, 11, *needs, **more)

    def rows(self, title: str = "Rows", **more: Any) -> None:
        self.add("rows", title, 24, 28, **more)


def _is_burden(measure: str) -> bool:
    return any(word in measure for word in ("latency", "ttft", "cost", "error", "exception"))


_ERRORS = "share(status = 'error')"


# --- simple: whatever columns there are ----------------------------------------------------


def _simple(on: _On) -> None:
    numbers = [
        name for name, seen in on.columns.items() if seen.type == "number" and seen.known > 0
    ]
    groups = [
        name
        for name, seen in on.columns.items()
        if seen.type in ("text", "bool") and seen.known > 0.2
    ]
    groups = [name for name in groups if _is_grouping(on, name)]
    on.half("bars", "Rows over time", measure="count", by=groups[0] if groups else None)
    if numbers:
        on.half(
            "lines",
            f"{numbers[0]}, average",
            measure=f"avg({numbers[0]})",
            by=groups[0] if groups else None,
        )
    for name in numbers[:3]:
        on.third("distribution", name, column=name)
    for name in groups[: 3 if not numbers else 0]:
        on.third("top", name, column=name)
    on.rows()


def _is_grouping(on: _On, name: str) -> bool:
    """Whether a column has few values, each of many rows."""
    if name in ("id", "trace_id", "parent_id", "turn_id", "exception"):
        return False
    sql = on.source.sql_of(name)
    relation = (
        f'(SELECT {sql} AS v FROM keyed."{on.source.table}" WHERE {sql} IS NOT NULL LIMIT 5000)'
    )
    known, distinct = on.source.execute(f"SELECT count(*), count(DISTINCT v) FROM {relation}").rows[
        0
    ]
    return bool(known and 1 < distinct <= max(2, min(50, known // 4)))


# --- calls ---------------------------------------------------------------------------------


def _llm(on: _On) -> None:
    calls = {"where": "model IS NOT NULL"} if on.trees else {}
    on.numbers(
        ("Requests", "count", "", ""),
        ("Cost", "sum(cost_usd)", "usd", "cost_usd"),
        ("Latency, median", "p50(latency_ms)", "ms", "latency_ms"),
        ("Latency, p95", "p95(latency_ms)", "ms", "latency_ms"),
        ("Errors", _ERRORS, "percent", "status"),
        ("Tokens a request", "avg(completion_tokens)", "tokens", "completion_tokens"),
    )
    on.board.panels = [_with(panel, calls) for panel in on.board.panels]
    on.half(
        "bars", "Requests", measure="count", by="model" if on.has("model") else "op_name", **calls
    )
    on.half("percentiles", "Latency", "latency_ms", column="latency_ms", unit="ms", **calls)
    on.third(
        "bars",
        "Cost by model",
        "cost_usd",
        measure="sum(cost_usd)",
        by="model",
        unit="usd",
        **calls,
    )
    on.third(
        "lines",
        "Prompt tokens",
        "prompt_tokens",
        measure="avg(prompt_tokens)",
        by="model",
        unit="tokens",
        **calls,
    )
    on.third(
        "lines",
        "Completion tokens",
        "completion_tokens",
        measure="avg(completion_tokens)",
        by="model",
        unit="tokens",
        **calls,
    )
    on.third(
        "heatmap", "Latency, every request", "latency_ms", column="latency_ms", unit="ms", **calls
    )
    on.third("distribution", "Time to first token", "ttft_ms", column="ttft_ms", unit="ms", **calls)
    on.third(
        "top",
        "Models by cost",
        "cost_usd",
        column="model",
        measure="sum(cost_usd)",
        unit="usd",
        **calls,
    )
    shown = (
        "timestamp",
        "status",
        "model",
        "inputs",
        "output",
        "latency_ms",
        "prompt_tokens",
        "completion_tokens",
        "cost_usd",
    )
    on.rows(
        "Requests", columns=[name for name in shown if on.has(name) or name == "timestamp"], **calls
    )


def _with(panel: Any, more: dict[str, Any]) -> Any:
    from dataclasses import replace

    return replace(panel, **more)


def _traces(on: _On) -> None:
    roots: dict[str, Any] = {"where": "parent_id IS NULL"}
    on.numbers(
        ("Traces", "count", "", ""),
        ("Success", "share(status = 'success')", "percent", "status"),
        ("Latency, median", "p50(latency_ms)", "ms", "latency_ms"),
        ("Latency, p95", "p95(latency_ms)", "ms", "latency_ms"),
        ("Users", "distinct(user_id)", "", "user_id"),
        ("Sessions", "distinct(session_id)", "", "session_id"),
    )
    on.board.panels = [_with(panel, roots) for panel in on.board.panels]
    name = "display_name" if on.has("display_name") and not on.has("op_name") else "op_name"
    on.half("bars", "Traces by outcome", measure="count", by="status", **roots)
    on.half(
        "lines",
        "Latency by root, average",
        "latency_ms",
        measure="avg(latency_ms)",
        by=name,
        unit="ms",
        **roots,
    )
    on.third("percentiles", "Latency", "latency_ms", column="latency_ms", unit="ms", **roots)
    on.third(
        "heatmap", "Latency, every trace", "latency_ms", column="latency_ms", unit="ms", **roots
    )
    on.third(
        "top",
        "Errors by type",
        "exception_type",
        column="exception_type",
        where="exception_type IS NOT NULL",
    )
    on.add("groups", "Steps", 24, 7, "kind", by=name)
    shown = (
        "timestamp",
        "status",
        "op_name",
        "inputs",
        "output",
        "latency_ms",
        "user_id",
        "session_id",
        "version",
        "cost_usd",
    )
    on.rows(
        "Traces",
        roots=True,
        columns=[column for column in shown if on.has(column) or column == "timestamp"],
    )


_REACTIONS = "name LIKE '%reaction%'"


def _quality(on: _On) -> None:
    thumbs: dict[str, Any] = {"source": "feedback", "where": _REACTIONS}
    on.add("number", "Reactions", 6, 5, measure="count", **thumbs)
    on.add(
        "number", "Liked", 6, 5, measure="share(text = '👍')", unit="percent", better="up", **thumbs
    )
    on.add(
        "number",
        "Notes and corrections",
        6,
        5,
        measure="count",
        source="feedback",
        where="name NOT LIKE '%reaction%'",
    )
    on.add("number", "Labelled", 6, 5, measure="distinct(row_id)", source="labels")
    on.half("bars", "Reactions", measure="count", by="text", **thumbs)
    # A score may be a text, or a dict of several things: of those there is no average.
    scores: dict[str, Any] = {"source": "scores", "where": "number IS NOT NULL"}
    on.half("lines", "Scores, average", measure="avg(number)", by="name", **scores)
    on.third("top", "Scores, average", column="name", measure="avg(number)", **scores)
    on.third("top", "What notes say", column="text", source="feedback", where="name LIKE '%note%'")
    on.third("bars", "Labels", measure="count", by="name", source="labels")
    on.rows("Rows and what was said about them", roots=on.trees or None)


def _product(on: _On) -> None:
    roots: dict[str, Any] = {"where": "parent_id IS NULL"} if on.trees else {}
    on.numbers(
        ("Requests", "count(parent_id IS NULL)" if on.trees else "count", "", ""),
        ("People", "distinct(user_id)", "", "user_id"),
        ("Conversations", "distinct(session_id)", "", "session_id"),
        ("Cost", "sum(cost_usd)", "usd", "cost_usd"),
        ("Answered", "share(status = 'success')", "percent", "status"),
    )
    on.half(
        "bars", "Requests", measure="count", by="version" if on.has("version") else None, **roots
    )
    on.half("lines", "People", "user_id", measure="distinct(user_id)", **roots)
    on.third(
        "bars",
        "Cost by model",
        "cost_usd",
        "model",
        measure="sum(cost_usd)",
        unit="usd",
        by="model",
        where="model IS NOT NULL",
    )
    on.third(
        "top",
        "Cost by person",
        "user_id",
        "cost_usd",
        column="user_id",
        measure="sum(cost_usd)",
        unit="usd",
    )
    on.third(
        "lines",
        "Satisfaction",
        measure="share(text = '👍')",
        unit="percent",
        source="feedback",
        where=_REACTIONS,
    )
    shown = ("timestamp", "user_id", "session_id", "inputs", "output", "latency_ms", "cost_usd")
    on.rows(
        "Conversations",
        roots=on.trees or None,
        columns=[name for name in shown if on.has(name) or name == "timestamp"],
    )


_HOW_FAR = ("effect", "statistic", "psi", "distance")
"""How far a signal moved, by the end of a column's name, the most telling first."""


def _drift(on: _On) -> None:
    """Over the rows that the drift job writes: what it found, how far each signal moved, and how surely."""
    on.board.range = "30d"
    found = "count(verdict = 'drift')" if on.has("verdict") else "count(drift_detected)"
    on.add("number", "Checks", 8, 5, measure="count")
    if on.has("verdict") or on.has("drift_detected"):
        on.add("number", "Found drift", 8, 5, measure=found, better="down")
    on.add("top", "Tables checked", 8, 5, "table", column="table")
    on.half("bars", "Checks by verdict", measure="count", by=_first(on, "verdict", "status"))
    for n, name in enumerate(_moved(on)[:4]):
        add = on.half if n == 0 else on.third
        add("lines", f"{name}, largest", measure=f"max({name})")
    shown = ("timestamp", "table", "verdict", "window", "reference", "rows", "embedder", "notes")
    on.rows("Drift checks", columns=[name for name in shown if on.has(name) or name == shown[0]])


def _moved(on: _On) -> list[str]:
    numbers = [name for name, seen in on.columns.items() if seen.type == "number" and seen.known]
    far = [name for end in _HOW_FAR for name in numbers if name.lower().endswith(end)]
    return far + [name for name in numbers if name.lower().endswith("p_value")]


def _alerts(on: _On) -> None:
    """Over the history that the watch writes: a row when an alert begins, is told and ends."""
    on.board.range = "30d"
    fired: dict[str, Any] = {"where": "state = 'firing'"} if on.has("state") else {}
    if on.has("state", "severity"):
        for severity, means in (("P0", "now"), ("P1", "soon"), ("P2", "to know")):
            where = {"where": f"state = 'firing' AND severity = '{severity}'"}
            on.add("number", f"{severity}: {means}", 6, 5, measure="count", better="down", **where)
        on.add("number", "Ended", 6, 5, measure="count(state = 'resolved')", better="up")
    on.half("bars", "Alerts", measure="count", by=_first(on, "severity", "state"), **fired)
    rule = _first(on, "rule", "name", "alert")
    on.add("top", "Rules that fired", 6, 11, column=rule or "timestamp", **fired)
    on.add("top", "Metrics that crossed a limit", 6, 11, "metric", column="metric", **fired)
    shown = ("timestamp", "state", "severity", "rule", "said", "table", "metric", "value", "group")
    where = {"where": "state NOT IN ('notified', 'silence', 'unsilence')"} if fired else {}
    columns = [name for name in shown if on.has(name) or name == shown[0]]
    on.rows("What happened", columns=columns if len(columns) > 3 else None, **where)


def _first(on: _On, *names: str) -> str | None:
    return next((name for name in names if on.has(name)), None)


def _named(on: _On, *words: str) -> bool:
    return on.source.table.lower() in words


_OF_TABLES = ("drift", "alerts")  # of any other table they would count something else
Seed = tuple[str, Callable[[_On], None], Callable[[_On], bool]]
SEEDS: dict[str, Seed] = {
    "drift": ("Drift", _drift, lambda on: _named(on, "drift")),
    "alerts": ("Alerts", _alerts, lambda on: _named(on, "alerts")),
    "traces": ("Traces", _traces, lambda on: on.trees),
    "llm": ("LLM calls", _llm, lambda on: on.calls and on.has("model")),
    "quality": ("Quality", _quality, lambda on: on.calls or on.has("status")),
    "product": ("Product", _product, lambda on: on.calls and on.has("user_id")),
    "simple": ("Overview", _simple, lambda _: True),
}
"""Each seed's title, what makes it, and whether a table has the columns for it; the first that fits is shown first."""
