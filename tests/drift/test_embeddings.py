"""Embeddings: another kind of prompt is seen, sessions are not mistaken for it, bad vectors are counted."""

from __future__ import annotations

import numpy as np
import pytest

from llmwatch.drift import embeddings


def vectors(n: int, seed: int, shifted: float = 0.0) -> np.ndarray:
    """Some of them lie in another direction."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, 48), dtype=np.float32)
    rows[: round(shifted * n), 0] += 5
    return rows


def test_a_share_of_another_kind_is_seen_and_estimated():
    found = embeddings.compare(vectors(1000, 1), vectors(1000, 2, shifted=0.15))
    assert found.p < 0.001
    assert found.part("random-Fourier MMD").p < 0.01
    assert found.effects["auc"] > 0.55
    assert found.effects["new_share"] == pytest.approx(0.15, abs=0.06)


def test_a_kind_that_grows_is_counted_though_a_classifier_makes_nothing_of_it():
    random = np.random.default_rng(1)
    kind = np.float32(np.eye(384)[0])
    rows = random.standard_normal((2000, 384), dtype=np.float32) / np.float32(384**0.5)
    for some in (slice(0, 20), slice(1000, 1100)):
        rows[some] = 0.1 * rows[some] + kind
    found = embeddings.compare(rows[:1000], rows[1000:])
    assert found.effects["auc"] < 0.55
    assert found.effects["new_share"] == pytest.approx(0.08, abs=0.02)


def test_nothing_is_seen_where_nothing_moved():
    found = embeddings.compare(vectors(1000, 1), vectors(1000, 2))
    assert found.p > 0.01
    assert found.effects["auc"] == pytest.approx(0.5, abs=0.05)


def test_sessions_of_near_duplicates_are_no_drift_but_taken_row_by_row_they_are():
    rejected = {"by row": 0, "by session": 0}
    groups = np.repeat(np.arange(50), 8)
    for n in range(8):
        rows = [np.repeat(vectors(50, 2 * n + side), 8, axis=0) for side in range(2)]
        rejected["by row"] += embeddings.compare(*rows, effects=False).p < 0.05
        grouped = {"groups_reference": groups, "groups_window": groups, "effects": False}
        rejected["by session"] += embeddings.compare(*rows, **grouped).p < 0.05
    assert rejected["by row"] == 8
    assert rejected["by session"] < 3


def test_the_classifier_never_sees_the_session_it_scores():
    # Each session is one vector many times over: whoever has seen it can tell its side.
    rows = [np.repeat(vectors(60, seed), 10, axis=0) for seed in (1, 2)]
    groups = np.repeat(np.arange(60), 10)
    found = embeddings.compare(*rows, groups_reference=groups, groups_window=groups)
    assert found.effects["auc"] == pytest.approx(0.5, abs=0.12)


def test_vectors_that_cannot_be_used_are_left_out_and_counted():
    good = list(vectors(300, 1))
    bad = [None, [float("nan")] * 48, [1.0, 2.0], "a text", good[0][:47]]
    found = embeddings.compare([*good, *bad], vectors(300, 2))
    assert (found.n_reference, found.left_out) == (300, 5)


def test_vectors_of_another_embedder_are_refused_in_a_sentence():
    with pytest.raises(
        ValueError, match="vectors of 48 numbers and the window of 3: they come from different"
    ):
        embeddings.compare(vectors(300, 1), np.ones((300, 3)))


@pytest.mark.parametrize("window", [[], [[1.0] * 48], [None] * 500, np.full((500, 48), np.nan)])
def test_a_window_without_vectors_is_too_little_data(window):
    found = embeddings.compare(vectors(300, 1), window)
    assert found.p is None
    assert "more rows in the window" in found.insufficient


def test_vectors_that_are_all_the_same_have_not_moved():
    assert embeddings.compare(np.ones((300, 48)), np.ones((300, 48))).p == 1.0


def test_neither_side_is_changed():
    before, now = vectors(300, 1), vectors(300, 2)
    copies = before.copy(), now.copy()
    embeddings.compare(before, now)
    assert (before == copies[0]).all()
    assert (now == copies[1]).all()


def test_a_large_offset_costs_no_precision():
    found = embeddings.compare(vectors(400, 1), vectors(400, 2, shifted=0.2))
    offset = embeddings.compare(vectors(400, 1) + 1000, vectors(400, 2, shifted=0.2) + 1000)
    assert offset.p == pytest.approx(found.p, abs=0.002)
