"""Categories: have the shares of a column's levels moved, and which?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.drift import blocks
from llmwatch.drift.blocks import Design, Floats, Groups
from llmwatch.drift.exchange import exchange
from llmwatch.drift.finding import Finding, insufficient, lacking
from llmwatch.drift.number_effects import psi_of_counts
from llmwatch.drift.usable import keep

METHOD = "chi-square"
MISSING = "(missing)"
_TESTS = ("chi-square", "PSI", "Wasserstein")
_EXPECTED = 5  # rows a level must be expected to have on the smaller side to stand alone
_MOST_LEVELS = 64
_NAME_LENGTH = 80
_REPORTED = 20


def compare(
    reference: Sequence[Any] | npt.NDArray[Any],
    window: Sequence[Any] | npt.NDArray[Any],
    *,
    groups_reference: Groups = None,
    groups_window: Groups = None,
    seed: int = 0,
) -> Finding:
    """Compare a column of categories; a missing value is a level of its own.

    Rare levels are pooled for the test. Levels that only the window has are named in
    `detail["new"]`, those it lost in `detail["gone"]`. Between levels the Wasserstein distance is the
    share of rows that would have to change level.

    >>> found = compare(["en"] * 300, ["en"] * 240 + ["de"] * 60)
    >>> found.p < 0.01, found.detail["new"], found.effects["total_variation"]
    (True, {'de': 60}, 0.2)
    """
    before, now = _named(reference), _named(window)
    groups = keep(groups_reference, _all(before)), keep(groups_window, _all(now))
    n_rows = (len(before), len(now))
    counted = (blocks.count(groups[0], n_rows[0]), blocks.count(groups[1], n_rows[1]))
    said: dict[str, Any] = {"blocks_reference": counted[0], "blocks_window": counted[1]}
    if missing := lacking(n_rows, counted):
        return insufficient(METHOD, *n_rows, missing, **said)
    shares = _Shares(Counter(before), Counter(now))
    effects: dict[str, float | None] = {"total_variation": shares.total_variation()}
    levels = shares.pooled()
    if len(set(levels.values())) < 2:
        parts: tuple[Finding, ...] = ()
    else:
        made = blocks.design(n_rows, groups, seed)
        parts = _parts(made, np.array([levels[name] for name in (*before, *now)]), n_rows)
    return Finding(
        METHOD,
        *n_rows,
        statistic=parts[0].statistic if parts else 0.0,
        p=parts[0].p if parts else 1.0,
        effect=effects["total_variation"],
        effect_name="share of rows that changed level",
        effects=effects,
        parts=parts,
        detail=shares.detail(),
        **said,
    )


def _all(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    return np.ones(len(names), dtype=bool)


def _named(values: Sequence[Any] | npt.NDArray[Any]) -> list[str]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return [_name(value) for value in listed]


def _name(value: Any) -> str:
    if value is None or value != value:  # NaN is how frames say that a value is missing  # noqa: PLR0124
        return MISSING
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _NAME_LENGTH else text[: _NAME_LENGTH - 1] + "…"


@dataclass(frozen=True)
class _Shares:
    """How many rows of each level there are on both sides."""

    before: Counter[str]
    now: Counter[str]

    @property
    def both(self) -> list[tuple[str, int]]:
        """The levels and their rows, the most frequent first."""
        return (self.before + self.now).most_common()

    def moved(self, name: str) -> float:
        return self.now[name] / self.now.total() - self.before[name] / self.before.total()

    def total_variation(self) -> float:
        return round(sum(abs(self.moved(name)) for name, _ in self.both) / 2, 12)

    def pooled(self) -> dict[str, int]:
        """A number for each level; rare ones have the same."""
        smaller = min(self.before.total(), self.now.total())
        needed = _EXPECTED * (self.before.total() + self.now.total()) / smaller
        return {
            name: place if count >= needed and place < _MOST_LEVELS else _MOST_LEVELS
            for place, (name, count) in enumerate(self.both)
        }

    def detail(self) -> dict[str, Any]:
        names = sorted((name for name, _ in self.both), key=lambda name: -abs(self.moved(name)))
        shares = (self.before.total(), self.now.total())
        return {
            "levels": {
                name: [self.before[name] / shares[0], self.now[name] / shares[1]]
                for name in names[:_REPORTED]
            },
            "new": _only(self.now, self.before),
            "gone": _only(self.before, self.now),
        }


def _only(side: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The levels that only one side has, and of how many rows, the most frequent first."""
    own = Counter({name: count for name, count in side.items() if name not in other})
    return dict(own.most_common(_REPORTED))


def _parts(
    made: Design, levels: npt.NDArray[np.int64], n_rows: tuple[int, int]
) -> tuple[Finding, ...]:
    present, places = np.unique(levels, return_inverse=True)
    counts = made.counts(places, len(present))
    observed, p = exchange(made, counts, _statistics)
    rows, others = (
        float(made.rows[made.n_reference :].sum()),
        float(made.rows[: made.n_reference].sum()),
    )
    per_row = (rows + others) / (rows * others)
    statistics = observed * [rows + others, 1, 0.5] * [per_row, per_row, per_row]
    return tuple(
        Finding(
            name,
            *n_rows,
            statistic=float(statistic),
            p=float(value),
            blocks_reference=made.blocks[0],
            blocks_window=made.blocks[1],
        )
        for name, statistic, value in zip(_TESTS, statistics, p, strict=True)
    )


def _statistics(window: Floats, reference: Floats) -> Floats:
    """Chi-square, PSI and total variation, each times what keeps unequal blocks on the quiet side."""
    window, reference = window.astype(np.float64), reference.astype(np.float64)  # ties stay ties
    both = window + reference
    rows, others = (side.sum(axis=1, keepdims=True) for side in (window, reference))
    surplus = window - both * rows / (rows + others)
    product = rows * others / (rows + others)
    chi_square = (surplus**2 / np.maximum(both, 1)).sum(axis=1)
    psi = psi_of_counts(reference, window) * product[:, 0]
    return np.stack([chi_square, psi, np.abs(surplus).sum(axis=1)], axis=1)
