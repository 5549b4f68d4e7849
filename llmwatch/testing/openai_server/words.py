"""The words of a text that carry its meaning, cut to stems, and its sentences."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[^\sa-z])|\n+")
_LABEL = re.compile(r"^\s*(?:[-*•#>]+\s+|\(?\[?\d{1,3}[\]).:]\s*)+")
_ENDINGS = ("ational", "ations", "ation", "ingly", "edly", "ings", "ing", "ies", "ied", "ers",
            "er", "ed", "es", "ly", "s", "e", "y")  # fmt: skip

_GRAMMAR = (
    "a about all also am an and any are as at be because been before but by can could did do does "
    "for from get had has have he her him his how i if in into is it its just let like may me more "
    "most my no not of on one only or our out please should so some such tell than that the their "
    "them then there these they this to up us using was we were what when where which while who "
    "why will with would you your"
)
STOP_WORDS = frozenset(_GRAMMAR.split())


def words(text: str) -> list[str]:
    """Every word, in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def content_words(text: str) -> list[str]:
    """The words that are not mere grammar, in order and as written in lower case."""
    return [word for word in words(text) if word not in STOP_WORDS]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The word without its ending, so that 'resetting' and 'resets' meet at 'reset'."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    doubled = len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiosl"
    return word[:-1] if doubled else word


def stems(text: str) -> list[str]:
    return [stem(word) for word in content_words(text)]


def sentences(text: str) -> list[str]:
    """The sentences of a text, without list marks such as ``[1]`` or ``-``."""
    parts = (_LABEL.sub("", part).strip() for part in _SENTENCE_END.split(text))
    return [part for part in parts if _WORD.search(part)]
