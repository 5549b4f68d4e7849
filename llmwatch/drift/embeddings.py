"""Embeddings: are the prompts about something else now?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.drift import blocks, fourier, separation
from llmwatch.drift.blocks import Design, Floats, Groups
from llmwatch.drift.exchange import exchange
from llmwatch.drift.finding import Finding, insufficient, lacking
from llmwatch.drift.usable import keep, vectors

METHOD = "mean shift"
_CHUNK = 8192  # rows; memory stays linear with a small constant


def compare(
    reference: Sequence[Any] | npt.NDArray[Any],
    window: Sequence[Any] | npt.NDArray[Any],
    *,
    groups_reference: Groups = None,
    groups_window: Groups = None,
    seed: int = 0,
    effects: bool = True,
) -> Finding:
    """Compare two sets of embeddings; vectors that are missing or not finite are left out and counted.

    The p-value is of the distance between the means, by exchanging blocks. The effects, which have no
    p-value: the AUC of a cross-fitted linear classifier, and the share of the window that is new.
    Random-Fourier MMD is reported beside.
    """
    (before, kept_before), (now, kept_now) = _both(reference, window)
    groups = keep(groups_reference, kept_before), keep(groups_window, kept_now)
    n_rows = (len(before), len(now))
    counted = (blocks.count(groups[0], n_rows[0]), blocks.count(groups[1], n_rows[1]))
    said: dict[str, Any] = {
        "left_out": len(kept_before) + len(kept_now) - sum(n_rows),
        "blocks_reference": counted[0],
        "blocks_window": counted[1],
    }
    if missing := lacking(n_rows, counted):
        return insufficient(METHOD, *n_rows, missing, **said)
    made = blocks.design(n_rows, groups, seed)
    parts = _parts(before, now, made)
    measured = separation.measure(before, now, made) if effects else {}
    return Finding(
        METHOD,
        *n_rows,
        statistic=parts[0].statistic,
        p=parts[0].p,
        effect=measured.get("auc"),
        effect_name="cross-fitted AUC",
        effects=measured,
        parts=parts,
        **said,
    )


def _both(reference: Any, window: Any) -> tuple[tuple[Floats, Any], tuple[Floats, Any]]:
    before = vectors(reference)
    now = vectors(window)
    sizes = before[0].shape[1], now[0].shape[1]
    if len(before[0]) and len(now[0]) and sizes[0] != sizes[1]:
        raise ValueError(
            f"the reference has vectors of {sizes[0]} numbers and the window of {sizes[1]}: "
            "they come from different embedders and cannot be compared"
        )
    return before, now


def _parts(before: Floats, now: Floats, made: Design) -> tuple[Finding, ...]:
    features = fourier.features(before, now, made.seed)
    means, p_mean = _mean_shift(_sums(before, now, made, lambda rows: rows), made)
    mmd, p_mmd = _mean_shift(_sums(before, now, made, features), made)
    return tuple(
        Finding(
            name,
            len(before),
            len(now),
            statistic=statistic,
            p=p,
            blocks_reference=made.blocks[0],
            blocks_window=made.blocks[1],
        )
        for name, statistic, p in ((METHOD, means, p_mean), ("random-Fourier MMD", mmd, p_mmd))
    )


def _sums(before: Floats, now: Floats, made: Design, features: Any) -> Floats:
    """Sums over blocks of the rows' features, in chunks."""
    summed: Any = 0.0
    for side, start in ((before, 0), (now, len(before))):
        for at in range(0, len(side), _CHUNK):
            rows = side[at : at + _CHUNK]
            place = slice(start + at, start + at + len(rows))
            summed = summed + made.sums(features(rows), place)
    return np.asarray(summed)


def _mean_shift(sums: Floats, made: Design) -> tuple[float, float]:
    """The distance of the means, and its p-value."""
    rows = made.rows[:, None].astype(np.float64)
    centred = sums - rows * (sums.sum(axis=0, dtype=np.float64) / rows.sum())
    observed, p = exchange(made, centred.astype(np.float32), _squared)
    counts = [float(side.sum()) for side in (rows[: made.n_reference], rows[made.n_reference :])]
    return float(np.sqrt(observed[0])) * sum(counts) / (counts[0] * counts[1]), float(p[0])


def _squared(window: Floats, reference: Floats) -> Floats:
    del reference  # the sums are centred: what the window has more, the reference has less
    return np.asarray(np.einsum("ij,ij->i", window, window)[:, None])
