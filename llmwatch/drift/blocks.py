"""Blocks: rows that came together (a session, a user, some minutes) count as one observation.

Rows of a session resemble each other. A test that takes them as independent sees drift where there is
none, so every p-value here comes from exchanging whole blocks between the two sides.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard, Union

import numpy as np
import numpy.typing as npt

from llmwatch.drift import stretches
from llmwatch.drift.finding import MINIMUM_BLOCKS

BLOCKS = 1400
"""Of both sides together; when there are more, several are put together: exchanging so many says enough."""
LOPSIDED = 10
"""Of the larger side, at most this many times the blocks of the smaller one are used: more would add little."""
CHUNK = 1000  # exchanges at a time: 6 MB as floats
Floats = npt.NDArray[np.floating[Any]]
Groups = Union[Sequence[Any], "npt.NDArray[Any]", None]
Sides = Union[tuple[Union[Sequence[Any], None], Union[Sequence[Any], None]], None]  # noqa: UP007


def chosen(
    sessions: Sides = None,
    users: Sides = None,
    times_us: Sides = None,
    minimum: int = MINIMUM_BLOCKS,
) -> tuple[tuple[Groups, Groups], str]:
    """Groups for the rows of (reference, window), and what they are.

    Sessions when rows have them, else users, else stretches of time: of as many rows on both sides, and
    so long that the smaller side has hardly more than `minimum` of them. A row without its session or
    user is a group of its own.

    >>> chosen(sessions=(["a", "a", None], ["b", "b"]))[1]
    'sessions'
    """
    for names, word in ((sessions, "sessions"), (users, "users")):
        if _present(names) and all(any(name is not None for name in side) for side in names):
            return names, word
    if not _present(times_us):
        return (None, None), "rows"
    reference, window = (np.asarray(side, dtype=np.int64) for side in times_us)
    return stretches.cut(reference, window, minimum), "stretches of time"


def _present(sides: Sides) -> TypeGuard[tuple[Sequence[Any], Sequence[Any]]]:
    return sides is not None and all(side is not None and len(side) for side in sides)


def codes(groups: Groups, rows: int) -> npt.NDArray[np.int64]:
    """The block of each row of one side, by number."""
    return np.arange(rows) if groups is None else _codes(groups)[0]


def count(groups: Groups, rows: int) -> int:
    """How many blocks the rows of one side make."""
    return rows if groups is None else int(_codes(groups)[1])


@dataclass(frozen=True)
class Design:
    """Which block each row is in (-1: not used), the reference's blocks before the window's."""

    block: npt.NDArray[np.int64]
    n_reference: int
    n_window: int
    blocks: tuple[int, int]
    """Blocks of each side as they came, before small ones were put together."""
    seed: int
    stratum: npt.NDArray[np.int64]
    """For each block, the part of the day in which it is exchanged; all the same where blocks have no time."""

    @property
    def rows(self) -> npt.NDArray[np.float32]:
        """Rows of each block."""
        used = self.block[self.block >= 0]
        return np.bincount(used, minlength=self.total).astype(np.float32)

    @property
    def total(self) -> int:
        return self.n_reference + self.n_window

    def sums(self, columns: Floats, rows: slice = slice(None)) -> npt.NDArray[np.float32]:
        """Sums over each block of some rows' columns, without a copy of them."""
        from scipy.sparse import csr_array

        block = self.block[rows]
        used = np.flatnonzero(block >= 0)
        member = csr_array(
            (np.ones(len(used), np.float32), (block[used], used)), (self.total, len(block))
        )
        summed: npt.NDArray[np.float32] = member @ columns.astype(np.float32, copy=False)
        return summed

    def totals(self, values: Floats) -> npt.NDArray[np.float32]:
        """The sum over each block of one number a row."""
        used = self.block >= 0
        return np.bincount(self.block[used], values[used], self.total).astype(np.float32)

    def counts(self, bins: npt.NDArray[np.int64], n_bins: int) -> npt.NDArray[np.float32]:
        """How many rows of each block fall into each bin."""
        used = self.block >= 0
        cells = self.block[used] * n_bins + bins[used]
        flat = np.bincount(cells, minlength=self.total * n_bins)
        return flat.reshape(self.total, n_bins).astype(np.float32)

    def alike(self, sums: Floats) -> npt.NDArray[np.float32]:
        """The sums over blocks without what all rows of a stratum have more than others: the hour is no drift."""
        if not self.stratum.any():
            return np.asarray(sums, np.float32)
        rows = self.rows.astype(np.float64)
        whole = np.zeros((int(self.stratum.max()) + 1, sums.shape[1] + 1))
        np.add.at(whole, self.stratum, np.column_stack([sums, rows]))
        usual = whole[:, :-1] / np.maximum(whole[:, -1:], 1)
        usual -= sums.sum(axis=0, dtype=np.float64) / rows.sum()
        return np.asarray(sums - rows[:, None] * usual[self.stratum], np.float32)

    def deviations(self, sums: Floats) -> Floats:
        """Standard deviations of the window's surplus of such sums when blocks are exchanged."""
        rows = self.rows[:, None]
        centred = self.alike(sums) - rows * (sums.sum(axis=0) / rows.sum())
        n = np.bincount(self.stratum)
        of_window = np.bincount(self.stratum[self.n_reference :], minlength=len(n))
        each = of_window * (n - of_window) / np.maximum(n * (n - 1), 1)
        return np.asarray(np.sqrt(each[self.stratum] @ centred**2))

    def exchanges(
        self, times: int
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
        """Chunks of exchanges: rows of 0/1 that say which blocks play the window, and the order that they mean.

        The first row of all is how it really was. Later chunks have the same rows and the blocks in
        another order: a shuffle of a shuffle, at a tenth of the price.
        """
        packed = _shuffled(self.n_reference, self.n_window, self.seed, self.stratum.tobytes())
        rows = np.unpackbits(packed, axis=1, count=self.total).astype(np.float32)
        order = np.arange(self.total)
        for number in range(-(-times // CHUNK)):
            yield rows[: times - number * CHUNK], order
            order = _permutation(np.random.default_rng([self.seed, number]), self.stratum)


@lru_cache(maxsize=24)
def _shuffled(n_reference: int, n_window: int, seed: int, strata: bytes) -> Any:
    """A chunk of exchanges, packed to bits; kept, as the signals of a run have the same blocks."""
    label = np.zeros((CHUNK, n_reference + n_window), dtype=np.uint8)
    label[:, n_reference:] = 1
    random = np.random.default_rng([seed, n_reference, n_window])
    stratum = np.frombuffer(strata, np.int64)
    if not stratum.any():
        random.permuted(label[1:], axis=1, out=label[1:])
        return np.packbits(label, axis=1)
    for part in range(int(stratum.max()) + 1):
        blocks = np.flatnonzero(stratum == part)
        label[1:, blocks] = random.permuted(label[1:, blocks], axis=1)
    return np.packbits(label, axis=1)


def _permutation(
    random: np.random.Generator, stratum: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Another order of blocks, each in a place of its own stratum."""
    if not stratum.any():
        return random.permutation(len(stratum))
    order = np.empty(len(stratum), np.int64)
    mixed = np.lexsort((random.random(len(stratum)), stratum))
    order[np.argsort(stratum, kind="stable")] = mixed
    return order


def design(
    n_rows: tuple[int, int], groups: tuple[Groups, Groups] = (None, None), seed: int = 0
) -> Design:
    """Put the rows of (reference, window) into blocks."""
    sides = [
        (np.arange(rows), rows) if names is None else _codes(names)
        for rows, names in zip(n_rows, groups, strict=True)
    ]
    whole = (sides[0][1], sides[1][1])
    smaller = max(1, min(whole))
    ratio = min(LOPSIDED, max(whole) / smaller)
    together = -(-int(smaller * (1 + ratio)) // BLOCKS)
    most = LOPSIDED * max(1, smaller // together)
    random = np.random.default_rng([seed, *whole])
    (reference, n_reference), (window, n_window) = (
        _together(codes, n_blocks, together, most, random) for codes, n_blocks in sides
    )
    block = np.concatenate([reference, np.where(window < 0, -1, window + n_reference)])
    stratum = _strata(groups, block, n_reference, n_window)
    return Design(block, n_reference, n_window, whole, seed, stratum)


def _strata(
    groups: tuple[Groups, Groups], block: npt.NDArray[np.int64], n_reference: int, n_window: int
) -> npt.NDArray[np.int64]:
    """Of stretches of time their part of the day; whatever else blocks are, they are one stratum."""
    if not all(isinstance(g, np.ndarray) and g.dtype == stretches.STRETCH for g in groups):
        return np.zeros(n_reference + n_window, np.int64)
    at = np.zeros(n_reference + n_window, np.int64)
    at[block[block >= 0]] = np.concatenate([g["at"] for g in groups])[block >= 0]  # type: ignore[index,call-overload]
    return stretches.strata(at, n_reference)


def _together(
    codes: npt.NDArray[np.int64], n: int, size: int, most: int, random: np.random.Generator
) -> tuple[npt.NDArray[np.int64], int]:
    """Put `size` blocks drawn by chance into one, and keep at most `most` of those."""
    made = max(1, n // size)
    if size == 1 and made <= most:
        return codes, n
    place = random.permutation(n) % made
    return np.where(place >= most, -1, place)[codes], min(made, most)


@dataclass(frozen=True)
class _Alone:
    """The name of a row that has none."""

    row: int


def _codes(names: Sequence[Hashable] | npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], int]:
    """Numbers for names, in order of first appearance; None is a block of its own each time."""
    seen: dict[Hashable, int] = {}
    listed = names.tolist() if isinstance(names, np.ndarray) else names
    codes = np.fromiter(
        (
            seen.setdefault(_Alone(n) if name is None else name, len(seen))
            for n, name in enumerate(listed)
        ),
        dtype=np.int64,
        count=len(listed),
    )
    return codes, len(seen)
