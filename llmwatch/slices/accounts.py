"""What accounts for a metric's change: that there are more rows of some kind, or that rows of one kind behave otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.slices.contrast import contrast
from llmwatch.slices.metrics import Metric
from llmwatch.slices.moves import Group, Moved
from llmwatch.slices.reading import Rows

_SHRUNK = 20  # rows of the whole that a level's mean is mixed with: of a few rows little is known
_LEAST_ROWS = 30
_CONCENTRATED = 0.3


@dataclass(frozen=True)
class Behaviour:
    """Rows of one level that changed more than the others did."""

    level: str
    where: str | None
    metric: str
    before: float
    after: float
    others: tuple[float, float]
    contribution: float
    """Of the whole change, the share that these rows make."""
    share: float
    """Of the rows, those that are of this level."""
    p: float

    @property
    def concentration(self) -> float:
        return min(1.0, self.contribution) - self.share


def scored(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values that are compared: what is 0 or 1 as it is, other numbers by their rank from 0 to 1."""
    distinct, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) <= 2:
        low = distinct[0] if len(distinct) else 0.0
        return values if set(distinct.tolist()) <= {0.0, 1.0} else (values > low).astype(np.float64)
    high = np.cumsum(counts)
    middle = (high - counts / 2) / len(values)
    return np.asarray(middle[place], np.float64)


def account(rows: Rows, one: Moved, metrics: Sequence[Metric]) -> dict[str, float]:
    """For each metric the share of its change that comes with the rows' being of other levels."""
    return {metric.name: _explained(rows, one, metric) for metric in metrics}


def _explained(rows: Rows, one: Moved, metric: Metric) -> float:
    values, side, codes = _known(rows, one, metric)
    if not len(values) or side.all() or not side.any():
        return 0.0
    whole = float(values[side].mean() - values[~side].mean())
    if not whole:
        return 0.0
    n = int(one.codes.max()) + 1
    counts = [np.bincount(codes[part], minlength=n).astype(np.float64) for part in (~side, side)]
    sums = [np.bincount(codes[part], values[part], minlength=n) for part in (~side, side)]
    usual = float(values.mean())
    means = [(s + _SHRUNK * usual) / (c + _SHRUNK) for s, c in zip(sums, counts, strict=True)]
    both = np.minimum(*counts) >= _SHRUNK
    pooled = (sums[0] + sums[1] + _SHRUNK * usual) / (counts[0] + counts[1] + _SHRUNK)
    level = np.where(both, (means[0] + means[1]) / 2, pooled)
    shares = [c / c.sum() for c in counts]
    return float(np.clip(((shares[1] - shares[0]) * (level - usual)).sum() / whole, 0.0, 1.0))


def _known(rows: Rows, one: Moved, metric: Metric) -> tuple[Any, Any, Any]:
    values = rows.values[metric.name][one.rows]
    known = np.isfinite(values)
    return scored(values[known]), rows.side[one.rows][known], one.codes[known]


def behaved(
    rows: Rows, found: Sequence[Moved], metrics: Sequence[Metric], alpha: float
) -> list[Behaviour | None]:
    """For each column the level whose rows changed more than others, and made most of the change."""
    tests = max(1, sum(len(one.groups) for one in found) * len(metrics))
    return [_best(rows, one, metrics, alpha / tests) for one in found]


def _best(rows: Rows, one: Moved, metrics: Sequence[Metric], threshold: float) -> Behaviour | None:
    made = [
        behaviour
        for metric in metrics
        for behaviour in _behaviours(rows, one, metric)
        if behaviour.p <= threshold and behaviour.concentration >= _CONCENTRATED
    ]
    return max(made, key=lambda behaviour: behaviour.concentration, default=None)


def _behaviours(rows: Rows, one: Moved, metric: Metric) -> list[Behaviour]:
    values = rows.values[metric.name][one.rows]
    known = np.isfinite(values)
    if not known.any():
        return []
    score = np.zeros(len(values))
    score[known] = scored(values[known])
    side = rows.side[one.rows]
    parts = {True: known & side, False: known & ~side}
    if not all(part.any() for part in parts.values()):
        return []
    whole = score[parts[True]].mean() - score[parts[False]].mean()
    return [
        made
        for group in one.groups
        if (made := _of_group(one, group, metric.name, values, score, parts, float(whole)))
        is not None
    ]


def _of_group(
    one: Moved,
    group: Group,
    metric: str,
    values: Any,
    score: Any,
    parts: Mapping[bool, Any],
    whole: float,
) -> Behaviour | None:
    cells = [
        np.flatnonzero(parts[after] & (group.mask == inside))
        for inside in (True, False)
        for after in (True, False)
    ]
    if min(map(len, cells)) < _LEAST_ROWS or not whole:
        return None
    found = contrast(score, cells, (1.0, -1.0, -1.0, 1.0), one.blocks)
    share = (len(cells[0]) + len(cells[1])) / sum(map(len, cells))
    inside = float(score[cells[0]].mean() - score[cells[1]].mean())
    after, before, others_after, others_before = (float(values[cell].mean()) for cell in cells)
    return Behaviour(
        group.label,
        group.where,
        metric,
        before,
        after,
        (others_before, others_after),
        share * inside / whole,
        share,
        found.either(),
    )
