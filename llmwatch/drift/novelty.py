"""Which prompts of the window are new: those whose nearest neighbours come from the window too.

Where nothing moved, a prompt's neighbours come from both sides as often as those are large. The surprise is taken
over neighbourhoods of several sizes, as a kind of new prompt may be twenty or two hundred, and averaged with that of the
nearest neighbours, because new prompts come in kinds and a single odd one is only odd.

Vectors miss what only a name tells: so the rows that share a word with a prompt are a neighbourhood of it, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

SIZES = (10, 20, 40, 60)
SHARE_OF = 20
"""The neighbourhood whose share is reported: how many of so many nearest prompts are of the window."""
_NEAREST = 15
_RARE = 3  # other rows that have a word, at least, for it to tell anything
_TELLING = 2  # words of a row that count: one may be new by chance
_CHUNK = 512  # rows whose similarities to all others are held at a time


@dataclass(frozen=True)
class Novelty:
    """For each row of the window: how surprising its neighbourhood is, the share of it that is new, its neighbours."""

    score: Floats
    share: Floats
    neighbours: npt.NDArray[np.int64]
    """Rows of the window among the nearest ones, by number; -1 for one of the reference."""
    expected: float
    """The share where nothing moved: the window's part of all rows."""


def measure(reference: Floats, window: Floats) -> Novelty:
    """Compare each row of the window with all rows of both sides."""
    vectors = _centred(reference, window)
    n_reference, total = len(reference), len(reference) + len(window)
    sizes = [size for size in SIZES if size < total - 1] or [total - 1]
    nearest = _nearest(vectors, sizes[-1])
    expected = len(window) / total
    new = nearest >= n_reference
    surprise = _surprise(new, sizes, expected)
    score = surprise + surprise[nearest[:, :_NEAREST]].mean(axis=1)
    mine = nearest[n_reference:]
    return Novelty(
        score[n_reference:],
        new[n_reference:, :SHARE_OF].mean(axis=1),
        np.where(mine >= n_reference, mine - n_reference, -1)[:, :_NEAREST],
        expected,
    )


def _centred(reference: Floats, window: Floats) -> npt.NDArray[np.float32]:
    """Unit vectors around the reference's mean: what all prompts share says nothing."""
    vectors = np.concatenate([reference, window]).astype(np.float32)
    vectors -= reference.mean(axis=0, dtype=np.float64).astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), dtype=np.float32)


def _nearest(vectors: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.int64]:
    """For each row the numbers of its `most` nearest others, the nearest first."""
    found = np.empty((len(vectors), most), np.int64)
    for first in range(0, len(vectors), _CHUNK):
        near = vectors[first : first + _CHUNK] @ vectors.T
        rows = np.arange(len(near))
        near[rows, first + rows] = -np.inf
        some = np.argpartition(-near, most - 1, axis=1)[:, :most]
        order = np.argsort(-np.take_along_axis(near, some, axis=1), axis=1, kind="stable")
        found[first : first + _CHUNK] = np.take_along_axis(some, order, axis=1)
    return found


def _surprise(new: npt.NDArray[np.bool_], sizes: list[int], expected: float) -> Floats:
    """By how many standard deviations more of the neighbours are new than by chance, at the size where that is most."""
    counted = np.cumsum(new, axis=1)
    deviations = [
        (counted[:, size - 1] - size * expected) / np.sqrt(size * expected * (1 - expected))
        for size in sizes
    ]
    return np.asarray(np.max(deviations, axis=0) + 0.01 * np.mean(deviations, axis=0))


def by_words(
    reference: Sequence[Collection[str]], window: Sequence[Collection[str]], expected: float
) -> Floats:
    """For each row of the window, how surprisingly new the other rows are that share its most telling words."""
    before = Counter(word for words in reference for word in words)
    now = Counter(word for words in window for word in words)

    def surprise(word: str) -> float:
        new, rows = now[word] - 1, now[word] - 1 + before[word]
        if rows < _RARE:
            return 0.0
        return float((new - rows * expected) / np.sqrt(rows * expected * (1 - expected)))

    told = {word: surprise(word) for word in now}
    most = (sorted((told[word] for word in words), reverse=True)[:_TELLING] for words in window)
    return np.array([sum(one) / _TELLING for one in most], dtype=float)
