"""Differences between groups of rows, with an error that takes rows of a user (or session) as one observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer[Any]]
FEWEST_BLOCKS = 8.0
"""Users or sessions that count, in each group: of fewer, nothing is said about others like them."""


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of the groups' means: how large it is, its standard error, and how much that error is worth."""

    estimate: float
    error: float
    freedom: float
    rows: tuple[int, ...]

    @property
    def z(self) -> float:
        return self.estimate / self.error if self.error > 0 else 0.0

    def above(self) -> float:
        """The chance of so large a value when there is no difference."""
        return self._tail(self.z)

    def either(self) -> float:
        """The same for a difference in either direction."""
        return min(1.0, 2 * self._tail(abs(self.z)))

    def _tail(self, z: float) -> float:
        from scipy.special import stdtr

        return float(stdtr(self.freedom, -z)) if self.freedom > 0 else 1.0


@dataclass(frozen=True)
class Blocks:
    """Which block each row is in, by number; None where each row is one."""

    of_row: Ints | None
    count: int

    @classmethod
    def each(cls, rows: int) -> Blocks:
        return cls(None, rows)

    @classmethod
    def named(cls, names: Ints) -> Blocks:
        made = np.unique(names, return_inverse=True)
        return cls(made[1], len(made[0]))

    def take(self, rows: npt.NDArray[Any]) -> Blocks:
        if self.of_row is None:
            return Blocks.each(int(rows.sum()) if rows.dtype == bool else len(rows))
        return Blocks.named(self.of_row[rows])

    def effective(self, rows: npt.NDArray[Any]) -> float:
        """How many equally large blocks say as much as those of these rows (by number)."""
        if self.of_row is None:
            return float(len(rows))
        sizes = np.bincount(self.of_row[rows], minlength=self.count).astype(np.float64)
        return float(sizes.sum() ** 2 / max(1.0, (sizes**2).sum()))


def contrast(
    values: Floats, groups: Sequence[Ints], weights: Sequence[float], blocks: Blocks
) -> Contrast:
    """The weighted sum of the means of groups of rows (their numbers).

    The error of a difference of two is the larger of: of the groups' own spread, of the spread both have together. In a
    group of few rows that are all alike the first is 0, and nothing would be too unlikely for chance.

    >>> values = np.repeat([0.0, 1.0], 100)
    >>> half = np.arange(100), np.arange(100, 200)
    >>> found = contrast(values, half[::-1], (1, -1), Blocks.each(200))
    >>> found.estimate, found.above() < 1e-6
    (1.0, True)
    """
    parts = [values[rows] for rows in groups]
    means = [float(part.mean()) if len(part) else 0.0 for part in parts]
    estimate = float(sum(weight * mean for weight, mean in zip(weights, means, strict=True)))
    freedom = min((blocks.effective(rows) for rows in groups), default=0.0) - 1
    counts = tuple(len(rows) for rows in groups)
    if not all(counts) or (blocks.of_row is not None and freedom + 1 < FEWEST_BLOCKS):
        return Contrast(estimate, 0.0, 0.0, counts)
    variance = _variance(parts, groups, weights, means, blocks)
    if len(parts) == 2:
        whole = float(np.concatenate(parts).mean())
        variance = max(variance, _variance(parts, groups, weights, [whole, whole], blocks))
    return Contrast(estimate, float(np.sqrt(variance)), max(1.0, freedom), counts)


def _variance(
    parts: Sequence[Floats],
    groups: Sequence[Ints],
    weights: Sequence[float],
    centres: Sequence[float],
    blocks: Blocks,
) -> float:
    """Of a sum over blocks that are independent of each other, each counted with what its rows have to do with it."""
    shares = [
        weight / len(part) * (part - centre)
        for part, weight, centre in zip(parts, weights, centres, strict=True)
    ]
    if blocks.of_row is None:
        squares = float(sum((share**2).sum() for share in shares))
        n = sum(map(len, parts))
        return squares * n / max(1, n - 1)
    sums = np.zeros(blocks.count)
    for rows, share in zip(groups, shares, strict=True):
        sums += np.bincount(blocks.of_row[rows], weights=share, minlength=blocks.count)
    n = int((sums != 0).sum())
    return float((sums**2).sum()) * n / max(1, n - 1)


class Whole:
    """Values of all rows, of which one part after another is compared with the rest: what all have in common is summed once."""

    def __init__(self, values: Floats, blocks: Blocks) -> None:
        self.values, self.blocks = values, blocks
        self.n, self.total = len(values), float(values.sum())
        self.mean = self.total / max(1, self.n)
        self.squares = float((values**2).sum())
        if blocks.of_row is not None:
            self._sums = np.bincount(blocks.of_row, weights=values, minlength=blocks.count)
            self._rows = np.bincount(blocks.of_row, minlength=blocks.count).astype(np.float64)

    def versus_rest(self, rows: Ints) -> Contrast:
        """What `contrast` says of these rows (by number) and all others, in the time that these rows take."""
        part = self.values[rows]
        n = len(rows)
        if not 0 < n < self.n:
            return Contrast(0.0, 0.0, 0.0, (n, self.n - n))
        total = float(part.sum())
        means = total / n, (self.total - total) / (self.n - n)
        if self.blocks.of_row is None:
            freedom, variance = min(n, self.n - n) - 1.0, self._of_rows(part, n, means)
        else:
            freedom, variance = self._of_blocks(rows, part, means)
        if freedom <= 0:
            return Contrast(means[0] - means[1], 0.0, 0.0, (n, self.n - n))
        return Contrast(means[0] - means[1], variance**0.5, max(1.0, freedom), (n, self.n - n))

    def _of_rows(self, part: Floats, n: int, means: tuple[float, float]) -> float:
        squares = float((part**2).sum())
        rest = self.n - n
        made = [
            (squares - n * inside * (2 * means[0] - inside)) / n**2
            + (self.squares - squares - rest * outside * (2 * means[1] - outside)) / rest**2
            for inside, outside in (means, (self.mean, self.mean))
        ]
        return max(0.0, *made) * self.n / max(1, self.n - 1)

    def _of_blocks(
        self, rows: Ints, part: Floats, means: tuple[float, float]
    ) -> tuple[float, float]:
        assert self.blocks.of_row is not None
        of_row = self.blocks.of_row[rows]
        sums = np.bincount(of_row, weights=part, minlength=self.blocks.count)
        counts = np.bincount(of_row, minlength=self.blocks.count).astype(np.float64)
        others, other_counts = self._sums - sums, self._rows - counts
        worth = [float(c.sum() ** 2 / max(1.0, (c**2).sum())) for c in (counts, other_counts)]
        if min(worth) < FEWEST_BLOCKS:
            return 0.0, 0.0
        n = len(rows)
        variance = 0.0
        for inside, outside in (means, (self.mean, self.mean)):
            each = (sums - counts * inside) / n - (others - other_counts * outside) / (self.n - n)
            used = int((each != 0).sum())
            variance = max(variance, float((each**2).sum()) * used / max(1, used - 1))
        return min(worth) - 1, variance
