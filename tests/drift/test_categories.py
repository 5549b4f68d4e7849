"""Categories: shares that moved, levels that are new, rare ones that must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from llmwatch.drift import categories


def test_chi_square_is_the_one_people_know():
    random = np.random.default_rng(2)
    before, now = random.integers(0, 6, 700), random.integers(0, 6, 500)
    found = categories.compare(before, now)
    expected = stats.chi2_contingency([np.bincount(before), np.bincount(now)])
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.05)


def test_a_level_that_is_new_is_named():
    found = categories.compare(["en"] * 300, ["en"] * 270 + ["de"] * 30)
    assert found.p < 0.01
    assert found.detail["new"] == {"de": 30}
    assert found.detail["levels"]["de"] == [0.0, 0.1]
    assert found.effects["total_variation"] == pytest.approx(0.1)


def test_a_level_that_is_gone_is_named():
    found = categories.compare(["en"] * 270 + ["de"] * 30, ["en"] * 300)
    assert found.detail["gone"] == {"de": 30}


def test_a_thousand_rare_levels_are_no_drift():
    found = categories.compare(
        [f"user {n}" for n in range(1000)], [f"user {n}" for n in range(1000, 2000)]
    )
    assert found.p == 1.0
    assert len(found.detail["new"]) == 20


def test_one_level_is_no_drift():
    assert categories.compare(["en"] * 300, ["en"] * 300).p == 1.0


def test_more_missing_values_are_a_change():
    found = categories.compare(["en"] * 300, ["en"] * 200 + [None] * 50 + [float("nan")] * 50)
    assert found.p < 0.01
    assert found.detail["new"] == {"(missing)": 100}


def test_values_of_any_kind_are_levels():
    mixed = [1, "1", True, ("a", 2), {"k": [1]}] * 60
    assert categories.compare(mixed, mixed).p == 1.0


def test_a_huge_text_is_shortened_in_what_is_said():
    [name] = categories.compare(["en"] * 300, ["x" * 1_000_000] * 300).detail["new"]
    assert len(name) == 80


def test_an_empty_window_is_too_little_data():
    assert categories.compare(["en"] * 300, []).insufficient == (
        "insufficient data: 200 more rows in the window"
    )


def test_levels_that_come_by_session_are_no_drift():
    random = np.random.default_rng(3)
    rejected = 0
    for _ in range(30):
        before, now = (np.repeat(random.integers(0, 4, 50), 8) for _ in range(2))
        groups = np.repeat(np.arange(50), 8)
        rejected += (
            categories.compare(before, now, groups_reference=groups, groups_window=groups).p < 0.05
        )
    assert rejected < 6
