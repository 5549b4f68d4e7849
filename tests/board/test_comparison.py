"""What changed on a board: the chosen rows against the time before them, or against all others."""

from __future__ import annotations

import pytest

from llmwatch import StreamTable, clock
from llmwatch.board import compare
from llmwatch.board.choice import choose
from llmwatch.board.source import Source
from llmwatch.errors import InvalidBoard, QueryRefused
from llmwatch.stream.query import Reader

START, MINUTE = 1_790_000_000_000_000, 60_000_000


@pytest.fixture
def source(llmwatch_store):
    """600 rows, a second apart; in the later half a region is slow, and asks more."""
    table = StreamTable("bot/answers")
    for n in range(600):
        slow = n >= 300 and n % 2
        with clock.use(now=lambda n=n: START + n * 1_000_000):
            table.log({"latency_ms": 900.0 + n % 7 if slow else 100.0 + n % 7, "region": "eu" if slow else "us", "what?": "a'b"})  # fmt: skip
    table.finish()
    reader = Reader(table.project, keep=True)
    yield Source(table.project, "answers", reader)
    reader.close()


def found(changes: dict) -> set[str]:
    return {cause["name"] for cause in changes["causes"] if cause["found"]}


def test_a_chosen_time_is_compared_with_as_long_before_it(source):
    asked = {"range": f"{START + 5 * MINUTE}-{START + 10 * MINUTE}"}
    changes = compare.changed(source, asked)
    assert changes["rows"] == (300, 300)
    assert "region" in found(changes)
    verdicts = {outcome["name"]: outcome["verdict"] for outcome in changes["outcomes"]}
    assert verdicts["latency"] == "worse"


def test_where_nothing_was_recorded_before_the_later_half_is_compared_with_the_earlier(source):
    assert compare.changed(source, {"range": "all"})["rows"] == (300, 300)


def test_filtered_rows_are_compared_with_all_others(source):
    chips = [
        {"column": "region", "op": "=", "value": "eu"},
        {"column": "what?", "op": "=", "value": "a'b"},
    ]
    asked = {"range": "all", "filters": chips, "where": "latency_ms > 0", "versus": "others"}
    assert compare.changed(source, asked)["rows"] == (450, 150)


def test_conditions_are_written_with_their_values_where_they_belong(source):
    chips = [{"column": "what?", "op": "in", "value": ["x?", "it's"]}]
    choice = choose(source, {"range": "all", "filters": chips, "where": "region <> 'no?'"})
    where = compare.written(choice)
    assert "IN ('x?', 'it''s')" in where
    assert "'no?'" in where


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"versus": "others"}, "add a filter"),
        ({"versus": "yesterday"}, "before, others"),
        ({"search": "words"}, "use a filter"),
    ],
)
def test_what_cannot_be_compared_says_what_can(source, asked, said):
    with pytest.raises(InvalidBoard, match=said):
        compare.changed(source, {"range": "all", **asked})


def test_a_condition_passes_the_guard_here_too(source):
    with pytest.raises(QueryRefused):
        compare.changed(source, {"range": "all", "where": "1 IN (SELECT 1 FROM read_text('/x'))"})
