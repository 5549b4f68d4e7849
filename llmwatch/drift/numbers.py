"""Numbers: has the distribution of a column moved, in its middle, its spread or its tails?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.drift import blocks, number_effects
from llmwatch.drift.blocks import Design, Floats, Groups
from llmwatch.drift.exchange import exchange
from llmwatch.drift.finding import Finding, insufficient, lacking
from llmwatch.drift.usable import finite

METHOD = "max-rank and Cramer-von Mises"
_TESTS = ("max-rank", "Cramer-von Mises", "Kolmogorov-Smirnov", "Wasserstein", "PSI")
_GRID = 128  # bins of equal share of both sides together, on which distributions are compared
_SCORES = ("location", "spread", "top 5%", "top 1%", "bottom 5%", "bottom 1%")
_DECILES = np.arange(1, 10) / 10


def compare(
    reference: Sequence[Any] | npt.NDArray[Any],
    window: Sequence[Any] | npt.NDArray[Any],
    *,
    groups_reference: Groups = None,
    groups_window: Groups = None,
    seed: int = 0,
) -> Finding:
    """Compare a column of numbers; None, NaN and infinite values are left out and counted.

    The p-value is Bonferroni's over the max-rank test (which sees spread and tails) and Cramer-von
    Mises (which sees the middle). The parts report these and, because people know them,
    Kolmogorov-Smirnov, Wasserstein and PSI.

    >>> same = list(range(300))
    >>> found = compare(same, [value + 60 for value in same])
    >>> found.p < 0.01, round(found.effects["superiority"], 2)
    (True, 0.68)
    """
    sides = finite(reference, groups_reference), finite(window, groups_window)
    (before, groups_before), (now, groups_now) = sides
    n_rows = (len(before), len(now))
    left_out = len(reference) + len(window) - sum(n_rows)
    counted = (blocks.count(groups_before, n_rows[0]), blocks.count(groups_now, n_rows[1]))
    said: dict[str, Any] = {
        "left_out": left_out,
        "blocks_reference": counted[0],
        "blocks_window": counted[1],
    }
    if missing := lacking(n_rows, counted):
        return insufficient(METHOD, *n_rows, missing, **said)
    effects = number_effects.measure(before, now)
    if before[0] == now[0] and (before == before[0]).all() and (now == now[0]).all():
        return Finding(METHOD, *n_rows, statistic=0.0, p=1.0, effects=effects, **said)
    made = blocks.design(n_rows, (groups_before, groups_now), seed)
    known = number_effects.wasserstein(before, now), number_effects.psi(before, now)
    parts = _parts(_Ranked.of(before, now), made, known)
    return Finding(
        METHOD,
        *n_rows,
        statistic=parts[0].statistic,
        p=min(1.0, 2 * min(part.p for part in parts[:2] if part.p is not None)),
        effect=effects["superiority"],
        effect_name="P(window > reference)",
        effects=effects,
        parts=parts,
        detail=number_effects.histogram(before, now),
        **said,
    )


@dataclass(frozen=True)
class _Ranked:
    """Both sides together, as ranks between 0 and 1 and as bins of the grid."""

    scores: Floats
    """Of each distinct value."""
    place: npt.NDArray[np.int64]
    """Which of those a row has."""
    bins: npt.NDArray[np.int64]
    steps: Floats
    """From the mean of one bin to that of the next, in a unit of its own."""
    n_rows: tuple[int, int]

    @classmethod
    def of(cls, before: Floats, now: Floats) -> _Ranked:
        both = np.concatenate([before, now])
        values, place, times = np.unique(both, return_inverse=True, return_counts=True)
        high = np.cumsum(times) / len(both)
        low = high - times / len(both)
        middle = (low + high) / 2
        bin_of_value = np.unique((middle * _GRID).astype(np.int64), return_inverse=True)[1]
        unit = float(np.abs(values).max())  # so that nothing overflows; the tests do not mind
        weights = times / np.bincount(bin_of_value, times)[bin_of_value]
        centres = np.bincount(bin_of_value, values / unit * weights)
        scores = _rank_scores(low, high, middle)
        return cls(scores, place, bin_of_value[place], np.diff(centres), (len(before), len(now)))


def _rank_scores(low: Floats, high: Floats, middle: Floats) -> Floats:
    """For each distinct value, what its ranks (from `low` to `high` where there are ties) say."""
    width = high - low

    def above(share: float) -> Floats:
        return np.maximum(0, high - np.maximum(low, 1 - share)) / width

    def below(share: float) -> Floats:
        return np.maximum(0, np.minimum(high, share) - low) / width

    return np.stack(
        [middle, (middle - 0.5) ** 2, above(0.05), above(0.01), below(0.05), below(0.01)], axis=1
    )


def _parts(ranked: _Ranked, made: Design, known: tuple[float | None, float]) -> tuple[Finding, ...]:
    k = len(_SCORES)
    rows = made.rows[:, None]
    scores = np.stack([made.totals(score[ranked.place]) for score in ranked.scores.T], axis=1)
    counts = made.counts(ranked.bins, len(ranked.steps) + 1)
    tests = _Tests(k, _spread(scores, made), counts.sum(axis=0), ranked.steps)
    observed, p = exchange(made, np.hstack([rows, scores, counts]), tests, first=2)
    n_reference, n_window = (
        float(rows[: made.n_reference].sum()),
        float(rows[made.n_reference :].sum()),
    )
    per_row = (n_reference + n_window) / (n_reference * n_window)
    statistics = (
        observed[0],
        observed[1] / (n_reference * n_window),
        observed[2] * per_row,
        *known,
    )
    return tuple(
        Finding(
            name,
            *ranked.n_rows,
            statistic=None if statistic is None else float(statistic),
            p=float(value),
            blocks_reference=made.blocks[0],
            blocks_window=made.blocks[1],
        )
        for name, statistic, value in zip(_TESTS, statistics, p, strict=True)
    )


def _spread(scores: Floats, made: Design) -> Floats:
    """Standard deviations of the window's sums when blocks are exchanged; infinite where all are alike."""
    spread = made.deviations(scores)
    return np.where(spread > 1e-6, spread, np.inf)


@dataclass(frozen=True)
class _Tests:
    """The five statistics from sums over exchanged blocks: rows, then scores, then the grid's bins.

    All are of what the window has more than its share, not of differences of means: with blocks of
    unequal size the first errs to the quiet side, the second to the loud.
    """

    k: int
    deviations: Floats
    bin_rows: Floats
    steps: Floats

    def __call__(self, window: Floats, reference: Floats) -> Floats:
        window, reference = (
            window.astype(np.float64),
            reference.astype(np.float64),
        )  # ties stay ties
        rows, others = window[:, :1], reference[:, :1]
        share = rows / (rows + others)
        surplus = window[:, 1:] - share * (window[:, 1:] + reference[:, 1:])
        standard = np.abs(surplus[:, : self.k]) / self.deviations
        steps = np.abs(np.cumsum(surplus[:, self.k :], axis=1)[:, :-1])
        weights = self.bin_rows[:-1].astype(np.float64)
        psi = _psi(window[:, self.k + 1 :], reference[:, self.k + 1 :])
        return np.stack(
            [
                standard.max(axis=1),
                steps**2 @ weights,
                steps.max(axis=1, initial=0.0),
                steps @ self.steps,
                psi * (rows * (1 - share))[:, 0],
            ],
            axis=1,
        )


def _psi(window: Floats, reference: Floats) -> Floats:
    """PSI on the deciles of what plays the reference, on the grid."""
    before, now = np.cumsum(reference, axis=1), np.cumsum(window, axis=1)
    totals = before[:, -1:], now[:, -1:]
    edges = np.stack([(before < decile * totals[0]).sum(axis=1) for decile in _DECILES], axis=1)
    at = [np.take_along_axis(cumulated, edges, axis=1) for cumulated in (before, now)]
    counts = [
        np.diff(np.hstack([np.zeros_like(total), cumulated, total]), axis=1)
        for cumulated, total in zip(at, totals, strict=True)
    ]
    return number_effects.psi_of_counts(*counts)
