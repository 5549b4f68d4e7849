"""How far several answers to the same question say the same."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from llmwatch.scorers import wording

ALIKE = 0.6
_NOT = re.compile(r"\b(no|not|never|none|cannot|without|false)\b|n['’]t\b", re.IGNORECASE)
_MOST = 50

Alike = Callable[[str, str], bool]


@dataclass(frozen=True)
class Agreement:
    """`share` of the answers that say what most say; `entropy` of the ways they differ, 0 (all one) to 1 (all different)."""

    share: float
    entropy: float
    samples: int
    clusters: int


def agreement(answers: Sequence[str], alike: Alike | None = None) -> Agreement | None:
    """How far answers agree; None for fewer than two.

    >>> found = agreement(["It is Paris.", "Paris", "It is Rome."])
    >>> round(found.share, 2), round(found.entropy, 2), found.samples, found.clusters
    (0.67, 0.58, 3, 2)
    """
    said = [answer for answer in answers if answer.strip()][:_MOST]
    if len(said) < 2:
        return None
    sizes = [len(cluster) for cluster in clusters(said, alike or say_the_same)]
    shares = [size / len(said) for size in sizes]
    entropy = -math.fsum(share * math.log(share) for share in shares) / math.log(len(said))
    return Agreement(max(shares), abs(entropy), len(said), len(sizes))


def clusters(answers: Sequence[str], alike: Alike) -> list[list[str]]:
    """Answers that say the same, put together; each is compared with the first of a cluster."""
    found: list[list[str]] = []
    for answer in answers:
        home = next((cluster for cluster in found if alike(cluster[0], answer)), None)
        if home is None:
            found.append([answer])
        else:
            home.append(answer)
    return found


def say_the_same(one: str, other: str) -> bool:
    """Whether two answers have the same numbers, say or deny alike, and share most of their words.

    >>> (
    ...     say_the_same("It takes 30 days.", "That takes 30 days"),
    ...     say_the_same("It takes 30 days.", "It takes 90 days."),
    ... )
    (True, False)
    """
    first, second = _features(one), _features(other)
    if first.numbers != second.numbers or first.denies != second.denies:
        return False
    if not first.words or not second.words:
        alike = one.strip().lower() == other.strip().lower()
        return alike or bool(first.numbers and not (first.words or second.words))
    return _cosine(first.words, second.words) >= ALIKE


def by_embedding(embed: Callable[[Sequence[str]], Any], at_least: float) -> Alike:
    """The same with an embedder: numbers and denials still count, but words may differ whose vectors are near."""
    vector = lru_cache(maxsize=4 * _MOST)(lambda text: embed([text])[0])

    def alike(one: str, other: str) -> bool:
        first, second = _features(one), _features(other)
        if first.numbers != second.numbers or first.denies != second.denies:
            return False
        near: bool = float(vector(one) @ vector(other)) >= at_least  # both of length 1
        return near

    return alike


class _Features(NamedTuple):
    numbers: frozenset[str]
    denies: bool
    words: Counter[str]


@lru_cache(maxsize=4 * _MOST)
def _features(text: str) -> _Features:
    """What is compared of an answer; each is compared with many."""
    denies = len(_NOT.findall(text)) % 2 == 1
    return _Features(frozenset(wording.numbers(text)), denies, Counter(wording.words(text)))


def _cosine(first: Counter[str], second: Counter[str]) -> float:
    shared = sum(first[word] * second[word] for word in first)
    return shared / math.sqrt(
        sum(n * n for n in first.values()) * sum(n * n for n in second.values())
    )
