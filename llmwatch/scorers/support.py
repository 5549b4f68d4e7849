"""How far an answer is backed by the context it was given: sentence by sentence, and its numbers and names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmwatch.scorers import texts, wording
from llmwatch.scorers.protocol import Row

_CONTEXT = (
    "context",
    "contexts",
    "documents",
    "docs",
    "retrieved",
    "passages",
    "chunks",
    "sources",
    "knowledge",
)
_IN_PROMPT = re.compile(r"\b(context|documents?|passages?|sources?|excerpts?)\b", re.IGNORECASE)
_SUPPORTED = 0.5
_AROUND = 1
"""Sentences before and after that a match may take words from."""
_MOST_SENTENCES = 500


@dataclass(frozen=True)
class Support:
    """`score` is the mean of the sentences'; what the context lacks is named, in order."""

    score: float
    sentences: int
    unsupported: tuple[str, ...]
    numbers: tuple[str, ...]
    names: tuple[str, ...]


def context_of(row: Row) -> str:
    """The context that a call was given: documents among its inputs, else a prompt that says it holds some."""
    inputs = texts.inputs_of(row)
    found = [text for name in _CONTEXT if name in inputs for text in texts.strings_in(inputs[name])]
    if found:
        return "\n".join(found)
    messages = [m for m in texts.messages_of(inputs) if m.get("role") != "assistant"]
    said = "\n".join(
        text for message in messages for text in texts.strings_in(message.get("content"))
    )
    return said if _IN_PROMPT.search(said) else ""


def support(answer: str, context: str, question: str = "") -> Support | None:
    """How far `answer` is backed by `context`; None when either says nothing.

    A sentence's support is the share of its words, rare ones counting more, in the stretch of the context that has most
    of them; and less by the share of its numbers and names that stand nowhere in the context or the question.

    >>> found = support("Keys expire after 30 days. Ask Bob.", "API keys expire after 90 days.")
    >>> round(found.score, 2), found.numbers, found.names, found.unsupported
    (0.25, ('30',), ('Bob',), ('Keys expire after 30 days.', 'Ask Bob.'))
    """
    said, held = wording.sentences(answer)[:_MOST_SENTENCES], wording.sentences(context)
    if not said or not held:
        return None
    stretches, weight = _stretches(held)
    known_numbers = wording.numbers(context) | wording.numbers(question)
    known_names = set(wording.words(f"{context} {question}"))
    scores, unsupported, lacked_numbers, lacked_names = [], [], [], []
    for sentence in said:
        numbers, names = wording.numbers(sentence), _names(sentence)
        missing = sorted(numbers - known_numbers)
        strange = sorted(name for name in names if not set(wording.words(name)) <= known_names)
        facts = len(numbers) + len(names)
        backed = 1 - (len(missing) + len(strange)) / (facts + 1)
        scores.append(_best(wording.words(sentence), stretches, weight) * backed)
        if missing or strange or scores[-1] < _SUPPORTED:
            unsupported.append(sentence)
        lacked_numbers += missing
        lacked_names += strange
    return Support(
        score=math.fsum(scores) / len(scores),
        sentences=len(said),
        unsupported=tuple(unsupported),
        numbers=tuple(dict.fromkeys(lacked_numbers)),
        names=tuple(dict.fromkeys(lacked_names)),
    )


def _names(sentence: str) -> set[str]:
    return {name for name in wording.names(sentence) if wording.words(name)}


def _stretches(held: Sequence[str]) -> tuple[list[frozenset[str]], Mapping[str, float]]:
    """Each sentence with its neighbours, as sets of words; and how rare a word is among the sentences."""
    sets = [frozenset(wording.words(sentence)) for sentence in held]
    counts = Counter(word for each in sets for word in each)
    weight = {word: math.log(1 + len(sets) / n) for word, n in counts.items()}
    stretches = [
        frozenset().union(*sets[max(0, n - _AROUND) : n + _AROUND + 1]) for n in range(len(sets))
    ]
    return stretches, weight


def _best(
    said: Sequence[str], stretches: Sequence[frozenset[str]], weight: Mapping[str, float]
) -> float:
    if not said:
        return 1.0  # only a number or a name, which is looked for by itself
    strange = max(weight.values(), default=1.0)
    weights = {word: weight.get(word, strange) for word in said}
    total = math.fsum(weights.values())
    wanted = weights.keys() & weight.keys()
    if not wanted:
        return 0.0
    return max(math.fsum(weights[word] for word in wanted & each) for each in stretches) / total


def as_parts(found: Support) -> dict[str, Any]:
    """The support as flat parts of a confidence."""
    return {
        "support": found.score,
        "sentences": found.sentences,
        "unsupported_sentences": len(found.unsupported),
        "unsupported": " / ".join(sentence[:200] for sentence in found.unsupported[:5]),
        "unsupported_numbers": ", ".join(found.numbers[:20]),
        "unsupported_names": ", ".join(found.names[:20]),
    }
