"""Why it drifted: the prompts that are new, put together by what they are about, in a few words and examples."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from llmwatch.drift import novelty
from llmwatch.drift.frames import Frame
from llmwatch.drift.languages import SMALL
from llmwatch.drift.novelty import Novelty

MOST = 4_000
"""Rows of each side that are compared with each other."""
LONGEST_SHOWN = 240
_GROUPS, _EXEMPLARS, _TERMS, _NEWEST = 6, 3, 5, 20
_SMALLEST = 5
_NEAREST = 4
_ALIKE = 0.6  # cosine of two groups' centres
_WORDS = 2.0  # what a row's words say, beside what its vector says
_STANDS_OUT = 3.0  # standard deviations over what chance does
_WORD = re.compile(r"[^\W_][\w'-]*[^\W_]|[^\W\d_]")


@dataclass(frozen=True)
class Exemplar:
    """One prompt of the window."""

    row_id: str | None
    text: str
    share: float
    """Of its nearest prompts, the share that is of the window."""


@dataclass(frozen=True)
class Group:
    """Prompts of one kind that the reference has hardly any of."""

    rows: int
    share: float
    """Of the window's rows that were looked at."""
    terms: tuple[str, ...]
    exemplars: tuple[Exemplar, ...]


@dataclass(frozen=True)
class Explanation:
    """The new prompts of a window."""

    looked_at: int
    new_rows: int
    groups: tuple[Group, ...]
    newest: tuple[Exemplar, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def explain(reference: Frame, window: Frame, *, seed: int = 0) -> Explanation | None:
    """The new prompts of the window; None when a side has too few prompts to tell."""
    before, now = _usable(reference, seed), _usable(window, seed)
    if min(before.rows, now.rows) < 2 * novelty.SHARE_OF:
        return None
    measured = novelty.measure(before.vectors, now.vectors)
    said = novelty.by_words(_words(before), _words(now), measured.expected)
    order = np.argsort(-(measured.score + _WORDS * said), kind="stable")
    new = np.flatnonzero(_stands_out(measured))
    return Explanation(
        looked_at=now.rows,
        new_rows=len(new),
        groups=tuple(_groups(new, measured, before, now)),
        newest=tuple(_exemplars(order, measured, now, _NEWEST)),
    )


def _usable(frame: Frame, seed: int) -> Frame:
    """Rows with a text and a vector, at most `MOST` of them, drawn by chance."""
    assert frame.texts is not None
    good = np.isfinite(frame.vectors).all(axis=1) & np.any(frame.vectors != 0, axis=1)
    good &= np.array([text is not None for text in frame.texts], dtype=bool)
    rows = np.flatnonzero(good)
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    return frame.take(rows)


def _words(frame: Frame) -> list[set[str]]:
    return [words(text or "") for text in frame.texts or ()]


def _stands_out(measured: Novelty) -> Any:
    spread = math.sqrt(measured.expected * (1 - measured.expected) / novelty.SHARE_OF)
    return measured.share >= min(1.0, measured.expected + _STANDS_OUT * spread)


def _groups(new: Any, measured: Novelty, before: Frame, now: Frame) -> Iterable[Group]:
    usual = document_shares(before.texts or ())
    for members in _alike(_connected(new, measured.neighbours), now.vectors)[:_GROUPS]:
        centre = now.vectors[members].mean(axis=0)
        order = members[np.argsort(-(now.vectors[members] @ centre), kind="stable")]
        texts = [(now.texts or ())[n] or "" for n in members]
        yield Group(
            len(members),
            len(members) / now.rows,
            tuple(distinctive(texts, usual)),
            tuple(_exemplars(order, measured, now, _EXEMPLARS)),
        )


def _connected(new: Any, neighbours: Any) -> list[Any]:
    """New rows that are near each other, directly or through others; the largest group first.

    Near is one of the few nearest, or a neighbour both ways: a kind of a few rows has neighbours of other kinds, too.
    """
    wanted = set(new.tolist())
    all_near = {n: wanted.intersection(neighbours[n].tolist()) for n in wanted}
    joined: dict[int, set[int]] = {n: set() for n in wanted}
    for n in wanted:
        nearest = wanted.intersection(neighbours[n, :_NEAREST].tolist())
        for m in nearest | {m for m in all_near[n] if n in all_near[m]}:
            joined[n].add(m)
            joined[m].add(n)
    groups = []
    while wanted:
        todo, found = [wanted.pop()], set[int]()
        while todo:
            found.add(n := todo.pop())
            todo += joined[n] & wanted
            wanted -= joined[n]
        groups.append(np.array(sorted(found)))
    return sorted((g for g in groups if len(g) >= _SMALLEST), key=len, reverse=True)


def _alike(groups: list[Any], vectors: Any) -> list[Any]:
    """Groups about the same put together, the largest first."""
    made: list[Any] = []
    for members in groups:
        centre = _centre(vectors[members])
        alike = [n for n, other in enumerate(made) if centre @ _centre(vectors[other]) >= _ALIKE]
        if alike:
            made[alike[0]] = np.union1d(made[alike[0]], members)
        else:
            made.append(members)
    return sorted(made, key=len, reverse=True)


def _centre(vectors: Any) -> Any:
    mean = vectors.mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _exemplars(order: Any, measured: Novelty, now: Frame, most: int) -> list[Exemplar]:
    """The first rows in this order that say something different."""
    shown: dict[str, Exemplar] = {}
    for n in order.tolist():
        text = _short((now.texts or ())[n] or "")
        row_id = now.ids[n] if now.ids is not None else None
        shown.setdefault(text, Exemplar(row_id, text, float(measured.share[n])))
        if len(shown) == most:
            break
    return list(shown.values())


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


# --- words -------------------------------------------------------------------------------


def words(text: str) -> set[str]:
    """The words of a text that say something, in lower case."""
    listed = [word.lower() for word in _WORD.findall(text)]
    return {word for word in listed if len(word) < 40 and word not in SMALL}


def document_shares(texts: Sequence[str | None]) -> dict[str, float]:
    counted = Counter(word for text in texts if text is not None for word in words(text))
    return {word: count / max(1, len(texts)) for word, count in counted.items()}


def distinctive(texts: Sequence[str], usual: dict[str, float], most: int = _TERMS) -> list[str]:
    """Words that many of the texts have and few of the usual ones: what the texts are about.

    >>> distinctive(["reset the key", "reset my key", "lost the key"], {"the": 0.9, "my": 0.5})
    ['key', 'reset']
    """
    here = document_shares(texts)
    least = max(2 / max(1, len(texts)), 0.05)
    scored = {
        word: (share - usual.get(word, 0.0))
        * math.log((share + 0.01) / (usual.get(word, 0.0) + 0.01))
        for word, share in here.items()
        if share >= least
        and share > 2 * usual.get(word, 0.0)
        and (len(word) > 1 or not word.isascii())
    }
    return sorted(scored, key=lambda word: (-scored[word], word))[:most]
