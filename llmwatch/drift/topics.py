"""Topics: kinds of prompts found in one half of the reference, so that the other half can be compared with the window."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmwatch.drift.explain import distinctive, document_shares
from llmwatch.drift.frames import Frame

TOPICS = 12
_ROUNDS = 25


def assigned(
    reference: Frame, window: Frame, *, seed: int = 0
) -> tuple[Any, list[Any], list[Any]] | None:
    """Which rows of the reference were not used to find the topics, their topics, and those of the window.

    Topics found in the rows that they are counted on would fit those better than any others. None when there are too
    few prompts.
    """
    good = (
        np.flatnonzero(np.isfinite(reference.vectors).all(axis=1))
        if reference.rows
        else np.zeros(0, int)
    )
    if len(good) < 10 * TOPICS or window.rows == 0:
        return None
    random = np.random.default_rng(seed)
    used = _half(reference, good, random)
    centres = _centres(reference.vectors[good[used]], random)
    names = _names(reference.take(good[used]), centres)
    rest = good[~used]
    return (
        rest,
        _named(reference.vectors[rest], centres, names),
        _named(window.vectors, centres, names),
    )


def found(frame: Frame, *, seed: int = 0, most: int = 4_000) -> list[Any] | None:
    """The topic of each row, of topics found in these rows (`most` of them); None when there are too few prompts.

    For comparisons of parts of these rows: nothing here knows which part a row is in.
    """
    good = (
        np.flatnonzero(np.isfinite(frame.vectors).all(axis=1)) if frame.rows else np.zeros(0, int)
    )
    if len(good) < 10 * TOPICS:
        return None
    random = np.random.default_rng(seed)
    used = good if len(good) <= most else np.sort(random.choice(good, most, replace=False))
    centres = _centres(frame.vectors[used], random)
    return _named(frame.vectors, centres, _names(frame.take(used), centres))


def _half(frame: Frame, rows: Any, random: np.random.Generator) -> Any:
    """Half of the sessions (or users, or rows), whole ones."""
    owners = frame.sessions or frame.users
    blocks = (
        rows.tolist()
        if owners is None
        else [owners[n] if owners[n] is not None else n for n in rows]
    )
    codes = {block: n for n, block in enumerate(dict.fromkeys(blocks))}
    chosen = random.random(len(codes)) < 0.5
    return chosen[[codes[block] for block in blocks]]


def _centres(vectors: Any, random: np.random.Generator) -> Any:
    """Spherical k-means, begun with rows that are far from each other."""
    unit = _unit(vectors)
    centres = unit[random.integers(len(unit))][None]
    while len(centres) < TOPICS:
        far = np.clip(1 - (unit @ centres.T).max(axis=1), 1e-9, None) ** 2
        centres = np.concatenate([centres, unit[random.choice(len(unit), p=far / far.sum())][None]])
    before = None
    for _ in range(_ROUNDS):
        nearest = (unit @ centres.T).argmax(axis=1)
        if before is not None and (nearest == before).all():
            break
        before = nearest
        sums = _sums(unit, nearest, len(centres))
        centres = np.where(np.any(sums != 0, axis=1, keepdims=True), _unit(sums), centres)
    return centres


def _sums(unit: Any, nearest: Any, groups: int) -> Any:
    """The sum of each group's vectors."""
    order = np.argsort(nearest, kind="stable")
    made = np.zeros((groups, unit.shape[1]), unit.dtype)
    present, starts = np.unique(nearest[order], return_index=True)
    made[present] = np.add.reduceat(unit[order], starts, axis=0)
    return made


def _unit(vectors: Any) -> Any:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def _names(frame: Frame, centres: Any) -> list[str]:
    nearest = (_unit(frame.vectors) @ centres.T).argmax(axis=1)
    texts = frame.texts or [None] * frame.rows
    usual = document_shares(texts)
    names = []
    for n in range(len(centres)):
        about = distinctive(
            [texts[row] or "" for row in np.flatnonzero(nearest == n).tolist()], usual, 3
        )
        names.append(f"{n + 1}: {' '.join(about)}" if about else f"{n + 1}")
    return names


def _named(vectors: Any, centres: Any, names: list[str]) -> list[str | None]:
    finite = np.isfinite(vectors).all(axis=1)
    nearest = (np.nan_to_num(vectors) @ centres.T).argmax(axis=1)
    return [
        names[n] if known else None
        for n, known in zip(nearest.tolist(), finite.tolist(), strict=True)
    ]
