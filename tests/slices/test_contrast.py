"""Differences between groups of rows, with users as what is independent."""

from __future__ import annotations

import numpy as np
import pytest

from llmwatch.slices.contrast import Blocks, Whole, contrast

EACH = Blocks.each(1_000)


def halves(count: int = 1_000) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(count // 2), np.arange(count // 2, count)


def test_a_difference_and_its_error_are_those_of_two_means():
    values = np.random.default_rng(1).normal(0, 1, 1_000)
    found = contrast(values, halves(), (1, -1), EACH)
    assert found.estimate == pytest.approx(values[:500].mean() - values[500:].mean())
    assert found.error == pytest.approx(np.sqrt(2 / 500), rel=0.1)


def test_rows_of_one_user_count_as_one_observation():
    random = np.random.default_rng(1)
    users = np.repeat(np.arange(100), 10)
    values = random.normal(0, 1, 100)[users]
    found = contrast(values, halves(), (1, -1), Blocks.named(users))
    assert found.error == pytest.approx(np.sqrt(2 / 50), rel=0.2)
    assert contrast(values, halves(), (1, -1), EACH).error < found.error / 2


def test_of_few_users_nothing_is_said():
    users = np.repeat([*range(5), *range(100, 200)], [100] * 5 + [5] * 100)
    values = np.repeat([1.0, 0.0], 500)
    assert contrast(values, halves(), (1, -1), Blocks.named(users)).above() == 1.0


def test_thirty_alike_among_many_alike_are_not_too_unlikely():
    values = (np.random.default_rng(1).random(1_000) < 0.95).astype(float)
    values[:30] = 1.0
    found = contrast(values, (np.arange(30), np.arange(30, 1_000)), (1, -1), EACH)
    assert found.above() > 0.05


def test_chances_are_as_often_small_as_they_say():
    random = np.random.default_rng(1)
    users = np.sort(random.integers(0, 150, 1_000))
    blocks = Blocks.named(users)
    mixed = random.permutation(150)[users] < 30
    groups = np.flatnonzero(mixed), np.flatnonzero(~mixed)
    chances = [
        contrast(
            random.normal(0, 1, 150)[users] + random.normal(0, 1, 1_000), groups, (1, -1), blocks
        ).above()
        for _ in range(600)
    ]
    assert 0.02 < np.mean(np.array(chances) < 0.05) < 0.08


@pytest.mark.parametrize(
    "blocks", [EACH, Blocks.named(np.arange(1_000) % 90)], ids=["rows", "users"]
)
@pytest.mark.parametrize("rows", [np.arange(0, 1_000, 7), np.arange(300), np.arange(40, 980)])
def test_against_the_rest_says_what_a_contrast_of_two_says(blocks, rows):
    values = np.random.default_rng(2).lognormal(0, 1, 1_000)
    rest = np.setdiff1d(np.arange(1_000), rows)
    quick, plain = (
        Whole(values, blocks).versus_rest(rows),
        contrast(values, (rows, rest), (1, -1), blocks),
    )
    assert (quick.estimate, quick.error) == pytest.approx((plain.estimate, plain.error))
    assert quick.freedom == pytest.approx(plain.freedom)
