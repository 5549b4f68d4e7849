"""The offline embedder: hashed words, word pairs and pieces of words, in numpy, with nothing to install or download.

A text becomes the sum of a few signed coordinates for each thing that occurs in it (a sparse random projection), so
that two texts are near each other when they share words or parts of words, in any language and script. What happens
to a text depends on that text alone: vectors made on different days, or by different processes, can be compared.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

from llmwatch.drift.languages import SMALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Hashes = NDArray[np.uint64]

DIMENSIONS = 512
LONGEST = 4096
"""Characters that count: the first half of them from a longer text's beginning, the other from its end."""

_BATCH = 512  # bounds what is held beside the vectors to some tens of megabytes
_SPREAD = (
    4  # coordinates a feature lands on: one would let two features cancel or double each other
)
_PIECES = (3, 4, 5)
_FACTOR = 0x9E3779B97F4A7C15 | 1
_WORD, _PAIR, _PIECE = 1.0, 0.7, 0.35
_SMALL = 0.2  # of a word that every text has, whatever it is about


class Ngrams:
    """Embeds a short text in about 0.04 ms of one core."""

    identity = f"ngrams-{DIMENSIONS}-v1"
    dimensions = DIMENSIONS
    costly = False

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text; zeros for a text without a letter or digit."""
        import numpy as np

        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for first in range(0, len(texts), _BATCH):
            part = [_plain(text) for text in texts[first : first + _BATCH]]
            vectors[first : first + len(part)] = _embedded(part)
        return vectors


def _plain(text: str) -> bytes:
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} {text[-LONGEST // 2 :]}"
    text = unicodedata.normalize("NFKC", text).casefold()
    return b" " + text.encode("utf-8", "replace") + b" "


def _embedded(texts: list[bytes]) -> Vectors:
    import numpy as np

    buffer = np.frombuffer(b"".join(texts), np.uint8)
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    letter = _letters()[buffer]
    starts, ends = _words(letter)
    owners, hashes, weights = _features(buffer, owner, letter, starts, ends)
    owners, hashes, weights = _once_each(owners, hashes, weights)
    vectors = np.zeros(len(texts) * DIMENSIONS)
    for turn in range(_SPREAD):
        mixed = _mix(hashes + np.uint64(turn * 0x632BE59BD9B4E019 % 2**64))
        at = owners * DIMENSIONS + (mixed >> np.uint64(1)).astype(np.int64) % DIMENSIONS
        sign = 1.0 - 2.0 * (mixed & np.uint64(1))
        vectors += np.bincount(at, weights=sign * weights, minlength=len(vectors))
    return _unit(vectors.reshape(len(texts), DIMENSIONS))


def _letters() -> NDArray[np.bool_]:
    """For each byte, whether it belongs to a word: ASCII letters and digits, and every byte of other characters."""
    import numpy as np

    return np.array([chr(byte).isalnum() or byte > 127 for byte in range(256)])


def _words(letter: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words start and end: texts are apart from each other because each begins and ends with a space."""
    import numpy as np

    edges = np.flatnonzero(np.diff(letter.astype(np.int8)))
    return edges[::2] + 1, edges[1::2] + 1


def _features(
    buffer: NDArray[np.uint8],
    owner: NDArray[np.int64],
    letter: NDArray[np.bool_],
    starts: Any,
    ends: Any,
) -> tuple[NDArray[np.int64], Hashes, NDArray[np.float64]]:
    """Of every word, word pair and piece of a word: whose it is, its hash, its weight."""
    import numpy as np

    words = _hashes(buffer, starts, ends)
    said = np.where(np.isin(words, _small_words()), _SMALL, 1.0)
    near = owner[starts[:-1]] == owner[starts[1:]]
    pairs = _mix(words[:-1][near]) * np.uint64(_FACTOR) + words[1:][near]
    both = _PAIR * np.sqrt(said[:-1] * said[1:])[near]
    found = [(owner[starts], words, _WORD * said), (owner[starts[:-1]][near], pairs, both)]
    length = ends - starts
    for n in _PIECES:
        # with the byte before and after, so that the beginning and the end of a word count as such
        many = np.maximum(length + 3 - n, 0)
        position = np.repeat(starts - 1, many) + _counts(many)
        pieces = _hashes(np.where(letter, buffer, 32).astype(np.uint8), position, position + n)
        found.append((owner[position], pieces + np.uint64(n), _PIECE * np.repeat(said, many)))
    return (
        np.concatenate([whose for whose, _, _ in found]),
        np.concatenate([hashes for _, hashes, _ in found]),
        np.concatenate([weights for _, _, weights in found]),
    )


@cache
def _small_words() -> Hashes:
    import numpy as np

    text = " ".join(["", *sorted(SMALL), ""]).encode()
    buffer = np.frombuffer(text, np.uint8)
    return _hashes(buffer, *_words(_letters()[buffer]))


def _counts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... for each length, one run after the other."""
    import numpy as np

    before = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(before, lengths)


def _hashes(
    buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> Hashes:
    """The polynomial hash of each stretch of the buffer, all at once from sums over its beginnings."""
    import numpy as np

    powers = np.empty(len(buffer), np.uint64)
    powers[:1] = 1
    powers[1:] = _FACTOR
    np.multiply.accumulate(powers, out=powers)
    sums = np.concatenate(
        [np.zeros(1, np.uint64), np.cumsum((buffer + np.uint64(1)) * powers, dtype=np.uint64)]
    )
    back = np.full(len(buffer) + 1, pow(_FACTOR, -1, 2**64), np.uint64)
    back[0] = 1
    np.multiply.accumulate(back, out=back)
    hashes: Hashes = _mix((sums[ends] - sums[starts]) * back[starts])
    return hashes


def _mix(hashes: Hashes) -> Hashes:
    """Every bit of the result depends on every bit of the hash (the finaliser of splitmix64)."""
    import numpy as np

    mixed = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    finished: Hashes = mixed ^ (mixed >> np.uint64(31))
    return finished


def _once_each(
    owners: NDArray[np.int64], hashes: Hashes, weights: NDArray[np.float64]
) -> tuple[NDArray[np.int64], Hashes, NDArray[np.float64]]:
    """Each feature of a text once, with the root of how often: a word said ten times is not ten times as much."""
    import numpy as np

    order = np.lexsort((hashes, owners))
    owners, hashes, weights = owners[order], hashes[order], weights[order]
    new = np.ones(len(owners), bool)
    new[1:] = (owners[1:] != owners[:-1]) | (hashes[1:] != hashes[:-1])
    first = np.flatnonzero(new)
    often = np.diff(np.append(first, len(owners)))
    return owners[first], hashes[first], weights[first] * np.sqrt(often)


def _unit(vectors: NDArray[np.float64]) -> Vectors:
    import numpy as np

    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)
    return unit
