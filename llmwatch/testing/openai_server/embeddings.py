"""``/embeddings``: hashed vectors of a text's words and word pairs, so that like texts are near."""

from __future__ import annotations

import array
import base64
import hashlib
import itertools
import math
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .errors import invalid, missing
from .words import STOP_WORDS, stem, words

if TYPE_CHECKING:
    from .request import Request
    from .tokens import Splitter

_DIMENSIONS = {"text-embedding-3-large": 3072}
_DEFAULT_DIMENSIONS = 1536
_MOST_DIMENSIONS = 4096
_SPREAD = 4
_GRAMMAR_WEIGHT = 0.15
_PAIR_WEIGHT = 0.6


def embed(request: Request, split: Splitter) -> dict[str, Any]:
    """Answer an embeddings request."""
    texts = _texts(request.body.get("input"))
    size = request.body.get("dimensions") or _DIMENSIONS.get(request.model, _DEFAULT_DIMENSIONS)
    if not isinstance(size, int) or not 1 <= size <= _MOST_DIMENSIONS:
        raise invalid("dimensions", f"expected an integer between 1 and {_MOST_DIMENSIONS}.")
    encoded = request.body.get("encoding_format") == "base64"
    vectors = [vector(text, size) for text in texts]
    tokens = sum(len(split(text)) for text in texts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": i, "embedding": _base64(v) if encoded else v}
            for i, v in enumerate(vectors)
        ],
        "model": request.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _texts(given: Any) -> list[str]:
    """The texts to embed; lists of token numbers stand for themselves as words."""
    if given is None:
        raise missing("input")
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        given = [given]
    texts = [one if isinstance(one, str) else " ".join(map(str, one)) for one in given]
    if not texts or not all(texts):
        raise invalid("input", "input cannot be empty.")
    return texts


def vector(text: str, dimensions: int) -> list[float]:
    """The unit vector of a text.

    Every word (without its ending) and every pair of neighbours adds a few signed entries at
    hashed places; words of mere grammar count little. The cosine of two vectors is then about
    the share of words that the texts have in common.
    """
    sums = [0.0] * dimensions
    for feature, weight in _features(text):
        for place, sign in _places(feature):
            sums[place % dimensions] += sign * weight
    norm = math.sqrt(math.fsum(value * value for value in sums))
    if norm == 0:  # every entry cancelled out: possible in a few dimensions
        return [1.0] + [0.0] * (dimensions - 1)
    return [value / norm for value in sums]


def _features(text: str) -> list[tuple[str, float]]:
    found = [(stem(word), _GRAMMAR_WEIGHT if word in STOP_WORDS else 1.0) for word in words(text)]
    if not found:
        return [(text, 1.0)]
    pairs = itertools.pairwise(found)
    joined = [(f"{a[0]} {b[0]}", _PAIR_WEIGHT * min(a[1], b[1])) for a, b in pairs]
    return found + joined


@lru_cache(maxsize=65536)
def _places(feature: str) -> tuple[tuple[int, int], ...]:
    raw = hashlib.blake2b(
        feature.encode("utf-8", "surrogatepass"), digest_size=4 * _SPREAD
    ).digest()
    numbers = (int.from_bytes(raw[i : i + 4], "big") for i in range(0, len(raw), 4))
    return tuple((number >> 1, 1 if number & 1 else -1) for number in numbers)


def _base64(values: list[float]) -> str:
    packed = array.array("f", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
