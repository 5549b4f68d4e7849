"""What two versions did, as sums over users: means, how surely they are known, and the harm that one does beside the other.

Rows of one user resemble each other, so users are what is counted: each has a number of rows and a sum. Everything here takes
numbers or arrays of them, one for each look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Scale = Literal["rate", "mean", "log", "ratio"]
"""How a difference is told: of shares, of means, of logarithms (typical values), or the ratio of means."""
FEWEST = 50.0
"""Users that count in each version before anything is said: of fewer, an estimated error says too little."""


@dataclass(frozen=True)
class Sums:
    """One version's: users, rows, the sum of values, and over users the sums of squares and products of both."""

    users: Any
    rows: Any
    total: Any
    total_total: Any
    total_rows: Any
    rows_rows: Any

    @property
    def mean(self) -> Any:
        return self.total / np.maximum(self.rows, 1)

    @property
    def worth(self) -> Any:
        """How many users of as many rows each say as much."""
        return np.asarray(self.rows, np.float64) ** 2 / np.maximum(self.rows_rows, 1)

    @property
    def variance(self) -> Any:
        """Of the mean, with users as what varies."""
        mean = self.mean
        squares = self.total_total - 2 * mean * self.total_rows + mean**2 * self.rows_rows
        users = np.maximum(self.users, 2)
        return np.maximum(squares, 0) / np.maximum(self.rows, 1) ** 2 * users / (users - 1)


@dataclass(frozen=True)
class Harm:
    """By how much the new version is worse (below 0: better), and the information there is against either claim."""

    estimate: Any
    against_none: Any
    """Information for saying that there is harm."""
    against_margin: Any
    """Information for saying that the harm is less than the margin."""
    ready: Any
    """Whether there are users enough."""


def harm(new: Sums, old: Sums, scale: Scale, margin: float, worse: str = "high") -> Harm:
    """The harm of the new version beside the old one."""
    sign = 1.0 if worse == "high" else -1.0
    ready = (new.worth >= FEWEST) & (old.worth >= FEWEST)
    if scale == "rate":
        return _of_rates(new, old, margin, sign, ready)
    if scale == "ratio":
        positive = (new.total > 0) & (old.total > 0)
        means = [np.where(positive, arm.mean, 1.0) for arm in (new, old)]
        variance = new.variance / means[0] ** 2 + old.variance / means[1] ** 2
        information = _inverse(variance)
        return Harm(sign * np.log(means[0] / means[1]), information, information, ready & positive)
    information = _inverse(new.variance + old.variance)
    return Harm(sign * (new.mean - old.mean), information, information, ready)


def _of_rates(new: Sums, old: Sums, margin: float, sign: float, ready: Any) -> Harm:
    """Of shares the error is at least what the claim implies that is spoken against: with no failure yet, it is not 0."""
    both = (new.total + old.total) / np.maximum(new.rows + old.rows, 1)
    alike = _design(new, old)
    bad = np.clip(old.mean + sign * margin, 0.0, 1.0)
    own = new.variance + old.variance
    none = _spread(both) * alike * (1 / np.maximum(new.rows, 1) + 1 / np.maximum(old.rows, 1))
    at_margin = _spread(bad) * alike / np.maximum(new.rows, 1) + old.variance
    return Harm(
        sign * (new.mean - old.mean),
        _inverse(np.maximum(own, none)),
        _inverse(np.maximum(own, at_margin)),
        ready,
    )


def _design(new: Sums, old: Sums) -> Any:
    """How many rows of these users say as much as one row of somebody else."""
    spreads = [_spread(arm.mean) / np.maximum(arm.rows, 1) for arm in (new, old)]
    own = new.variance + old.variance
    plain = spreads[0] + spreads[1]
    return np.maximum(1.0, np.where(plain > 0, own / np.where(plain > 0, plain, 1.0), 1.0))


def _spread(share: Any) -> Any:
    return share * (1 - share)


def _inverse(variance: Any) -> Any:
    variance = np.asarray(variance, np.float64)
    return np.where(variance > 0, 1 / np.where(variance > 0, variance, 1.0), 0.0)
