"""Mergeable parts: what is kept of many values so that any union of rows can be measured from its pieces.

A part is a list or dict that JSON holds. Each is a function of the rows alone, not of the order they came in or how they
were cut: merging the parts of pieces gives the part of the whole (sums of floats to rounding).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

EXACT = 128
"""Up to so many values a sketch holds the values themselves."""
ACCURACY = 0.01
"""A percentile of more values is off by at most this share of itself."""
DISTINCT = 512
"""Up to so many distinct values are counted exactly; more to within 4.4% (one standard error)."""
MOST_KEYS = 1000
"""Keys of a tally; what is rarer goes together under `OTHER`."""
OTHER = "(other)"
_LOG_BASE = math.log((1 + ACCURACY) / (1 - ACCURACY))
_SMALLEST = 1e-12
_HUGE = 1e300
_HASHES = 1 << 64

Moments = list[Any]
"""[n, mean, sum of squared distances from it, least, most]; [0] when there are no values."""
Sketch = dict[str, Any]
Tally = dict[str, int]


def finite(values: Any) -> Any:
    """The numbers among values: masked, missing and infinite ones left out."""
    plain = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    return plain[np.isfinite(plain)]


# --- sums --------------------------------------------------------------------------------


def moments(values: Any) -> Moments:
    """The moments of finite numbers.

    >>> moments([1.0, 2.0, 3.0])
    [3, 2.0, 2.0, 1.0, 3.0]
    """
    values = finite(values)
    if not len(values):
        return [0]
    with np.errstate(over="ignore"):
        mean = float((values / len(values)).sum()) if _are_huge(values) else float(values.mean())
        spread = float(np.square(values - mean).sum())
    return [len(values), mean, _known(spread), float(values.min()), float(values.max())]


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """The moments of all values together (Chan's formula)."""
    whole: Moments = [0]
    for part in parts:
        if part[0]:
            whole = _both(whole, part) if whole[0] else part
    return whole


def _both(one: Moments, other: Moments) -> Moments:
    n, more = one[0], other[0]
    mean = one[1] * (n / (n + more)) + other[1] * (more / (n + more))
    spread = None
    if one[2] is not None and other[2] is not None:
        apart = other[1] - one[1]
        spread = _known(one[2] + other[2] + apart * apart * (n * more / (n + more)))
    return [n + more, mean, spread, min(one[3], other[3]), max(one[4], other[4])]


def _are_huge(values: Any) -> bool:
    return bool(np.abs(values).max() > _HUGE)


def _known(number: float) -> float | None:
    """JSON holds no infinity: None where squares are too large to add up."""
    return number if math.isfinite(number) else None


def mean(part: Moments) -> float | None:
    return part[1] if part[0] else None


def total(part: Moments) -> float | None:
    return part[0] * part[1] if part[0] else None


def std(part: Moments) -> float | None:
    """The standard deviation of these rows themselves, as `numpy.std`."""
    return math.sqrt(part[2] / part[0]) if part[0] and part[2] is not None else None


def least(part: Moments) -> float | None:
    return part[3] if part[0] else None


def most(part: Moments) -> float | None:
    return part[4] if part[0] else None


# --- percentiles -------------------------------------------------------------------------


def sketch(values: Any) -> Sketch:
    """Few values as they are, many as counts of bins whose width is a share of their place.

    >>> sketch([2.0, 1.0])
    {'v': [1.0, 2.0]}
    """
    values = np.sort(finite(values))
    return {"v": values.tolist()} if len(values) <= EXACT else _binned(values)


def _binned(values: Any) -> Sketch:
    large = np.abs(values) > _SMALLEST
    bins: Sketch = {"z": int(len(values) - large.sum())}
    for sign, side in (("+", values[large & (values > 0)]), ("-", -values[large & (values < 0)])):
        places = np.ceil(np.log(side) / _LOG_BASE).astype(np.int64)
        found, counts = np.unique(places, return_counts=True)
        bins[sign] = [found.tolist(), counts.tolist()]
    return bins


def merge_sketches(parts: Iterable[Sketch]) -> Sketch:
    """The sketch of all values together: values while they are few, else bins, whatever the order."""
    parts = list(parts)
    values = [value for part in parts for value in part.get("v", ())]
    binned = [part for part in parts if "v" not in part]
    if not binned and len(values) <= EXACT:
        return {"v": sorted(values)}
    if values:
        binned.append(_binned(np.asarray(values)))
    return {
        "z": sum(part["z"] for part in binned),
        **{sign: _added([part[sign] for part in binned]) for sign in "+-"},
    }


def _added(sides: Sequence[list[list[int]]]) -> list[list[int]]:
    places = np.concatenate([np.asarray(side[0], np.int64) for side in sides])
    counts = np.concatenate([np.asarray(side[1], np.int64) for side in sides])
    found, where = np.unique(places, return_inverse=True)
    sums = np.bincount(where, counts, len(found)).astype(np.int64)
    return [found.tolist(), sums.tolist()]


def _in_order(part: Sketch) -> tuple[Any, Any]:
    """The values (or middles of bins) in order, and how many of each."""
    if "v" in part:
        return np.asarray(part["v"], np.float64), np.ones(len(part["v"]), np.int64)
    middle = 2 / (1 + math.exp(_LOG_BASE))
    below, above = (np.asarray(part[sign][0], np.float64) for sign in "-+")
    values = np.concatenate(
        [-middle * np.exp(below[::-1] * _LOG_BASE), [0.0], middle * np.exp(above * _LOG_BASE)]
    )
    return values, np.concatenate([part["-"][1][::-1], [part["z"]], part["+"][1]]).astype(np.int64)


def quantile(part: Sketch, share: float) -> float | None:
    """The value that this share of rows is at or below, between neighbours as `numpy.quantile`.

    >>> quantile(sketch([1.0, 2.0, 4.0]), 0.75)
    3.0
    """
    values, counts = _in_order(part)
    n = int(counts.sum())
    if not n:
        return None
    ends = np.cumsum(counts)
    place = share * (n - 1)
    lower = math.floor(place)
    low, high = values[np.searchsorted(ends, [lower, min(lower + 1, n - 1)], side="right")]
    return float(low + (high - low) * (place - lower))


def outside(part: Sketch, low: float, high: float) -> int:
    """How many values are below `low` or above `high`."""
    values, counts = _in_order(part)
    return int(counts[(values < low) | (values > high)].sum())


# --- what different values there are -----------------------------------------------------


def hashed(text: str) -> str:
    """What is kept of a text: enough to know it again."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def distinct(hashes: Iterable[int]) -> list[int]:
    """The smallest hashes (64 bits) of different values: all of them while they are few."""
    return sorted(set(hashes))[:DISTINCT]


def merge_distinct(parts: Iterable[Sequence[int]]) -> list[int]:
    return sorted({number for part in parts for number in part})[:DISTINCT]


def count_distinct(part: Sequence[int]) -> int:
    """How many different values: exactly up to 511, more by how close together the smallest hashes are."""
    if len(part) < DISTINCT:
        return len(part)
    return round((DISTINCT - 1) * _HASHES / (part[-1] + 1))


def tally(keys: Iterable[str]) -> Tally:
    """How often each key occurs."""
    counts: Tally = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return _frequent(counts)


def merge_tallies(parts: Iterable[Mapping[str, int]]) -> Tally:
    counts: Tally = {}
    for part in parts:
        for key, count in part.items():
            counts[key] = counts.get(key, 0) + count
    return _frequent(counts)


def _frequent(counts: Tally) -> Tally:
    if len(counts) <= MOST_KEYS:
        return counts
    ordered = sorted(counts, key=lambda key: (key == OTHER, -counts[key], key))
    kept = {key: counts[key] for key in ordered[: MOST_KEYS - 1]}
    return {**kept, OTHER: sum(counts.values()) - sum(kept.values())}
