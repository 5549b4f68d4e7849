"""A run: signals by their kinds, p-values adjusted for each other, and alerts only where the effect matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from llmwatch.drift.compare import compare, compare_slices, judge
from llmwatch.drift.finding import Finding, Lacking
from llmwatch.drift.gates import Gates, passed
from llmwatch.drift.multiple import benjamini_hochberg, holm
from llmwatch.drift.signals import Signal

RANDOM = np.random.default_rng(4)
NORMAL = RANDOM.normal(100, 20, (3, 1000))
P_VALUES = some.lists(some.none() | some.floats(0, 1), max_size=30)


def test_only_what_moved_is_drift():
    judged = compare(
        [
            Signal("length", "number", NORMAL[0], NORMAL[1] + 20),
            Signal("other", "number", NORMAL[0], NORMAL[2]),
            Signal("few", "number", NORMAL[0], NORMAL[1][:10]),
        ]
    )
    assert [one.verdict for one in judged] == ["drift", "no drift", "insufficient data"]
    assert judged[0].passed[0].startswith("P(window > reference) 0.7")


def test_a_change_that_is_certain_but_small_is_no_alert():
    many = RANDOM.normal(100, 20, (2, 20_000))
    [judged] = compare([Signal("length", "number", many[0], many[1] + 1.5)])
    assert judged.p_adjusted < 0.01
    assert (judged.passed, judged.verdict) == ((), "no drift")


def test_the_gates_can_be_set():
    many = RANDOM.normal(100, 20, (2, 20_000))
    signal = Signal("length", "number", many[0], many[1] + 1.5)
    assert compare([signal], gates=Gates(superiority=0.01))[0].verdict == "drift"


def test_an_effect_on_the_gate_passes():
    def found(**effects: float) -> Finding:
        return Finding("any", 300, 300, effects=effects)

    assert passed(found(superiority=0.55), Gates())
    assert passed(found(superiority=0.45), Gates())
    assert passed(found(p95_change=-0.2), Gates()) == ("p95 down 20%",)
    assert passed(found(auc=0.55), Gates())
    assert not passed(found(auc=0.45, superiority=0.54, p95_change=0.19, new_share=0.02), Gates())
    assert not passed(Finding("any", 300, 300, effects={"auc": None}), Gates())


def test_what_was_not_tested_does_not_make_the_others_harder():
    tested = Finding("any", 300, 300, p=0.004, effects={"auc": 0.9})
    untested = Finding("any", 300, 3, lacking=Lacking(window_rows=197))
    assert [one.p_adjusted for one in judge([("a", tested), ("b", untested)])] == [0.004, None]


def test_slices_are_adjusted_for_each_other():
    moved = Signal("length", "number", NORMAL[0], NORMAL[1] + 20)
    still = Signal("length", "number", NORMAL[0], NORMAL[2])
    judged = compare_slices({"moved": [moved, still], **{str(n): [still] for n in range(5)}})
    assert [one.verdict for one in judged["moved"]] == ["drift", "no drift"]
    assert {one.verdict for n in range(5) for one in judged[str(n)]} == {"no drift"}
    assert judged["moved"][0].p_adjusted > compare([moved, still])[0].p_adjusted


def test_holm_and_benjamini_hochberg_by_hand():
    assert holm([0.01, 0.02, 0.03, 0.5]) == [0.04, 0.06, 0.06, 0.5]
    assert benjamini_hochberg([0.01, 0.02, 0.03, 0.5]) == [0.04, 0.04, 0.04, 0.5]


@given(P_VALUES)
def test_adjusting_keeps_the_order_and_what_is_unknown(p_values):
    for adjusted in (holm(p_values), benjamini_hochberg(p_values)):
        assert [p is None for p in adjusted] == [p is None for p in p_values]
        pairs = sorted(
            (p, a)
            for p, a in zip(p_values, adjusted, strict=True)
            if p is not None and a is not None
        )
        assert all(p - 1e-9 <= a <= 1 for p, a in pairs)
        assert [a for _, a in pairs] == pytest.approx(sorted(a for _, a in pairs))


@given(P_VALUES)
def test_holm_is_never_less_strict_than_benjamini_hochberg(p_values):
    for strict, other in zip(holm(p_values), benjamini_hochberg(p_values), strict=True):
        assert (strict is None and other is None) or strict >= other - 1e-9


def test_what_is_missing_is_said_of_both_sides():
    lacking = Lacking(reference_rows=1500, window_rows=3, window_blocks=2)
    assert (
        str(lacking)
        == "1,500 more rows in the reference; 3 more rows and 2 more sessions in the window"
    )
