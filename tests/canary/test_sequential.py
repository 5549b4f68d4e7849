"""The test that may be looked at as often as one likes."""

from __future__ import annotations

import numpy as np
import pytest

from llmwatch.canary.arms import Sums, harm
from llmwatch.canary.comparing import bounds, claims
from llmwatch.canary.sequential import log_e, needed, reach


def walks(
    drift: float, times: int = 2_000, looks: int = 400, step: float = 5.0
) -> tuple[np.ndarray, np.ndarray]:
    """Random walks as information grows: `surplus` and `information` at each look."""
    random = np.random.default_rng(1)
    information = step * np.arange(1, looks + 1)
    steps = random.normal(drift * step, np.sqrt(step), (times, looks))
    return np.cumsum(steps, axis=1), information


def test_at_all_looks_together_it_errs_as_often_as_it_says():
    surplus, information = walks(0.0)
    ever = (log_e(surplus, information, 0.1) >= np.log(20)).any(axis=1).mean()
    assert 0.01 < ever <= 0.05


def test_the_usual_test_looked_at_as_often_errs_far_more():
    surplus, information = walks(0.0)
    assert (surplus / np.sqrt(information) > 1.645).any(axis=1).mean() > 0.25


def test_what_is_there_is_found():
    surplus, information = walks(0.2)
    assert (log_e(surplus, information, 0.1) >= np.log(20)).any(axis=1).mean() > 0.95


def test_e_values_are_one_on_average_where_there_is_nothing():
    surplus, information = walks(0.0, times=200_000, looks=1, step=20.0)
    assert np.exp(log_e(surplus, information, 0.1)).mean() == pytest.approx(1.0, abs=0.02)


def test_reach_is_where_the_bets_have_won_enough():
    for information in (3.0, 50.0, 4_000.0):
        far = reach(information, 0.1, 0.05)
        assert log_e(information * far, information, 0.1) == pytest.approx(np.log(20))
    assert reach(0.0, 0.1, 0.05) == np.inf


def test_needed_is_the_information_that_brings_a_difference_out_of_reach():
    enough = needed(0.1, 0.1, 0.05)
    assert reach(enough, 0.1, 0.05) == pytest.approx(0.1)
    assert needed(0.0, 0.1, 0.05) == np.inf


def sums(values: np.ndarray, users: np.ndarray) -> Sums:
    rows = np.bincount(users).astype(float)
    totals = np.bincount(users, values)
    return Sums(
        len(rows),
        rows.sum(),
        totals.sum(),
        (totals**2).sum(),
        (totals * rows).sum(),
        (rows**2).sum(),
    )


def test_the_error_of_a_mean_is_that_of_users():
    random = np.random.default_rng(1)
    users = np.repeat(np.arange(200), 10)
    means = [
        sums(random.normal(0, 1, 200)[users] + random.normal(0, 0.1, 2_000), users)
        for _ in range(300)
    ]
    real = np.std([one.mean for one in means])
    assert np.sqrt(np.mean([one.variance for one in means])) == pytest.approx(real, rel=0.15)


def test_no_failure_yet_is_not_taken_for_certain():
    each = np.arange(400)
    none = sums(np.zeros(400), each)
    found = harm(none, none, "rate", 0.01)
    assert found.against_none == 0
    assert 0 < found.against_margin < 400 / 0.0099 + 1


def test_claims_for_many_looks_say_what_bounds_say():
    random = np.random.default_rng(2)
    for shift in (-0.3, 0.0, 0.1, 0.3, 0.6):
        new, old = (sums(random.normal(by, 1, 300), np.arange(300)) for by in (shift, 0.0))
        found = harm(new, old, "mean", 0.3)
        low, high = bounds(found, 0.3, 0.05, 2)
        worse, fine = claims(found, 0.3, 0.05, 2)
        assert (bool(worse), bool(fine)) == (low > 0 and high > 0.3, high <= 0.3)
