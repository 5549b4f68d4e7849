"""The runs of words and characters in a text as numbers, in numpy: what the injection model weighs.

A word is a run of letters and digits, or one other visible character; runs of one to three words and of four and five
characters are counted, in windows, so that a long text is as its worst passage. Everything is linear in the
length of the text, whatever the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmwatch.scorers.safety.plain import lowered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Hashes = NDArray[np.uint64]

BITS = 17
BUCKETS = 1 << BITS
WORDS = (1, 2, 3)
CHARACTERS = (4, 5)
WINDOW, STEP = 400, 200

_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = 0xBF58476D1CE4E5B9
_PRIME = 0x100000001B3


class Runs(NamedTuple):
    """The runs of one length: where each begins and ends in the squeezed text, and its bucket."""

    starts: Ints
    ends: Ints
    buckets: Ints


class Grams(NamedTuple):
    """All runs of a text, and where each character of the squeezed text was."""

    words: tuple[Runs, ...]
    characters: tuple[Runs, ...]
    places: Ints

    def windows(self) -> tuple[Ints, Ints]:
        """Where the windows begin and end in the squeezed text; they overlap, and reach its end."""
        import numpy as np

        length = len(self.places)
        count = max(1, -(-(length - WINDOW) // STEP) + 1)
        starts = np.arange(count, dtype=np.int64) * STEP
        return starts, np.minimum(starts + WINDOW, length)


def grams(text: str) -> Grams:
    """The runs of a text in lower case, with its white space squeezed."""
    import numpy as np

    codes, places = _squeezed(text)
    starts, ends = _words(codes)
    hashes = _hashes(codes, starts, ends)
    words, run = [], hashes
    for length in WORDS:
        if length > 1:
            run = run[:-1] * np.uint64(_MIX) + hashes[length - 1 :]
        words.append(Runs(starts[: len(run)], ends[length - 1 :], _bucket(run, length)))
    return Grams(tuple(words), tuple(_characters(codes, length) for length in CHARACTERS), places)


def inside(runs: Runs, starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """For each window, from which to which run lies wholly in it."""
    import numpy as np

    first = np.searchsorted(runs.starts, starts, "left")
    return first, np.maximum(first, np.searchsorted(runs.ends, ends, "right"))


def _squeezed(text: str) -> tuple[NDArray[np.uint32], Ints]:
    import numpy as np

    codes = np.frombuffer(lowered(text).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    space = _kinds(codes) == 0
    doubled = space.copy()
    doubled[1:] &= space[:-1]
    places = np.flatnonzero(~doubled)
    return np.where(space, np.uint32(0x20), codes)[places], places


def _words(codes: NDArray[np.uint32]) -> tuple[Ints, Ints]:
    import numpy as np

    kinds = _kinds(codes)
    edge = np.zeros(1, np.uint8)
    starts = (kinds == 2) | ((kinds == 1) & (np.concatenate((edge, kinds[:-1])) != 1))
    ends = (kinds == 2) | ((kinds == 1) & (np.concatenate((kinds[1:], edge)) != 1))
    return np.flatnonzero(starts), np.flatnonzero(ends) + 1


def _kinds(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """0 for space, 1 for letters and digits, 2 for what stands alone."""
    import numpy as np

    kinds = _ascii()[np.minimum(codes, 0x80)]
    wide = codes >= 0x80
    if wide.any():
        alone = ((codes >= 0xA1) & (codes <= 0xBF)) | ((codes >= 0x2010) & (codes <= 0x2BFF))
        alone |= ((codes >= 0x3001) & (codes <= 0x303F)) | (codes >= 0x1F000)
        space = (codes == 0xA0) | ((codes >= 0x2000) & (codes <= 0x200F)) | (codes == 0x3000)
        kinds = np.where(wide & alone, 2, np.where(wide & space, 0, kinds)).astype(np.uint8)
    return kinds


_table: list[NDArray[np.uint8]] = []


def _ascii() -> NDArray[np.uint8]:
    import numpy as np

    if not _table:
        kinds = [1 if chr(c).isalnum() or c == 0x5F else 2 if c > 0x20 else 0 for c in range(0x7F)]
        _table.append(np.array([*kinds, 0, 1], np.uint8))
    return _table[0]


def _hashes(codes: NDArray[np.uint32], starts: Ints, ends: Ints) -> Hashes:
    # A polynomial of the word's characters. Sums of prefixes give that of any word, divided by the power
    # of its place; arithmetic wraps at 2**64, where the base has an inverse.
    import numpy as np

    count = len(codes)
    powers, back = _powers(count, _BASE), _powers(count, _INVERSE)
    sums = np.zeros(count + 1, np.uint64)
    np.cumsum(codes.astype(np.uint64) * powers[:count], out=sums[1:])
    own = (sums[ends] - sums[starts]) * back[starts]
    mixed: Hashes = (own ^ (own >> np.uint64(29))) * np.uint64(_MIX)
    return mixed


def _powers(count: int, base: int) -> Hashes:
    import numpy as np

    powers = np.full(count + 1, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, out=powers)


def _characters(codes: NDArray[np.uint32], length: int) -> Runs:
    import numpy as np

    count = max(0, len(codes) - length + 1)
    run = np.zeros(count, np.uint64)
    for offset in range(length):
        run = run * np.uint64(_PRIME) + codes[offset : offset + count]
    run = (run ^ (run >> np.uint64(31))) * np.uint64(_MIX)
    starts = np.arange(count, dtype=np.int64)
    return Runs(starts, starts + length, _bucket(run, length))


def _bucket(run: Hashes, length: int) -> Ints:
    import numpy as np

    mixed = (run + np.uint64(length * 0x5851F42D)) * np.uint64(_BASE)
    buckets: Ints = (mixed >> np.uint64(64 - BITS)).astype(np.int64)
    return buckets
