"""Latency and throughput."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmwatch.watch import parts
from llmwatch.watch.families.measure import Facts, Plain, State, Values

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame
    from llmwatch.watch.sets import Latency


class LatencyMeasure(Plain):
    def __init__(self, told: Latency) -> None:
        self._column = told.column

    def columns(self, columns: Columns) -> dict[str, str]:
        return {f"own {self._column}": columns.ours_or_logged(self._column)}

    def part(self, frame: Frame) -> State:
        values = parts.finite(frame[f"own {self._column}"])
        return [parts.moments(values), parts.sketch(values)]

    def merge(self, states: Sequence[State]) -> State:
        return [
            parts.merge_moments(state[0] for state in states),
            parts.merge_sketches(state[1] for state in states),
        ]

    def values(self, state: State, facts: Facts) -> Values:
        del facts
        moments, sketch = state
        return {
            "latency/p50_ms": parts.quantile(sketch, 0.5),
            "latency/p95_ms": parts.quantile(sketch, 0.95),
            "latency/p99_ms": parts.quantile(sketch, 0.99),
            "latency/mean_ms": parts.mean(moments),
            "latency/std_ms": parts.std(moments),
            "latency/min_ms": parts.least(moments),
            "latency/max_ms": parts.most(moments),
        }


class ThroughputMeasure(Plain):
    """Requests being answered are counted by the time they took (Little's law): no row says when it was one of how many."""

    def columns(self, columns: Columns) -> dict[str, str]:
        return {"own latency_ms": columns.ours_or_logged("latency_ms")}

    def part(self, frame: Frame) -> State:
        return [len(frame["id"]), parts.moments(frame["own latency_ms"])]

    def merge(self, states: Sequence[State]) -> State:
        return [sum(state[0] for state in states), parts.merge_moments(s[1] for s in states)]

    def values(self, state: State, facts: Facts) -> Values:
        n, moments = state
        busy_ms = parts.total(moments) if n else 0.0
        passed = facts.seconds
        return {
            "throughput/requests_per_second": n / passed if passed else None,
            "throughput/active_requests": busy_ms / 1000 / passed
            if passed and busy_ms is not None
            else None,
        }
