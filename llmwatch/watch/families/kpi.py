"""Business metrics: statistics of a column, or of a label or score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmwatch.watch import names, parts
from llmwatch.watch.families.measure import Facts, Plain, State, Values
from llmwatch.watch.said import Joined, Said, number_said, said_in

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame
    from llmwatch.watch.sets import Kpi

_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class KpiMeasure(Plain):
    """State: moments, and a sketch."""

    def __init__(self, told: Kpi) -> None:
        self._told = told
        self._said = said_in(told.value)

    def columns(self, columns: Columns) -> dict[str, str]:
        if self._said is not None:
            return {}
        return {f"number {self._told.value}": columns.number(self._told.value)}

    def said(self) -> Sequence[Said | Joined]:
        return () if self._said is None else (self._said,)

    def part(self, frame: Frame) -> State:
        if self._said is None:
            values = parts.finite(frame[f"number {self._told.value}"])
        else:
            said = [number_said(value) for value in frame[self._said.alias]]
            values = parts.finite(np.array(said, np.float64))
        return [parts.moments(values), parts.sketch(values)]

    def merge(self, states: Sequence[State]) -> State:
        return [
            parts.merge_moments(s[0] for s in states),
            parts.merge_sketches(s[1] for s in states),
        ]

    def values(self, state: State, facts: Facts) -> Values:
        del facts
        return {
            names.kpi(self._told.name, statistic): _statistic(statistic, *state)
            for statistic in self._told.statistics
        }


def _statistic(name: str, moments: parts.Moments, sketch: parts.Sketch) -> float | None:
    if name in _PERCENTILES:
        return parts.quantile(sketch, _PERCENTILES[name])
    if name == "count":
        return int(moments[0])
    known: dict[str, Callable[[parts.Moments], float | None]] = {
        "mean": parts.mean,
        "sum": parts.total,
        "std": parts.std,
        "min": parts.least,
        "max": parts.most,
    }
    return known[name](moments)
