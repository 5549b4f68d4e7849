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
