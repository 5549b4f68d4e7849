"""How what a column says of rows moved from one side to the other: which levels there are more of, and how surely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.slices.contrast import Blocks, Contrast, contrast
from llmwatch.slices.facets import WHO, Facet
from llmwatch.slices.levels import FEW_NUMBERS, MISSING, equals, plain_sql
from llmwatch.slices.reading import Rows

OTHER = "(other)"
_LEAST_SHARE = 0.02  # of a side: what is rarer on both is `(other)`
_LEAST_ROWS = 10
_MOST_LEVELS = 64
_EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_RISES = 0.98  # rank correlation with time, of a number that counts rows
_MOSTLY_NAMES = 0.5


@dataclass(frozen=True)
class Group:
    """Rows of which the column says one thing, and their share before and after."""

    label: str
    mask: npt.NDArray[np.bool_]
    shares: tuple[float, float]
    p: float
    where: str | None


@dataclass(frozen=True)
class Moved:
    """What became of one column."""

    facet: Facet
    rows: npt.NDArray[np.int64]
    """The rows that were looked at."""
    codes: npt.NDArray[np.int64]
    """For each of them which part it is in: parts that do not overlap."""
    groups: tuple[Group, ...]
    effect: float
    """The share of rows that would have to be others, with what chance does taken off."""
    p: float
    middle: tuple[float | None, float | None] = (None, None)
    """The medians of a number."""
    blocks: Blocks = field(default_factory=lambda: Blocks(None, 0))


def moved(rows: Rows, facet: Facet) -> Moved | None:
    """What became of a column; None for one that says the same of all rows, or only names them."""
    at = rows.looked.get(facet.name)
    used = np.arange(rows.count) if at is None else np.flatnonzero(at)
    side = rows.side[used]
    blocks = (rows.within if facet.order == WHO else rows.blocks).take(used)
    sides = np.flatnonzero(~side), np.flatnonzero(side)
    if not all(map(len, sides)):
        return None
    if facet.name in rows.numbers:
        values = rows.numbers[facet.name][used]
        if len(np.unique(values[np.isfinite(values)])) > FEW_NUMBERS:
            if _counts_rows(values, rows.times[used]):
                return None
            return _number(facet, used, values, sides, blocks)
        texts = [f"{v:g}" if np.isfinite(v) else None for v in values.tolist()]
    else:
        every = rows.texts[facet.name]
        texts = every if at is None else [every[n] for n in used.tolist()]
    return _text(facet, used, texts, sides, blocks)


Sides = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _text(
    facet: Facet, used: Any, texts: Sequence[str | None], sides: Sides, blocks: Blocks
) -> Moved | None:
    counts = Counter(texts)
    named = len(counts) > max(FEW_NUMBERS, _MOSTLY_NAMES * len(texts))
    if len(counts) < 2 or (named and facet.order != WHO):
        return None
    names = _frequent(texts, sides)
    place: dict[str | None, int] = {name: n for n, name in enumerate(names)}
    codes = np.fromiter((place.get(text, len(names)) for text in texts), np.int64, len(texts))
    groups = [
        _group(MISSING if name is None else name, codes == n, equals(facet, name), sides, blocks)
        for n, name in enumerate(names)
    ]
    if not groups:
        return None
    parts = _shares(codes, len(names) + 1, sides)
    effect = max(0.0, np.abs(parts[1] - parts[0]).sum() / 2 - _by_chance(parts, sides, blocks))
    return Moved(facet, used, codes, _sorted(groups), float(effect), _least(groups), blocks=blocks)


def _frequent(texts: Sequence[str | None], sides: Sides) -> list[str | None]:
    """The values that a part of the rows of either side has, the most frequent first."""
    counts = [Counter(texts[n] for n in side.tolist()) for side in sides]
    both = counts[0] + counts[1]
    return [
        name
        for name, count in both.most_common(_MOST_LEVELS)
        if count >= _LEAST_ROWS
        and any(c[name] >= _LEAST_SHARE * len(side) for c, side in zip(counts, sides, strict=True))
    ]


def _number(
    facet: Facet, used: Any, values: npt.NDArray[np.float64], sides: Sides, blocks: Blocks
) -> Moved:
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], _EDGES, method="inverted_cdf"))
    edges = edges[edges < values[known].max()]
    codes = np.where(known, np.searchsorted(edges, np.where(known, values, 0.0)), len(edges) + 1)
    sql = plain_sql(facet)
    groups = [
        _group(f"> {edge:.6g}", known & (values > edge), sql and f"{sql} > {edge!r}", sides, blocks)
        for edge in edges.tolist()
    ]
    if not known.all():
        groups.append(_group(MISSING, ~known, sql and f"{sql} IS NULL", sides, blocks))
    sizes = [blocks.effective(side) for side in sides]
    far = max((abs(group.shares[1] - group.shares[0]) for group in groups), default=0.0)
    effect = max(0.0, far - 0.75 * np.sqrt(sum(1 / max(1.0, size) for size in sizes)))
    middle = tuple(
        float(np.median(part)) if len(part := values[side][known[side]]) else None for side in sides
    )
    return Moved(
        facet,
        used,
        codes,
        _sorted(groups),
        float(effect),
        _least(groups),
        (middle[0], middle[1]),
        blocks,
    )


def _group(label: str, mask: Any, where: str | None, sides: Sides, blocks: Blocks) -> Group:
    found = share_contrast(mask, sides, blocks)
    shares = float(mask[sides[0]].mean()), float(mask[sides[1]].mean())
    return Group(label, mask, shares, found.either(), where)


def share_contrast(mask: Any, sides: Sides, blocks: Blocks) -> Contrast:
    """How much more rows of the second side are in the mask."""
    return contrast(mask.astype(np.float64), (sides[1], sides[0]), (1.0, -1.0), blocks)


def _sorted(groups: Sequence[Group]) -> tuple[Group, ...]:
    return tuple(sorted(groups, key=lambda group: -abs(group.shares[1] - group.shares[0])))


def _least(groups: Sequence[Group]) -> float:
    """Of all levels together: the smallest chance, times how many could have been it."""
    return min(1.0, len(groups) * min((group.p for group in groups), default=1.0))


def _shares(codes: Any, parts: int, sides: Sides) -> tuple[Any, Any]:
    made = [np.bincount(codes[side], minlength=parts) / len(side) for side in sides]
    return made[0], made[1]


def _by_chance(parts: tuple[Any, Any], sides: Sides, blocks: Blocks) -> float:
    """How many rows would differ by chance alone: the more levels, the more."""
    both = (parts[0] + parts[1]) / 2
    each = sum(1 / max(1.0, blocks.effective(side)) for side in sides)
    return float(np.sqrt(2 / np.pi * both * (1 - both) * each).sum() / 2)


def _counts_rows(values: Any, times: Any) -> bool:
    """Whether a number goes up with every row, as a counter does: it differs between any two times."""
    known = np.isfinite(values)
    ranks = [
        np.argsort(np.argsort(each[known], kind="stable")).astype(np.float64)
        for each in (values, times)
    ]
    if known.sum() < 3:
        return False
    return bool(abs(np.corrcoef(ranks[0], ranks[1])[0, 1]) > _RISES)
