"""The search: every level and every two of them compared with the rest, and of those that are worse the ones that say it best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.slices.accounts import scored
from llmwatch.slices.contrast import Blocks, Contrast, Whole, contrast
from llmwatch.slices.facets import WHO
from llmwatch.slices.levels import Level

LEAST_ROWS = 30
MOST_LEVELS = 260
"""Levels of all columns together, of which pairs are made."""
_LOOKED_AT = 600  # candidates that are tested with blocks, the likeliest first; the others count as not worse
_SCREEN = 2.0  # standard errors that a candidate has to be worse as if rows were independent
_LEAST_EFFECT = 0.1  # standard deviations
_CHUNK = 8_192
_NEARLY_ALL = 0.95  # of a parent: a pair that is nearly the same rows says nothing more
_SAME = 0.8  # of the rows of both together
_PARENTS = 0.01  # the chance that any pair is told that is not worse than its levels
_AGAIN = 0.05
_RESIDUALS = 150


@dataclass(frozen=True)
class Candidate:
    """One or two levels, and how much worse their rows are than all others."""

    levels: tuple[Level, ...]
    rows: npt.NDArray[np.int64]
    found: Contrast
    p: float = 1.0

    @property
    def z(self) -> float:
        return self.found.z


@dataclass
class Search:
    """One metric's search over the rows that have a value of it."""

    values: npt.NDArray[np.float64]
    worse: str
    levels: Sequence[Level]
    """Of these rows."""
    blocks: Blocks
    within: Blocks
    least: int = LEAST_ROWS
    pairs: bool = True
    tested: int = 0
    untold: int = 0
    """Candidates with too few users or sessions to say anything about others of them."""
    candidates: list[Candidate] = field(default_factory=list)

    def __post_init__(self) -> None:
        score = scored(self.values)
        self.score = score if self.worse == "high" else -score
        self.spread = float(self.score.std())
        self.whole = Whole(self.score, self.blocks)
        self.inner = Whole(self.score, self.within)
        self._pairs = 0

    def run(self) -> None:
        """Test every candidate; `candidates` are those that look worse, `tested` counts all."""
        if not self.levels or not self.spread:
            return
        screened = self._screened()
        for which in screened[:_LOOKED_AT]:
            levels = tuple(self.levels[n] for n in which)
            made = self._candidate(levels)
            if made.found.freedom <= 0:
                self.untold += 1
            elif made.z > 0 and made.found.estimate >= _LEAST_EFFECT * self.spread:
                self.candidates.append(made)

    def _candidate(self, levels: tuple[Level, ...], without: Any = None) -> Candidate:
        mask = np.logical_and.reduce([level.mask for level in levels])
        rows = np.flatnonzero(mask if without is None else mask & ~without)
        # what tells users apart holds for these users only: their rows are what varies
        who = any(level.facet.order == WHO for level in levels)
        found = (self.inner if who else self.whole).versus_rest(rows)
        return Candidate(levels, rows, found, found.above())

    def _screened(self) -> list[tuple[int, ...]]:
        """All that has rows enough is counted as tested; those that look worse are returned, the likeliest first."""
        n, sums, squares = self._sums()
        z = self._z(n, sums, squares)
        allowed = self._allowed(n)
        self.tested = int(allowed.sum())
        z = np.where(allowed, z, -np.inf)
        order = np.argsort(-z, axis=None)
        order = order[z.ravel()[order] > _SCREEN]
        firsts, seconds = np.unravel_index(order, z.shape)
        return [
            (i,) if i == j else (i, j)
            for i, j in zip(firsts.tolist(), seconds.tolist(), strict=True)
        ]

    def _sums(self) -> tuple[Any, Any, Any]:
        """For each two levels the rows that are of both, the sum of their values and of the squares of those."""
        k = len(self.levels)
        made = [np.zeros((k, k)) for _ in range(3)]
        centred = (self.score - self.whole.mean).astype(np.float32)
        for at in range(0, len(centred), _CHUNK):
            part = slice(at, at + _CHUNK)
            x = np.stack([level.mask[part] for level in self.levels]).astype(np.float32)
            y = centred[part]
            for n, weights in enumerate((x, x * y, x * y**2)):
                made[n] += weights @ x.T
        return made[0], made[1], made[2]

    def _z(self, n: Any, sums: Any, squares: Any) -> Any:
        """As if rows were independent, for the choice of what to look at."""
        size = len(self.score)
        rest = np.maximum(size - n, 1)
        inside = np.maximum(n, 1)
        means = sums / inside, -sums / rest
        variance = float(self.score.var()) * (1 / inside + 1 / rest)
        own = np.maximum(squares / inside - means[0] ** 2, 0) / inside
        return (means[0] - means[1]) / np.sqrt(np.maximum(np.maximum(variance, own), 1e-300))

    def _allowed(self, n: Any) -> Any:
        k = len(self.levels)
        size = len(self.score)
        single = np.diag(n)
        enough = (n >= self.least) & (size - n >= self.least)
        names = [level.facet.name for level in self.levels]
        facets = np.array([names.index(name) for name in names])
        apart = facets[:, None] != facets[None, :]
        smaller = np.minimum(single[:, None], single[None, :])
        pairs = enough & apart & (n <= _NEARLY_ALL * smaller) & np.triu(np.ones((k, k), bool), 1)
        if not self.pairs:
            pairs[:] = False
        return pairs | (np.eye(k, dtype=bool) & enough)

    # --- of those that are worse, the ones to report ---------------------------------------

    def chosen(self, threshold: float, most: int) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
        """Those under the threshold, the surest first, each with what else says nearly the same rows.

        What is only worse because it holds rows of a slice that was chosen before is left out.
        """
        left = sorted((c for c in self.candidates if c.p <= threshold), key=lambda c: -c.z)
        # each of them is tested again without the rows of those that were chosen
        again = min(threshold, _AGAIN / max(1, len(left)))
        self._pairs = sum(len(c.levels) > 1 for c in left)
        left = [
            c for c in left[:_RESIDUALS] if len(c.levels) == 1 or self._over_parents(c) is not None
        ]
        picked: list[Candidate] = []
        while left and len(picked) < most:
            best, left = self._next(left, picked, again)
            if best is None:
                return
            picked.append(best)
            yield best, tuple(_said(one) for one in left if _overlap(one.rows, best.rows) >= _SAME)
            left = [one for one in left if _overlap(one.rows, best.rows) < _SAME]

    def _next(
        self, left: list[Candidate], picked: list[Candidate], threshold: float
    ) -> tuple[Candidate | None, list[Candidate]]:
        """The surest by what the rows of chosen slices leave of it, and the others that are still worse."""
        alive: list[tuple[float, Candidate]] = []
        best = -np.inf
        for n, one in enumerate(left):
            if one.z <= best:  # what is left of it is hardly surer than it was
                alive += [(-np.inf, other) for other in left[n:]]
                break
            z = self._left_over(one, picked, threshold)
            if z is not None:
                alive.append((z, one))
                best = max(best, z)
        if not alive or best == -np.inf:
            return None, []
        chosen = max(alive, key=lambda pair: pair[0])[1]
        return chosen, [one for _, one in alive if one is not chosen]

    def _left_over(
        self, one: Candidate, picked: Sequence[Candidate], threshold: float
    ) -> float | None:
        """How sure it is without the rows of chosen slices; None when nothing is left to say."""
        taken = np.zeros(len(self.score), bool)
        parents = [each for each in picked if _is_parent(each, one)]
        for each in picked:
            if each not in parents:
                taken[each.rows] = True
        if len(parents) == 2:
            return self._more_than_both(one, taken)
        inside = one.rows[~taken[one.rows]]
        mask = ~taken
        mask[one.rows] = False
        rest = np.flatnonzero(mask)
        if min(len(inside), len(rest)) < self.least:
            return None
        found = contrast(self.score, (inside, rest), (1.0, -1.0), self._blocks(one))
        if picked and (found.estimate < _LEAST_EFFECT * self.spread or found.above() > threshold):
            return None
        if not parents:
            return found.z
        # of a pair whose one level is told already, only what the other adds is news
        added = self._over_parents(one, taken)
        return None if added is None else min(found.z, added)

    def _over_parents(self, pair: Candidate, taken: Any = None) -> float | None:
        """How surely a pair is worse than either of its levels without the other; None where it is not."""
        found = [self._over(pair, level, taken) for level in pair.levels]
        least = _PARENTS / max(1, self._pairs)
        worse = all(one.freedom > 0 and one.above() <= least for one in found)
        return min(one.z for one in found) if worse else None

    def _over(self, pair: Candidate, level: Level, taken: Any) -> Contrast:
        mask = level.mask.copy()
        inside = pair.rows
        if taken is not None:
            mask &= ~taken
            inside = inside[~taken[inside]]
        mask[pair.rows] = False
        outside = np.flatnonzero(mask)
        return contrast(self.score, (inside, outside), (1.0, -1.0), self._blocks(pair))

    def _more_than_both(self, pair: Candidate, taken: Any) -> float | None:
        """How surely a pair is worse than its levels are together; None where the two say it all."""
        a, b = (level.mask & ~taken for level in pair.levels)
        neither = ~(pair.levels[0].mask | pair.levels[1].mask | taken)
        cells = [np.flatnonzero(mask) for mask in (a & b, a & ~b, b & ~a, neither)]
        found = contrast(self.score, cells, (1.0, -1.0, -1.0, 1.0), self._blocks(pair))
        worse = found.freedom > 0 and found.above() <= _PARENTS / max(1, self._pairs)
        return found.z if worse else None

    def _blocks(self, one: Candidate) -> Blocks:
        return self.within if any(level.facet.order == WHO for level in one.levels) else self.blocks


def _is_parent(parent: Candidate, child: Candidate) -> bool:
    return len(child.levels) > 1 and len(parent.levels) == 1 and parent.levels[0] in child.levels


def _said(one: Candidate) -> str:
    return " and ".join(level.said for level in one.levels)


def _overlap(these: Any, those: Any) -> float:
    both = len(np.intersect1d(these, those, assume_unique=True))
    return both / max(1, len(these) + len(those) - both)
