"""Stretches of time: rows that followed each other count as one observation, where neither session nor user is known.

What people ask changes with the hour, so a stretch is exchanged only with others of about the same time of day
(of the week, where the window is longer than two days). Exchanged all over the day they would differ from
each other by the hour alone, and a change would have to be larger than that to be seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

STRETCH = np.dtype([("number", np.int64), ("at", np.int64)])
"""The group of a row: which stretch of its side, and when in the day or week its middle was, in microseconds."""
_DAY_US = 86_400_000_000
_OF_A_STRATUM = 6
"""Stretches of the smaller side that a stratum has on average: with 3, lengths were rejected .07 to .08 without drift at 10,000 rows, with 6 .04."""
_COMPARED = 0.9
"""Of the window's stretches, how many have to be in a stratum with some of the reference."""
_HARDLY = 10
"""A pause this many times shorter than is usual between stretches is one within what came together."""
Times = npt.NDArray[np.int64]


def cut(reference: Times, window: Times, minimum: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The stretch of each row: of as many rows on both sides, and hardly more than `minimum` of the smaller side."""
    rows = max(1, min(len(reference), len(window)) * 3 // (4 * minimum))
    period = _DAY_US if np.ptp(window) <= 2 * _DAY_US else 7 * _DAY_US
    return tuple(_stretches(side, rows, period, minimum) for side in (reference, window))  # type: ignore[return-value]


def _stretches(times: Times, rows: int, period: int, minimum: int) -> npt.NDArray[Any]:
    """About `rows` rows that follow each other are one stretch."""
    order = np.argsort(times, kind="stable")
    ends = _ends(np.diff(times[order]), rows, minimum)
    starts = np.zeros(len(times), dtype=np.int64)
    starts[ends + 1] = 1
    number = np.cumsum(starts)
    begin, end = times[order[np.append(0, ends + 1)]], times[order[np.append(ends, len(times) - 1)]]
    made = np.empty(len(times), STRETCH)
    made["number"][order] = number
    made["at"][order] = ((begin + (end - begin) // 2) % period)[number]
    return made


def _ends(pauses: Times, rows: int, minimum: int) -> Times:
    """The row that each stretch but the last ends with: the one after which nothing came for longest, near there.

    Where the longest pause is hardly any, what came together would be cut in two: there no stretch ends.
    """
    first = rows - rows // 2 - 1  # the ends are looked for half a stretch around every `rows` rows
    looked_at = pauses[first:][: (len(pauses) - first) // rows * rows].reshape(-1, rows)
    ends = first + np.arange(len(looked_at)) * rows + looked_at.argmax(axis=1)
    longest = pauses[ends]
    order = np.argsort(longest, kind="stable")
    hardly = order[longest[order] < np.median(longest) / _HARDLY] if len(ends) else order
    return np.delete(ends, hardly[: max(0, len(ends) + 1 - minimum)])


def strata(at: Times, n_reference: int) -> npt.NDArray[np.int64]:
    """For each stretch, the reference's first, the part of the day in which it is exchanged.

    The parts have as many stretches each, whichever side they are of: parts made by looking at the sides would
    themselves make a difference. They are larger where the window came at hours that the reference lacks, and the
    whole is one part where the two share no hours.
    """
    order = np.argsort(at, kind="stable")
    parts = min(n_reference, len(at) - n_reference) // _OF_A_STRATUM
    while parts > 1:
        stratum = np.empty(len(at), np.int64)
        stratum[order] = np.arange(len(at)) * parts // len(at)
        known = np.isin(stratum[n_reference:], stratum[:n_reference])
        if known.mean() >= _COMPARED:
            return stratum
        parts //= 2
    return np.zeros(len(at), np.int64)
