"""What a new version is judged by: latency, errors, cost, quality, feedback and safety, and how much harm is too much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llmwatch.canary.arms import Scale
from llmwatch.errors import SettingsError
from llmwatch.slices.metrics import Metric

MARGINS = {
    "latency": 0.1,
    "cost": 0.1,
    "errors": 0.01,
    "safety": 0.01,
    "feedback": 0.05,
    "quality": 0.02,
}
"""Of latency and cost a part of the old version's, of others a difference: .01 is one row in a hundred."""
_OF_A_SCORE = 0.05
_SCALES: dict[str, Scale] = {"latency": "log", "cost": "ratio", "errors": "rate", "safety": "rate"}


@dataclass(frozen=True)
class Pillar:
    """One metric with its margin."""

    metric: Metric
    scale: Scale
    margin: float
    """On the scale of the test: the logarithm of a ratio, or a difference."""

    @property
    def name(self) -> str:
        return self.metric.name

    @property
    def sql(self) -> str:
        """What is summed."""
        sql = self.metric.sql
        return f"CASE WHEN ({sql}) > 0 THEN ln({sql}) END" if self.scale == "log" else sql

    @property
    def told_margin(self) -> float:
        """The margin as a person gave it."""
        return math.exp(self.margin) - 1 if self.scale in {"log", "ratio"} else self.margin

    def fitting(self, old: Sequence[float | None] | None, *, given: bool) -> Pillar:
        """The pillar for what the old version's values are (mean, median, p95): of a score that is no share, a part counts."""
        mean, _, p95 = old or (None, None, None)
        if (
            given
            or self.scale != "mean"
            or mean is None
            or p95 is None
            or not (mean > 0 and p95 > 1)
        ):
            return self
        return replace(self, scale="ratio", margin=math.log1p(_OF_A_SCORE))


def pillars(metrics: Sequence[Metric], margins: Mapping[str, float]) -> list[Pillar]:
    """A pillar for each metric; `SettingsError` for a margin of none of them."""
    names = {metric.name for metric in metrics} | set(MARGINS)
    if unknown := [name for name in margins if name not in names]:
        raise SettingsError(
            f"there is no {', '.join(unknown)} to have a margin; there is: {', '.join(sorted(names))}"
        )
    return [_pillar(metric, {**MARGINS, **margins}) for metric in metrics]


def _pillar(metric: Metric, margins: Mapping[str, float]) -> Pillar:
    margin = float(margins.get(metric.name, margins["quality"]))
    if not 0 < margin < 10 or math.isnan(margin):
        raise SettingsError(f"a margin is more than 0, such as .05; {metric.name} has {margin}")
    scale = _SCALES.get(metric.name, "mean")
    return Pillar(metric, scale, math.log1p(margin) if scale in {"log", "ratio"} else margin)
