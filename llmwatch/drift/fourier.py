"""Random Fourier features: the mean of these differs whenever the distributions do (MMD)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from llmwatch.drift.blocks import Floats

_FREQUENCIES = 128
_SAMPLE = 100  # rows of each side that the bandwidth is taken from


def features(before: Floats, now: Floats, seed: int) -> Callable[[Floats], Floats]:
    """Features of a Gaussian kernel whose width is the median distance between rows of both sides."""
    random = np.random.default_rng([seed, before.shape[1]])
    width = _median_distance(before, now)
    frequencies = random.standard_normal((before.shape[1], _FREQUENCIES), dtype=np.float32) / width

    def of(rows: Floats) -> Floats:
        turned = rows @ frequencies
        return np.asarray(
            np.hstack([np.cos(turned), np.sin(turned)]) / np.sqrt(np.float32(_FREQUENCIES))
        )

    return of


def _median_distance(before: Floats, now: Floats) -> Any:
    rows = np.vstack([side[:: max(1, len(side) // _SAMPLE)][:_SAMPLE] for side in (before, now)])
    rows = (rows - rows.mean(axis=0)).astype(np.float64)
    squares = (rows**2).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * rows @ rows.T
    median = np.median(distances[np.triu_indices(len(rows), 1)])
    return np.float32(np.sqrt(max(float(median), 1e-12)))
