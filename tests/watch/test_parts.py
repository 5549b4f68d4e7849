"""Mergeable parts: what is merged of pieces is what the whole gives, and each is within its stated error."""

from __future__ import annotations

import math
import random

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmwatch.watch import parts

NUMBERS = st.lists(
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: 0.0 if abs(x) < 1e-9 else x), max_size=400
)


def cut(values: list[float], seed: int) -> list[list[float]]:
    chance = random.Random(seed)
    pieces: list[list[float]] = [[] for _ in range(chance.randint(1, 6))]
    for value in values:
        chance.choice(pieces).append(value)
    return pieces


@given(NUMBERS, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_sketch_of_pieces_is_the_sketch_of_the_whole_exactly(values, seed):
    merged = parts.merge_sketches(parts.sketch(np.array(p)) for p in cut(values, seed))
    assert merged == parts.sketch(np.array(values))
    assert orjson.loads(orjson.dumps(merged)) == merged


@given(NUMBERS, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_moments_of_pieces_are_those_of_the_whole_to_rounding(values, seed):
    merged = parts.merge_moments(parts.moments(np.array(p)) for p in cut(values, seed))
    assert merged[0] == len(values)
    if values:
        scale = max(1.0, *map(abs, values))
        assert parts.mean(merged) == pytest.approx(np.mean(values), rel=1e-9, abs=1e-12 * scale)
        assert parts.std(merged) == pytest.approx(np.std(values), rel=1e-6, abs=1e-9 * scale)
        assert (merged[3], merged[4]) == (min(values), max(values))


@pytest.mark.parametrize("share", [0, 0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 1])
@pytest.mark.parametrize("size", [1, 2, 17, parts.EXACT])
def test_a_percentile_of_few_values_is_numpys(size, share):
    values = np.random.default_rng(size).lognormal(3, 2, size)
    assert parts.quantile(parts.sketch(values), share) == pytest.approx(np.quantile(values, share))


@pytest.mark.parametrize("share", [0, 0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1])
@pytest.mark.parametrize("shape", ["lognormal", "uniform", "negative", "both", "same", "zeros"])
def test_a_percentile_of_many_values_is_numpys_within_the_stated_share_of_itself(shape, share):
    rng = np.random.default_rng(7)
    values = {
        "lognormal": rng.lognormal(5, 1.5, 20_000),
        "uniform": rng.uniform(1, 2, 20_000),
        "negative": -rng.exponential(100, 20_000),
        "both": rng.normal(3, 50, 20_000),
        "same": np.full(1000, 42.0),
        "zeros": np.r_[np.zeros(500), rng.exponential(1, 600)],
    }[shape]
    found = parts.quantile(parts.sketch(values), share)
    expected = float(np.quantile(values, share))
    assert abs(found - expected) <= parts.ACCURACY * 1.0001 * abs(expected) + 1e-9


def test_what_is_no_number_is_no_value():
    values = np.ma.array([1.0, 2.0, 99.0, 4.0], mask=[False, False, True, False])
    assert parts.finite(values).tolist() == [1.0, 2.0, 4.0]
    assert parts.finite([1.0, math.nan, math.inf, -math.inf]).tolist() == [1.0]
    assert parts.moments([math.nan]) == [0]
    assert parts.quantile(parts.sketch([math.nan]), 0.5) is None


def test_of_nothing_nothing_is_known():
    nothing = parts.merge_moments([])
    assert [f(nothing) for f in (parts.mean, parts.std, parts.total, parts.least)] == [None] * 4
    assert parts.quantile(parts.merge_sketches([]), 0.5) is None


@pytest.mark.parametrize("different", [0, 1, 100, parts.DISTINCT - 1])
def test_few_different_values_are_counted_exactly_whatever_the_order(different):
    rng = random.Random(1)
    hashes = [rng.getrandbits(64) for _ in range(different)] * 3
    rng.shuffle(hashes)
    pieces = [parts.distinct(hashes[n::4]) for n in range(4)]
    assert parts.count_distinct(parts.merge_distinct(pieces)) == different


def test_many_different_values_are_counted_within_three_standard_errors():
    rng = random.Random(2)
    for different in (1000, 50_000):
        hashes = [rng.getrandbits(64) for _ in range(different)]
        pieces = [parts.distinct(hashes[n::7]) for n in range(7)]
        merged = parts.merge_distinct(pieces)
        assert merged == parts.distinct(hashes)
        assert parts.count_distinct(merged) == pytest.approx(different, rel=3 * 0.044)


def test_a_tally_keeps_the_frequent_and_counts_the_rest_together():
    keys = ["often"] * 50 + [f"rare {n}" for n in range(parts.MOST_KEYS + 200)]
    counts = parts.tally(keys)
    assert counts["often"] == 50
    assert len(counts) == parts.MOST_KEYS
    assert sum(counts.values()) == len(keys)
    assert parts.merge_tallies([{"a": 1}, {"a": 2, "b": 1}]) == {"a": 3, "b": 1}
