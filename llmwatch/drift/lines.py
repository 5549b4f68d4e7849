"""A judged signal as a line of the report: its means, and both sides as histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmwatch.drift.assembly import CHARACTERS_A_TOKEN, Assembled
from llmwatch.drift.report import Histogram, Line
from llmwatch.drift.signals import Judged
from llmwatch.drift.sources import LENGTHS

BINS = 24
_OUTSIDE = 0.005  # of the rows on each side, which go into the first and the last bin


def line(made: Assembled, judged: Judged) -> Line:
    """The line of one signal."""
    signal = made.signal
    if signal.kind != "number":
        return Line(judged, signal.kind, made.unit, made.blocks)
    sides = [_finite(values) for values in (signal.reference, signal.window)]
    means, spreads = _both(sides, np.mean), _both(sides, np.std)
    tokens: tuple[float | None, float | None] = (None, None)
    if signal.name in LENGTHS and made.unit == "characters":
        tokens = _estimate(means[0]), _estimate(means[1])
    return Line(
        judged,
        signal.kind,
        made.unit,
        made.blocks,
        means,
        spreads,
        tokens,
        histogram=histogram(*sides),
    )


def histogram(before: Any, now: Any) -> Histogram | None:
    """Bins of equal width; of equal ratio where numbers are positive and most of them small."""
    if not len(before) or not len(now):
        return None
    every = np.concatenate([before, now])
    low, high = (float(edge) for edge in np.quantile(every, [_OUTSIDE, 1 - _OUTSIDE]))
    if not np.isfinite(high - low) or high <= low:
        return None
    log = low > 0 and high / low > 20 and float(np.median(every)) < (low + high) / 4
    edges = np.geomspace(low, high, BINS + 1) if log else np.linspace(low, high, BINS + 1)
    shares = [
        np.histogram(np.clip(side, low, high), edges)[0] / len(side) for side in (before, now)
    ]
    rounded = [tuple(round(float(share), 5) for share in side) for side in shares]
    return Histogram(
        tuple(float(f"{edge:.6g}") for edge in edges), rounded[0], rounded[1], bool(log)
    )


def _finite(values: Any) -> Any:
    return values[np.isfinite(values)]


def _both(sides: list[Any], what: Any) -> tuple[float | None, float | None]:
    before, now = (float(what(values)) if len(values) else None for values in sides)
    return before, now


def _estimate(characters: float | None) -> float | None:
    return None if characters is None else characters / CHARACTERS_A_TOKEN
