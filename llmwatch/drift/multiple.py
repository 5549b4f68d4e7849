"""Many tests at once: Holm over the signals of one run, Benjamini-Hochberg over slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values: the chance of one false alarm among all is at most the threshold.

    What is None (insufficient data) was not tested: it stays None and does not count.

    >>> holm([0.01, 0.04, None])
    [0.02, 0.04, None]
    """
    tested, order = _sorted(p_values)
    scaled = tested[order] * np.arange(len(tested), 0, -1)
    return _back(p_values, order, np.maximum.accumulate(scaled))


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values: among those under the threshold, at most that share is false.

    >>> benjamini_hochberg([0.01, 0.04, None, 0.5])
    [0.03, 0.06, None, 0.5]
    """
    tested, order = _sorted(p_values)
    scaled = tested[order] * len(tested) / np.arange(1, len(tested) + 1)
    return _back(p_values, order, np.minimum.accumulate(scaled[::-1])[::-1])


def _sorted(p_values: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
    tested = np.array([p for p in p_values if p is not None], dtype=float)
    return tested, np.argsort(tested, kind="stable")


def _back(
    p_values: Sequence[float | None], order: np.ndarray, adjusted: np.ndarray
) -> list[float | None]:
    placed = np.empty(len(order))
    placed[order] = np.minimum(adjusted, 1.0)
    answers = iter(placed.tolist())
    return [None if p is None else round(next(answers), 12) for p in p_values]
