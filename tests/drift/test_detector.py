"""The detector: far between false alarms, quick where something moved, and the same after a restart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from llmwatch.drift.bets import ALL
from llmwatch.drift.detector import Detector

REFERENCE = np.random.default_rng(1).normal(size=1000)


def first_alarm(detector, values):
    return next((alarm for value in values if (alarm := detector.add(value))), None)


def test_every_bet_is_fair():
    ranks = (np.arange(20_000) + 0.5) / 20_000
    assert np.mean([ALL.pay(rank) for rank in ranks], axis=0) == pytest.approx(1, abs=1e-3)
    assert min(ALL.pay(rank).min() for rank in ranks) >= 0


def test_false_alarms_are_as_far_apart_as_asked():
    random = np.random.default_rng(2)
    lengths = []
    for seed in range(60):
        detector = Detector(random.normal(size=400), run_length=300, seed=seed)
        alarm = first_alarm(detector, random.normal(size=3000).tolist())
        lengths.append(alarm.at if alarm else 3000)
    assert np.mean(lengths) > 250  # at least 300 in truth; sixty streams do not say it better


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda values: values + 0.5, {"higher values"}),
        (lambda values: values - 0.5, {"lower values"}),
        (lambda values: values * 1.5, {"a wider spread"}),
        (lambda values: values * 0.6, {"a narrower spread"}),
        (
            lambda values: np.where(np.arange(len(values)) % 20 == 0, 9.0, values),
            {"more in the top 5%", "more in the top 1%"},
        ),
    ],
)
def test_what_moved_is_seen_and_named(change, what):
    random = np.random.default_rng(3)
    detector = Detector(REFERENCE)
    assert first_alarm(detector, random.normal(size=500)) is None
    alarm = first_alarm(detector, change(random.normal(size=3000)))
    assert alarm.what in what
    assert alarm.at < 2500
    assert 300 < alarm.since < alarm.at


def test_it_goes_on_after_a_restart_as_if_there_was_none():
    values = np.random.default_rng(4).normal(0.3, 1, 900)
    whole, parts = Detector(REFERENCE), Detector(REFERENCE)
    said = [whole.add(value, session=n // 2) for n, value in enumerate(values)]
    said_in_parts = []
    for n, value in enumerate(values):
        if n % 100 == 50:
            parts = Detector.from_state(json.loads(json.dumps(parts.state())))
        said_in_parts.append(parts.add(value, session=n // 2))
    assert said_in_parts == said
    assert parts.state() == whole.state()


def test_its_state_stays_small():
    detector = Detector(REFERENCE)
    for n in range(10_000):
        detector.add(float(n % 50), session=f"session-{n}")
    assert len(json.dumps(detector.state())) < 200_000


def test_only_the_first_row_of_a_session_counts():
    detector = Detector(REFERENCE)
    for _ in range(500):
        assert detector.add(100.0, session="one long conversation") is None
    assert detector.rows == 1


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "12", 10**400])
def test_what_is_no_number_is_passed_over(value):
    detector = Detector(REFERENCE)
    assert detector.add(value) is None
    assert detector.rows == 0


def test_a_column_of_one_value_raises_no_alarm():
    assert first_alarm(Detector([3] * 500), [3] * 1000) is None


def test_a_reference_that_is_too_small_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="needs 200 numbers as its reference, and got 12"):
        Detector(range(12))


def test_a_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="another version of llmwatch"):
        Detector.from_state({**Detector(REFERENCE).state(), "version": 0})
