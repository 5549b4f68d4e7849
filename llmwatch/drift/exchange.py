"""P-values by exchanging blocks between reference and window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from llmwatch.drift.blocks import Design, Floats

TIMES = (999, 4_999, 19_999)
"""Exchanges, more of them while fewer than ten were as extreme: small p-values have to stand Holm's factor."""
_EXTREME_ENOUGH = 10
_ROUNDING = 1e-5  # relative; sums of float32 in another order differ by less

Statistics = Callable[[Floats, Floats], Floats]
"""From the window's and the reference's sums (exchanges by columns) to exchanges by statistics."""


def exchange(
    design: Design, sums: npt.NDArray[np.float32], statistics: Statistics, first: int = 1
) -> tuple[Floats, Floats]:
    """The statistics as they are, and their p-values: how often blocks dealt by chance do as well.

    Only the `first` ones, which decide, are worth many exchanges when their p-value is small.
    """
    observed: Floats
    extreme: Floats
    sums = design.alike(sums)
    for times in TIMES:
        observed, extreme = _count(design, sums, statistics, times)
        if (extreme[:first] >= _EXTREME_ENOUGH).all():
            break
    return observed, (extreme + 1) / (times + 1)


def _count(
    design: Design, sums: npt.NDArray[np.float32], statistics: Statistics, times: int
) -> tuple[Floats, Floats]:
    whole = sums.sum(axis=0, dtype=np.float64).astype(np.float32)
    observed = extreme = np.zeros(0)
    for number, (dealt, order) in enumerate(design.exchanges(times + 1)):
        window = dealt @ sums[order]
        values = statistics(window, whole - window)
        if number == 0:
            observed, values = values[0], values[1:]
            extreme = np.zeros(len(observed))
        extreme = extreme + (values >= observed - _ROUNDING * np.abs(observed)).sum(axis=0)
    return observed, extreme
