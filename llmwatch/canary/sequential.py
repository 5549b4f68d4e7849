"""A test that may be looked at as often as one likes: evidence against "no worse", and against "worse by a margin".

Of two versions only the difference of their means counts, and how surely it is known: the information, one over its squared error.
As rows come in, information times difference moves like a random walk. Against each of its drifts up to a bound one can bet
by a mixture of drifts above it (half a normal distribution): what the bets have won is an e-value. While the bound holds, the
chance that it ever passes 1/alpha is at most alpha, whenever and however often anybody looks (Ville's inequality); this is the
mixture sequential probability ratio test, one-sided, with the error estimated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_STEPS = 60  # halvings: to the last digit of a double
_FARTHEST = 60.0  # standard errors


def log_e(surplus: Any, information: Any, scale: float) -> Any:
    """The log of the e-value against "the difference is at most 0", elementwise.

    `surplus` is information times difference. `scale` is the difference that the bets are made for; others take longer.

    >>> round(float(log_e(4.0 * 25, 25.0, 1.0)), 1)  # a difference of 4, with an error of .2
    191.4
    """
    from scipy.special import log_ndtr

    information = np.asarray(information, dtype=np.float64)
    surplus = np.asarray(surplus, dtype=np.float64)
    wide = information + 1 / scale**2
    return (
        np.log(2.0)
        - np.log1p(information * scale**2) / 2
        + surplus**2 / (2 * wide)
        + log_ndtr(surplus / np.sqrt(wide))
    )


def reach(information: Any, scale: float, alpha: float) -> Any:
    """How far the difference may be off on one side: it is within this at all looks together, but for a chance of alpha.

    Infinite where nothing is known.
    """
    information = np.asarray(information, dtype=np.float64)
    known = np.where(information > 0, information, 1.0)
    root = np.sqrt(known)
    low, high = np.zeros_like(known), np.full_like(known, _FARTHEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        enough = log_e(middle * root, known, scale) >= np.log(1 / alpha)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(information > 0, high / root, np.inf)


def needed(difference: float, scale: float, alpha: float) -> float:
    """The information with which a difference of this size lies outside of reach; infinite for none."""
    if difference <= 0:
        return float("inf")
    low, high = 1e-6 / difference**2, 1e6 / difference**2
    for _ in range(_STEPS):
        middle = float(np.sqrt(low * high))
        if log_e(middle * difference, middle, scale) >= np.log(1 / alpha):
            high = middle
        else:
            low = middle
    return high
