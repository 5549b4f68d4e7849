"""Sentences, words, numbers and names of a text: what answers and contexts are compared by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 200_000
"""Characters of a text that are looked at."""

_SENTENCE = re.compile(r"(?<=[.!?。！？])[\"')\]]*\s+|(?<=[。！？])")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?\d+(?:[,\u00a0\u202f]\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE
)
_NAME = re.compile(
    r"\b[A-ZÀ-ÖØ-Þ][\w'’-]*[\w](?:\s+(?:of|the|de|van|von|al)?\s*[A-ZÀ-ÖØ-Þ][\w'’-]*\w)*"
)
_LIST_MARK = re.compile(r"^\s*(?:[-*•#>]+|\d{1,3}[.)])\s+")

_STOP = frozenset(
    """a about above after again all also am an and any are as at be because been before being below between both but by
    can could did do does doing down during each few for from further had has have having he her here hers him his how i
    if in into is it its just may me might more most must my no nor not now of off on once only or other our out over own
    per same shall she should so some such than that the their them then there these they this those through to too under
    until up upon us very was we were what when where which while who whom why will with would yes you your""".split()  # noqa: SIM905
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, list marks taken off.

    >>> sentences("It is 3.5 km. Really!\\n- And back?")
    ['It is 3.5 km.', 'Really!', 'And back?']
    """
    lines = (_LIST_MARK.sub("", line) for line in text[:LONGEST].splitlines())
    parts = (" ".join(part.split()) for line in lines for part in _SENTENCE.split(line) if part)
    return [part for part in parts if any(character.isalnum() for character in part)]


def words(text: str) -> list[str]:
    """The words that carry meaning, roughly without their endings.

    >>> words("The keys are reset within minutes.")
    ['key', 'reset', 'within', 'minut']
    """
    found = (word.lower().replace("’", "'") for word in _WORD.findall(text[:LONGEST]))
    return [stem(word) for word in found if word not in _STOP]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A word without its English ending; short words as they are."""
    word = word.removesuffix("'s")
    for ending in (
        "ations",
        "ation",
        "ingly",
        "edly",
        "ings",
        "ing",
        "ies",
        "ied",
        "ed",
        "es",
        "ly",
        "s",
        "e",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def numbers(text: str) -> set[str]:
    """The numbers of a text, however they are written.

    >>> sorted(numbers("1,000 of 12.50 or 7; not x9"))
    ['1000', '12.5', '7']
    """
    return {_plain(found) for found in _NUMBER.findall(text[:LONGEST])}


def _plain(number: str) -> str:
    text = re.sub(r"[,\u00a0\u202f]", "", number).lower().lstrip("+")
    if "." in text and "e" not in text:
        text = text.rstrip("0").rstrip(".")
    return text


def names(text: str) -> set[str]:
    """What is written as a name inside a sentence: the first word of one tells nothing.

    >>> sorted(names("Yesterday Anna Berg went. Then she met Carl in Rome."))
    ['Anna Berg', 'Carl', 'Rome']
    """
    return {name for sentence in sentences(text) for name in _names_of(sentence)}


def _names_of(sentence: str) -> Iterable[str]:
    for found in _NAME.finditer(sentence):
        name = found.group()
        if found.start() == 0:
            # the sentence's own capital: what follows it may be a name
            name = name.partition(" ")[2]
        if name and name[0].isupper() and name.lower() not in _STOP:
            yield name
