"""Blocks: what belongs together stays together when reference and window are exchanged."""

from __future__ import annotations

import numpy as np
import pytest

from llmwatch.drift import blocks


def test_sessions_come_before_users_before_time():
    sessions, users, times = (["s1", None], ["s2"]), (["u1", "u1"], ["u2"]), ([1, 2], [3])
    assert blocks.chosen(sessions, users, times)[1] == "sessions"
    assert blocks.chosen(([None, None], [None]), users, times)[1] == "users"
    assert blocks.chosen(None, None, times)[1] == "stretches of time"
    assert blocks.chosen()[1] == "rows"


def test_a_row_without_its_session_is_a_block_of_its_own():
    assert blocks.count(["a", "a", None, None, "b"], 5) == 4


def test_stretches_of_time_end_where_nothing_came_for_longest():
    bursts = np.repeat(np.arange(100) * 60_000_000, 4) + np.tile(np.arange(4), 100)
    (reference, window), _ = blocks.chosen(times_us=(bursts, bursts), minimum=30)
    by_burst = np.asarray(window).reshape(100, 4)
    assert (by_burst == by_burst[:, :1]).all()
    assert 30 <= blocks.count(window, 400) <= 60
    assert list(reference) == list(window)


def test_a_burst_longer_than_a_stretch_is_not_cut_in_two():
    random = np.random.default_rng(1)
    sizes = 1 + random.geometric(0.5, 90)
    burst = np.repeat(np.arange(90), sizes)[:200]
    times = np.cumsum(random.exponential(1e9, 90))[burst].astype(np.int64) + np.arange(200)
    (_, window), _ = blocks.chosen(times_us=(times, times))
    cut = [number for number in range(90) if len(set(window["number"][burst == number])) > 1]
    assert cut == []
    assert blocks.count(window, 200) >= 30


def test_stretches_do_not_depend_on_the_order_of_rows():
    times = np.random.default_rng(1).integers(0, 10**12, 1000)
    order = np.random.default_rng(2).permutation(1000)
    (sorted_, _), _ = blocks.chosen(times_us=(np.sort(times), times))
    (mixed, _), _ = blocks.chosen(times_us=(np.sort(times)[order], times))
    assert (np.asarray(mixed) == np.asarray(sorted_)[order]).all()


@pytest.mark.parametrize(
    "sizes", [(300, 300), (5000, 5000), (100, 50_000), (50_000, 100), (900, 2000)]
)
def test_exchanges_keep_the_number_of_blocks_a_side(sizes):
    made = blocks.design(sizes)
    assert made.total <= 2 * blocks.BLOCKS
    assert min(made.n_reference, made.n_window) >= 90
    for dealt, order in made.exchanges(1500):
        assert (dealt.sum(axis=1) == made.n_window).all()
        assert sorted(order) == list(range(made.total))


def test_the_first_exchange_is_how_it_really_was():
    made = blocks.design((40, 60))
    dealt, order = next(made.exchanges(10))
    assert dealt[0].tolist() == [0.0] * 40 + [1.0] * 60
    assert order.tolist() == list(range(100))


def test_sums_are_over_the_rows_of_a_block():
    made = blocks.design((3, 3), (["a", "b", "a"], ["a", "a", "c"]))
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    expected = [[4.0, 6.0], [2.0, 3.0], [14.0, 16.0], [10.0, 11.0]]
    assert made.sums(values).tolist() == expected
    assert (
        made.sums(values[:4], slice(0, 4)) + made.sums(values[4:], slice(4, 6))
    ).tolist() == expected


def test_blocks_put_together_hold_whole_sessions():
    groups = [f"s{n // 4}" for n in range(40_000)]
    made = blocks.design((40_000, 40_000), (groups, groups))
    by_session = made.block[:40_000].reshape(-1, 4)
    assert (by_session == by_session[:, :1]).all()
    assert made.blocks == (10_000, 10_000)


def test_as_many_groups_as_rows_are_needed():
    from llmwatch.drift import numbers

    with pytest.raises(ValueError, match="3 groups were given for 300 rows"):
        numbers.compare(range(300), range(300), groups_window=[1, 2, 3])


DAY = 86_400_000_000


def rhythm(seed, days, rows_a_day):
    """Times, and a value that depends on the hour and on nothing else but chance."""
    random = np.random.default_rng(seed)
    hours = random.random(len(days) * rows_a_day)
    times = np.repeat(days, rows_a_day) * DAY + (hours * DAY).astype(np.int64)
    return times, 1.0 * np.sin(2 * np.pi * hours) + random.standard_normal(len(hours))


def test_a_stretch_is_exchanged_only_with_stretches_of_about_its_time_of_day():
    (reference, _), (window, _) = rhythm(1, [0, 7, 14, 21], 250), rhythm(2, [28], 1000)
    groups, _ = blocks.chosen(times_us=(reference, window))
    made = blocks.design((1000, 1000), groups)
    assert made.stratum.max() >= 4
    of_window = np.bincount(made.stratum[made.n_reference :], minlength=made.stratum.max() + 1)
    part = np.eye(len(of_window))[made.stratum]
    for dealt, order in made.exchanges(1500):
        assert (dealt @ part[order] == of_window).all()
        assert sorted(order) == list(range(made.total))


def test_what_changes_with_the_hour_hides_no_change():
    from llmwatch.drift import numbers

    (reference, before), (window, now) = rhythm(1, [0, 7, 14, 21], 250), rhythm(2, [28], 1000)
    (ref, win), _ = blocks.chosen(times_us=(reference, window))
    same = numbers.compare(before, now, groups_reference=ref, groups_window=win)
    moved = numbers.compare(before, now + 0.4, groups_reference=ref, groups_window=win)
    anywhere = numbers.compare(
        before, now + 0.4, groups_reference=ref["number"], groups_window=win["number"]
    )
    assert same.p > 0.05
    assert moved.p < 0.005
    assert anywhere.p > 0.05  # as it was when stretches of all hours were exchanged


def test_a_window_at_hours_that_the_reference_lacks_is_exchanged_with_all_of_it():
    random = np.random.default_rng(1)
    morning, evening = (
        (np.sort(random.random(1000)) * DAY / 24 + DAY * hour / 24).astype(np.int64)
        for hour in (8, 20)
    )
    groups, _ = blocks.chosen(times_us=(morning, evening))
    assert not blocks.design((1000, 1000), groups).stratum.any()


def test_a_night_that_only_the_window_has_is_compared_with_what_is_near_it():
    random = np.random.default_rng(1)
    usual = (np.sort(random.random(2000)) * DAY / 2 + DAY / 2).astype(np.int64)
    night = np.sort(np.append(usual[::2], (random.random(400) * DAY / 4).astype(np.int64)))
    groups, _ = blocks.chosen(times_us=(usual, night))
    made = blocks.design((len(usual), len(night)), groups)
    window = made.stratum[made.n_reference :]
    assert np.isin(window, made.stratum[: made.n_reference]).mean() >= 0.9


def test_a_week_has_a_rhythm_of_days():
    times = np.arange(0, 7 * DAY, DAY // 200)
    (_, window), _ = blocks.chosen(times_us=(times, times + 7 * DAY))
    assert np.ptp(window["at"]) > 5 * DAY
