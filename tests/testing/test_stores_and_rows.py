"""The tools that llmwatch ships for tests."""

from __future__ import annotations

import os

import pytest

from llmwatch import StreamTable, clock, faults, settings
from llmwatch.testing import assert_rows, deterministic, temporary_store


def test_what_is_recorded_in_a_temporary_store_is_gone_after_it():
    with temporary_store() as store:
        table = StreamTable("bot/answers")
        table.log({"question": "hi", "tokens": 3})
        assert_rows(table, [{"question": "hi", "tokens": 3}])
        root = store.root
    assert not root.exists()


def test_a_temporary_store_hides_the_settings_of_the_machine(monkeypatch):
    monkeypatch.setenv("LLMWATCH_PROJECT", "mine")
    before = settings.current()
    with temporary_store(retention_days=3) as store:
        assert settings.current().project == settings.Settings().project
        assert settings.current().retention_days == 3
        assert "LLMWATCH_PROJECT" not in os.environ
        assert os.environ["LLMWATCH_STORE"] == str(store.root)
    assert settings.current() is before
    assert os.environ["LLMWATCH_PROJECT"] == "mine"


def test_a_fault_raises_in_a_temporary_store():
    with temporary_store(), pytest.raises(OSError, match="full"):
        faults.report("x", OSError("full"))


def test_the_fixture_is_a_store_in_use(llmwatch_store):
    StreamTable("bot/answers").log({"a": 1})
    assert [project.id for project in llmwatch_store.projects()] == ["local/bot"]


def test_the_same_seed_gives_the_same_ids_and_times():
    def some() -> list[object]:
        with deterministic(seed=3) as time:
            first = [clock.new_id(), clock.now_us(), clock.now_us()]
            time.advance(minutes=5)
            return [*first, clock.new_id(), clock.now_us()]

    first = some()
    assert first == some()
    assert first[2] - first[1] == 1000
    assert first[4] - first[2] == 5 * 60 * 1_000_000 + 1000
    with deterministic(seed=4):
        assert clock.new_id() != first[0]


def test_rows_are_recorded_at_the_deterministic_time(llmwatch_store):
    with deterministic():
        table = StreamTable("bot/answers")
        table.log({"a": 1})
        assert next(iter(table.rows()))["timestamp"].year == 2026


def test_a_row_need_only_hold_what_is_expected_of_it():
    rows = [{"a": 1, "b": 2}, {"a": 3}]
    assert_rows(rows, [{"a": 1}, {"a": 3}])
    assert_rows(rows, [{"a": 3}, {"a": 1}], ordered=False)
    with pytest.raises(AssertionError):
        assert_rows(rows, [{"a": 1}, {"a": 3}], exactly=True)


@pytest.mark.parametrize(
    "expected",
    [
        [{"a": 1}],
        [{"a": 3}, {"a": 1}],
        [{"a": 1}, {"a": 3}, {"a": 3}],
        [{"a": 1}, {"a": 4}],
        [{"a": 1, "c": 0}, {"a": 3}],
    ],
)
def test_other_rows_are_not_the_same(expected):
    with pytest.raises(AssertionError, match=f"expected {len(expected)} rows, found 2"):
        assert_rows([{"a": 1, "b": 2}, {"a": 3}], expected)


def test_in_any_order_a_row_still_counts_once():
    with pytest.raises(AssertionError):
        assert_rows([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 1}], ordered=False)


def test_the_difference_shows_both_sides():
    with pytest.raises(AssertionError) as caught:
        assert_rows([{"text": "helo"}], [{"text": "hello"}])
    assert "- {'text': 'hello'}" in str(caught.value)
    assert "+ {'text': 'helo'}" in str(caught.value)
