"""How much a column of numbers moved, in the measures that people know."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmwatch.drift.blocks import Floats

_DECILES = np.arange(1, 10) / 10


def measure(before: Floats, now: Floats) -> dict[str, float | None]:
    """P(window > reference), and the relative change of the median, the 95th and the 99th percentile."""
    return {
        "superiority": superiority(before, now),
        **{f"p{q}_change": _change(before, now, q) for q in (50, 95, 99)},
    }


def superiority(before: Floats, now: Floats) -> float:
    """The chance that a value of the window exceeds one of the reference, ties by half."""
    ordered = np.sort(before)
    below = np.searchsorted(ordered, now, "left") + np.searchsorted(ordered, now, "right")
    return float(below.mean() / (2 * len(before)))


def _change(before: Floats, now: Floats, q: int) -> float | None:
    was, is_now = (float(_percentile(side, q / 100)) for side in (before, now))
    change = (is_now / abs(was) - was / abs(was)) if was else 0.0
    return change if was and np.isfinite(change) else None


def _percentile(values: Floats, q: Any) -> Floats:
    return np.asarray(np.quantile(values, q, method="inverted_cdf"))


def wasserstein(before: Floats, now: Floats) -> float | None:
    """The mean distance that values would have to move, in the column's units."""
    scale = float(max(np.abs(before).max(), np.abs(now).max())) or 1.0  # so that nothing overflows
    values = np.sort(np.concatenate([before, now]) / scale)
    below = [
        np.searchsorted(np.sort(side / scale), values[:-1], "right") / len(side)
        for side in (before, now)
    ]
    distance = float((np.abs(below[0] - below[1]) * np.diff(values)).sum()) * scale
    return distance if np.isfinite(distance) else None


def edges_of(before: Floats) -> Floats:
    """Bins fixed by the deciles of the reference; fewer where it has few distinct values."""
    edges = np.unique(_percentile(before, _DECILES))
    return np.asarray(edges[edges < before.max()])


def psi(before: Floats, now: Floats) -> float:
    """The population stability index on the deciles of the reference."""
    edges = edges_of(before)
    counts = [
        np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1)
        for side in (before, now)
    ]
    return float(psi_of_counts(counts[0][None].astype(float), counts[1][None].astype(float))[0])


def psi_of_counts(before: Floats, now: Floats) -> Floats:
    """PSI of rows of counts; half a row stands for an empty bin."""
    shares = [np.maximum(side, 0.5) / side.sum(axis=1, keepdims=True) for side in (before, now)]
    terms = (shares[1] - shares[0]) * np.log(shares[1] / shares[0])
    return np.asarray(np.where(before + now > 0, terms, 0.0).sum(axis=1))


def histogram(before: Floats, now: Floats) -> dict[str, Any]:
    """Both sides on the bins that PSI uses; `edges` are the upper ends of all bins but the last."""
    edges = edges_of(before)
    counts = [
        np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1)
        for side in (before, now)
    ]
    return {
        "edges": edges.tolist(),
        "reference": counts[0].tolist(),
        "window": counts[1].tolist(),
        "quantiles": {
            f"p{q}": [float(_percentile(side, q / 100)) for side in (before, now)]
            for q in (5, 25, 50, 75, 95, 99)
        },
    }
