"""How well the window can be told from the reference: cross-fitted, so that noise does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.drift.blocks import Design, Floats
from llmwatch.drift.number_effects import superiority

_FOLDS = 5
_MOST_ROWS = 20_000  # of one side: more would say the same
_QUIET = 0.05  # share of the reference that is allowed to look new


def measure(before: Floats, now: Floats, made: Design) -> dict[str, float | None]:
    """The AUC of a linear discriminant, and the share of the window that is new.

    What scores a row has seen neither it nor its block. `new_share` is how much more of the window
    than of the reference lies beyond where the reference's last twentieth begins, in the direction in which the
    mean moved: about how many rows are of another kind. (The discriminant makes little of the very
    directions in which a new kind spreads, and told 10% of a new kind for 2%.)
    """
    sides = [
        _part(side, codes) for side, codes in zip((before, now), _codes(made, before), strict=True)
    ]
    folds = [[_Moments.of(rows[fold == f]) for rows, fold in sides] for f in range(_FOLDS)]
    whole = [_Moments.total_of([fold[side] for fold in folds]) for side in (0, 1)]
    told, moved = [], []
    for f in range(_FOLDS):
        others = [whole[side] - folds[f][side] for side in (0, 1)]
        here = [rows[fold == f] for rows, fold in sides]
        if not all(map(len, here)):
            continue
        told.append(_projected(here, _discriminant(*others)))
        moved.append(_projected(here, others[1].mean - others[0].mean))
    weights = [len(window) for _, window in told]
    return {
        "auc": float(np.average([superiority(*fold) for fold in told], weights=weights)),
        "new_share": max(
            0.0, float(np.average([_beyond(*fold) for fold in moved], weights=weights))
        ),
    }


def _projected(sides: list[Floats], direction: Floats) -> list[Floats]:
    return [rows @ direction.astype(np.float32) for rows in sides]


def _beyond(reference: Floats, window: Floats) -> float:
    edge = np.quantile(reference, 1 - _QUIET)
    return float((window > edge).mean() - (reference > edge).mean()) / (1 - _QUIET)


def _codes(made: Design, before: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return made.block[: len(before)], made.block[len(before) :]


def _part(side: Floats, block: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The rows that are looked at, and their folds: those of one block are in one fold."""
    step = -(-len(side) // _MOST_ROWS)
    kept = slice(None, None, step)
    return side[kept], (block[kept] * 7919) % _FOLDS  # a prime, so that folds are no stretches


@dataclass(frozen=True)
class _Moments:
    n: int
    total: Floats
    squares: Floats

    @classmethod
    def of(cls, rows: Floats) -> _Moments:
        return cls(
            len(rows), rows.sum(axis=0, dtype=np.float64), (rows.T @ rows).astype(np.float64)
        )

    @classmethod
    def total_of(cls, parts: list[_Moments]) -> _Moments:
        return cls(
            sum(part.n for part in parts),
            np.sum([part.total for part in parts], axis=0),
            np.sum([part.squares for part in parts], axis=0),
        )

    def __sub__(self, other: _Moments) -> _Moments:
        return _Moments(self.n - other.n, self.total - other.total, self.squares - other.squares)

    @property
    def mean(self) -> Any:
        return self.total / max(1, self.n)

    @property
    def scatter(self) -> Any:
        return self.squares - np.outer(self.total, self.mean)


def _discriminant(reference: _Moments, window: _Moments) -> Floats:
    """Linear discriminant analysis, shrunk the more the fewer rows there are for the dimensions."""
    n = reference.n + window.n
    d = len(reference.total)
    covariance = (reference.scatter + window.scatter) / max(1, n - 2)
    level = np.trace(covariance) / d
    shrunk = d / (d + n)
    covariance = (1 - shrunk) * covariance + shrunk * level * np.eye(d)
    covariance += np.eye(d) * max(level, 1e-12) * 1e-6
    return np.asarray(np.linalg.solve(covariance, window.mean - reference.mean))
