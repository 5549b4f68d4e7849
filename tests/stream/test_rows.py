"""`table.rows()`: which rows, in which order, how many, and in which form; every dict reads back as it was logged."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmwatch import StreamTable, clock
from llmwatch.errors import LlmwatchError
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small
from llmwatch.testing import temporary_store

START = datetime(2026, 1, 31, 9, tzinfo=timezone.utc)


@pytest.fixture
def table(llmwatch_store: object) -> StreamTable:
    """Ten rows, a minute apart: seven in two lake files, three in the spool."""
    table = StreamTable("demo/answers")
    minutes = itertools.count()
    start = int(START.timestamp() * 1_000_000)
    with clock.use(now=lambda: start + next(minutes) * 60_000_000):
        for n in range(10):
            table.log({"n": n, "user": f"u{n % 3}", "cost": n / 4})
            if n in {3, 6}:
                compact(table.project, table.name, seal=True)
    return table


def numbers(rows: Any) -> list[int]:
    return [row["n"] for row in rows]


def test_rows_come_oldest_first_and_tail_ends_with_the_newest(table: StreamTable) -> None:
    assert numbers(table.rows()) == list(range(10))
    assert numbers(table.tail(2)) == [8, 9]
    assert numbers(table.tail(5)) == [5, 6, 7, 8, 9]
    assert numbers(table.tail(99)) == list(range(10))


def test_limit_and_skip_count_from_where_the_order_begins(table: StreamTable) -> None:
    assert numbers(table.rows().limit(3)) == [0, 1, 2]
    assert numbers(table.rows().limit(3, skip=4)) == [4, 5, 6]
    assert numbers(table.rows().sort("-timestamp").limit(3, skip=2)) == [7, 6, 5]
    assert numbers(table.rows().limit(0)) == []
    assert numbers(table.rows().limit(5, skip=99)) == []


@pytest.mark.parametrize(("most", "skip"), [(-1, 0), (1, -1)])
def test_a_negative_limit_is_refused(table: StreamTable, most: int, skip: int) -> None:
    with pytest.raises(ValueError, match="from 0"):
        table.rows().limit(most, skip=skip)


def test_sort_is_by_any_column_either_way_and_ties_keep_their_order(table: StreamTable) -> None:
    assert numbers(table.rows().sort("-n")) == list(range(9, -1, -1))
    assert numbers(table.rows().sort("user", "-cost")) == [9, 6, 3, 0, 7, 4, 1, 8, 5, 2]
    assert numbers(table.rows().sort("user").limit(4)) == [0, 3, 6, 9]


def test_filters_add_up(table: StreamTable) -> None:
    assert numbers(table.rows().filter(user="u1")) == [1, 4, 7]
    assert numbers(table.rows().filter("n > ?", 3).filter(user="u1")) == [4, 7]
    assert numbers(table.rows().filter("n < 2 OR n > 8").filter("cost >= 0")) == [0, 1, 9]
    assert numbers(table.rows().filter(user=None)) == []
    assert table.rows().filter(user="u1").count() == 3
    assert len(table.rows().filter("n = 1").ids()) == 1


def test_since_is_from_and_until_is_before(table: StreamTable) -> None:
    fourth = START + timedelta(minutes=4)
    for when in (fourth, fourth.isoformat(), "2026-01-31T09:04:00Z", fourth.timestamp(), int(fourth.timestamp())):
        assert numbers(table.rows().since(when)) == [4, 5, 6, 7, 8, 9]
        assert numbers(table.rows().until(when)) == [0, 1, 2, 3]
    assert numbers(table.rows().since(fourth).until(START + timedelta(minutes=6))) == [4, 5]
    assert numbers(table.rows().since(datetime.now(timezone.utc) - START + timedelta(hours=1))) == list(range(10))


def test_a_time_that_is_none_says_how_to_write_it(table: StreamTable) -> None:
    with pytest.raises(LlmwatchError, match="2026-01-31T09:30"):
        table.rows().since("yesterday")


def test_select_keeps_the_columns_that_a_row_has(table: StreamTable) -> None:
    first = next(iter(table.rows().select("user", "n", "nothing")))
    assert dict(first) == {"user": "u0", "n": 0}


def test_a_choice_of_rows_is_not_changed_by_narrowing_it(table: StreamTable) -> None:
    rows = table.rows().filter(user="u1")
    rows.limit(1).sort("-n")
    assert numbers(rows) == [1, 4, 7]
    assert numbers(rows) == [1, 4, 7]


def test_frames_hold_the_same_rows(table: StreamTable) -> None:
    rows = table.rows().filter("n > 5")
    arrow, polars, pandas = rows.to_arrow(), rows.to_polars(), rows.to_pandas()
    assert arrow.column("n").to_pylist() == polars["n"].to_list() == list(pandas["n"]) == [6, 7, 8, 9]
    assert polars["cost"].to_list() == list(pandas["cost"]) == [1.5, 1.75, 2.0, 2.25]
    assert set(arrow.column_names) == set(pandas.columns) == {"n", "user", "cost", "timestamp"}
    assert arrow.column("timestamp").to_pylist()[0] == START + timedelta(minutes=6)


def test_frames_of_selected_columns(table: StreamTable) -> None:
    rows = table.rows().select("user").limit(2)
    assert rows.to_polars().to_dicts() == [{"user": "u0"}, {"user": "u1"}]
    assert rows.to_pandas().to_dict("records") == [{"user": "u0"}, {"user": "u1"}]


def test_pandas_has_each_value_as_it_was_logged(llmwatch_store: object) -> None:
    table = StreamTable("demo/mixed")
    values = [1, "one", [1, {"a": None}], 2.5, True]
    table.log([{"x": value} for value in values])
    assert list(table.rows().to_pandas()["x"]) == values
    assert table.rows().to_arrow().column("x").to_pylist() == [1.0, None, None, 2.5, None]


def test_frames_of_a_table_without_rows_are_empty(llmwatch_store: object) -> None:
    rows = StreamTable("demo/nothing").rows()
    assert (rows.to_arrow().num_rows, len(rows.to_polars()), len(rows.to_pandas())) == (0, 0, 0)


# --- whatever was logged -----------------------------------------------------------------

KEYS = st.sampled_from(["a", "A", "b c", "id", "ts", "data", "status", "_id", "t", "", "*", "ü", 'q"', "x.y"]) | st.text(
    max_size=6
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)  # those read back as text
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "Infinity", "1", "true", "null", "{}", "2026-01-31"])
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5)
LOGGED = st.lists(st.dictionaries(KEYS, VALUES, max_size=5), min_size=1, max_size=6)


@given(batches=st.lists(LOGGED, min_size=1, max_size=2))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_rows_read_back_as_logged_before_and_after_compaction_and_merge(batches: list[list[dict[str, Any]]]) -> None:
    with temporary_store():
        table = StreamTable("demo/any")
        logged: list[dict[str, Any]] = []

        def check() -> None:
            read = [row.data for row in table.rows()]
            assert read == logged
            assert repr(read) == repr(logged)  # key order, 1 is not 1.0 and not True
            table.query('SELECT * FROM "any"')

        for batch in batches:
            table.log(batch)
            logged += batch
            check()
            compact(table.project, table.name, seal=True)
            check()
        merge_small(table.project, table.name, everything=True)
        check()
        table.finish()
