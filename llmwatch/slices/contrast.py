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

    def numbers(self, rows: Ints) -> Ints | None:
        """The block of each of these rows; None where each row is one."""
        return None if self.of_row is None else self.of_row[rows]

    def sizes(self, rows: Ints) -> Floats:
        """How many of these rows are in each block."""
        if self.of_row is None:
            return np.ones(len(rows))
        return np.bincount(self.of_row[rows], minlength=self.count).astype(np.float64)

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
        used = np.concatenate([np.asarray(rows) for rows in groups])
        alike = Alike.of(values[used], blocks.numbers(used))
        variance = max(variance, alike.variance(*(blocks.sizes(rows) for rows in groups)))
    return Contrast(estimate, float(np.sqrt(variance)), max(1.0, freedom), counts)


def _variance(
    parts: Sequence[Floats],
    groups: Sequence[Ints],
    weights: Sequence[float],
    means: Sequence[float],
    blocks: Blocks,
) -> float:
    """Of a sum over blocks that are independent of each other, each counted with what its rows have to do with it."""
    shares = [
        weight / len(part) * (part - mean)
        for part, weight, mean in zip(parts, weights, means, strict=True)
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


@dataclass(frozen=True)
class Alike:
    """How rows spread that are all of one kind, and how much those of one block resemble each other (0 to 1)."""

    spread: float
    within: float

    @classmethod
    def of(cls, values: Floats, numbers: Ints | None) -> Alike:
        away = values - values.mean()
        spread = float((away**2).mean())
        if numbers is None or not spread:
            return cls(spread, 0.0)
        sums = np.bincount(numbers, weights=away)
        counts = np.bincount(numbers).astype(np.float64)
        pairs = float((counts**2 - counts).sum())
        alike = float((sums**2).sum() - (away**2).sum()) / (pairs * spread) if pairs else 0.0
        return cls(spread, min(1.0, max(0.0, alike)))

    def variance(self, one: Floats, other: Floats) -> float:
        """Of the difference of two means of rows that are alike; `one` and `other` are the rows in each block."""
        n, m = float(one.sum()), float(other.sum())
        pairs = float((one**2).sum() - n) / n**2 + float((other**2).sum() - m) / m**2
        between = 2 * float((one * other).sum()) / (n * m) if len(one) == len(other) else 0.0
        return self.spread * (1 / n + 1 / m + self.within * (pairs - between))


class Whole:
    """Values of all rows, of which one part after another is compared with the rest: what all have in common is summed once."""

    def __init__(self, values: Floats, blocks: Blocks) -> None:
        self.values, self.blocks = values, blocks
        self.n, self.total = len(values), float(values.sum())
        self.mean = self.total / max(1, self.n)
        self.squares = float((values**2).sum())
        self.alike = Alike.of(values, blocks.of_row) if len(values) else Alike(0.0, 0.0)
        if blocks.of_row is not None:
            self._sums = np.bincount(blocks.of_row, weights=values, minlength=blocks.count)
            self._rows = np.bincount(blocks.of_row, minlength=blocks.count).astype(np.float64)

    def versus_rest(self, rows: Ints) -> Contrast:
        """What `contrast` says of these rows (by number) and all others, in the time that these rows take."""
        part = self.values[rows]
        n, rest = len(rows), self.n - len(rows)
        if not n or not rest:
            return Contrast(0.0, 0.0, 0.0, (n, rest))
        total = float(part.sum())
        means = total / n, (self.total - total) / rest
        of = self._of_rows if self.blocks.of_row is None else self._of_blocks
        freedom, variance = of(rows, part, means)
        if freedom <= 0:
            return Contrast(means[0] - means[1], 0.0, 0.0, (n, rest))
        return Contrast(means[0] - means[1], variance**0.5, max(1.0, freedom), (n, rest))

    def _of_rows(self, rows: Ints, part: Floats, means: tuple[float, float]) -> tuple[float, float]:
        n, rest = len(rows), self.n - len(rows)
        squares = float((part**2).sum())
        own = (squares - n * means[0] ** 2) / n**2
        own += (self.squares - squares - rest * means[1] ** 2) / rest**2
        variance = max(own * self.n / max(1, self.n - 1), self.alike.spread * (1 / n + 1 / rest))
        return min(n, rest) - 1.0, variance

    def _of_blocks(
        self, rows: Ints, part: Floats, means: tuple[float, float]
    ) -> tuple[float, float]:
        assert self.blocks.of_row is not None
        of_row = self.blocks.of_row[rows]
        sums = np.bincount(of_row, weights=part, minlength=self.blocks.count)
        counts = np.bincount(of_row, minlength=self.blocks.count).astype(np.float64)
        others, rest = self._sums - sums, self._rows - counts
        worth = [float(c.sum() ** 2 / max(1.0, (c**2).sum())) for c in (counts, rest)]
        if min(worth) < FEWEST_BLOCKS:
            return 0.0, 0.0
        each = (sums - counts * means[0]) / len(rows)
        each -= (others - rest * means[1]) / (self.n - len(rows))
        used = int((each != 0).sum())
        own = float((each**2).sum()) * used / max(1, used - 1)
        return min(worth) - 1, max(own, self.alike.variance(counts, rest))
