"""Numbers: what the tests see, what they do not make up, and what they do with bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from llmwatch.drift import numbers

LOGNORMAL = np.random.default_rng(1).lognormal(4, 0.8, (2, 1000)).round()


def test_the_statistics_that_people_know_have_the_values_they_know():
    before, now = LOGNORMAL[0, :700], LOGNORMAL[1, :500] * 1.05
    found = numbers.compare(before, now)
    assert found.part("Kolmogorov-Smirnov").statistic == pytest.approx(
        stats.ks_2samp(before, now).statistic, abs=1 / 128
    )
    assert found.part("Wasserstein").statistic == pytest.approx(
        stats.wasserstein_distance(before, now)
    )
    assert found.part("Cramer-von Mises").statistic == pytest.approx(
        stats.cramervonmises_2samp(before, now).statistic, rel=0.1
    )
    assert found.effects["superiority"] == pytest.approx(
        stats.mannwhitneyu(now, before).statistic / (700 * 500)
    )


def test_p_values_agree_with_those_of_scipy_where_rows_are_independent():
    before, now = LOGNORMAL[0], LOGNORMAL[1] * 1.06
    found = numbers.compare(before, now)
    for method, expected in (
        ("Kolmogorov-Smirnov", stats.ks_2samp(before, now).pvalue),
        ("Cramer-von Mises", stats.cramervonmises_2samp(before, now).pvalue),
    ):
        assert found.part(method).p == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values * 1.3,
        lambda values: np.exp(4 + 1.3 * (np.log(values + 1) - 4)),
        lambda values: np.where(np.arange(len(values)) % 25 == 0, values * 8, values),
        lambda values: np.where(np.arange(len(values)) % 25 == 0, 1, values),
    ],
    ids=["all longer", "wider spread", "4% much longer", "4% nearly empty"],
)
def test_what_moved_is_seen(change):
    assert numbers.compare(LOGNORMAL[0], change(LOGNORMAL[1])).p < 0.01


def test_the_same_values_are_no_drift():
    assert numbers.compare(LOGNORMAL[0], LOGNORMAL[0]).p == 1.0


def test_sessions_of_near_duplicates_are_no_drift_but_taken_row_by_row_they_are():
    random = np.random.default_rng(3)
    rejected = {"by row": 0, "by session": 0}
    for _ in range(12):
        rows = np.repeat(random.lognormal(4, 0.8, (2, 50)), 8, axis=1)
        groups = np.repeat(np.arange(50), 8)
        rejected["by row"] += numbers.compare(*rows).p < 0.05
        rejected["by session"] += (
            numbers.compare(*rows, groups_reference=groups, groups_window=groups).p < 0.05
        )
    assert rejected["by row"] > 6
    assert rejected["by session"] < 4


def test_too_little_data_says_how_much_is_missing():
    found = numbers.compare(range(200), range(150))
    assert found.p is None
    assert found.insufficient == "insufficient data: 50 more rows in the window"


def test_many_rows_of_few_sessions_are_too_little():
    groups = [n % 18 for n in range(300)]
    found = numbers.compare(range(300), range(300), groups_window=groups)
    assert found.insufficient == "insufficient data: 12 more sessions in the window"


@pytest.mark.parametrize("window", [[], [5], [None] * 500, [float("nan")] * 500, ["long"] * 500])
def test_a_window_without_numbers_is_too_little_data(window):
    found = numbers.compare(range(300), window)
    assert found.p is None
    assert "more rows in the window" in found.insufficient


def test_what_is_no_number_is_left_out_and_counted():
    dirty = [*range(300), None, float("nan"), float("inf"), "7", 10**400]
    found = numbers.compare(dirty, range(300))
    assert (found.n_reference, found.left_out, found.p) == (300, 5, 1.0)


def test_a_constant_column_has_not_moved():
    found = numbers.compare([7] * 300, [7] * 300)
    assert (found.p, found.statistic) == (1.0, 0.0)


def test_two_constants_that_differ_have():
    assert numbers.compare([7] * 300, [8] * 300).p < 0.01


def test_huge_numbers_do_not_overflow():
    found = numbers.compare([1e308, -1e308] * 200, [1e308, 1e307] * 200)
    assert found.p < 0.01
    assert found.part("Wasserstein").statistic is not None


def test_the_95th_percentile_of_what_was_zero_has_no_relative_change():
    assert numbers.compare([0] * 300, [0] * 200 + [9] * 100).effects["p95_change"] is None


def test_a_small_window_is_compared_with_a_large_reference():
    random = np.random.default_rng(5)
    found = numbers.compare(random.normal(size=50_000), random.normal(0.5, 1, 300))
    assert found.p < 0.001


def test_the_same_seed_says_the_same():
    pair = LOGNORMAL[0], LOGNORMAL[1] * 1.05
    assert numbers.compare(*pair, seed=3) == numbers.compare(*pair, seed=3)


def test_bins_are_the_deciles_of_the_reference():
    detail = numbers.compare(range(1000), range(1000)).detail
    assert detail["edges"] == [99, 199, 299, 399, 499, 599, 699, 799, 899]
    assert detail["reference"] == [100] * 10
