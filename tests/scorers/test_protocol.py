"""How rows reach scorers of any make."""

from __future__ import annotations

import pytest
import weave

from llmwatch.scorers.protocol import (
    NotAScorer,
    arguments,
    name_of,
    parsed,
    score_many,
    score_one,
)

ROW = {
    "id": "r1",
    "inputs": {"question": "why?", "n": 2},
    "output": "because",
    "latency_ms": 3.5,
    "model": None,
}


class ManyAtOnce:
    name = "many"

    def score_rows(self, rows):
        return [{"length": len(row["output"])} for row in rows]

    def score(self, output):
        raise AssertionError("the quicker way is there")


class Whole:
    def score_row(self, row):
        return {"id": row["id"]}


class Asks(weave.Scorer):
    @weave.op
    def score(self, output, question):
        return {"both": f"{question} {output}"}


def brief(output):
    return len(output) < 3


@weave.op
def shouted(output, latency_ms, missing=7):
    return {"shout": output.upper(), "ms": latency_ms, "missing": missing}


async def later(output):
    return {"late": output}


def test_the_way_that_takes_most_rows_at_once_is_chosen():
    assert score_many(ManyAtOnce(), [ROW, {**ROW, "output": "x"}]) == [{"length": 7}, {"length": 1}]
    assert score_one(ManyAtOnce(), ROW) == {"length": 7}
    assert score_many(Whole(), [ROW]) == [{"id": "r1"}]


def test_arguments_are_picked_by_name_from_inputs_output_and_columns():
    assert score_one(Asks(), ROW) == {"both": "why? because"}
    assert score_one(Asks(column_map={"question": "n"}), ROW) == {"both": "2 because"}
    assert score_one(brief, ROW) is False
    assert score_one(shouted, ROW) == {"shout": "BECAUSE", "ms": 3.5, "missing": 7}


def test_a_function_that_takes_anything_gets_all_inputs():
    found = arguments(lambda output, **rest: None, ROW)
    assert found == {"output": "because", "question": "why?", "n": 2, "inputs": ROW["inputs"]}


@pytest.mark.filterwarnings("error")
def test_an_async_scorer_gives_something_to_await():
    import asyncio

    async def run():
        return await score_one(later, ROW)

    assert asyncio.run(run()) == {"late": "because"}


def test_what_is_asked_for_and_not_there_is_an_error_that_says_what_there_is():
    with pytest.raises(NotAScorer, match=r"'expected'.*row r1.*question, n"):
        score_one(lambda expected: None, ROW)


def test_a_scorer_that_loses_rows_is_found_out():
    class Loses:
        def score_rows(self, rows):
            return []

    with pytest.raises(NotAScorer, match="0 results for 1 rows"):
        score_many(Loses(), [ROW])
    with pytest.raises(NotAScorer, match="is no scorer"):
        score_one(3, ROW)


def test_a_name_is_the_scorers_own_or_made_of_its_class():
    assert [name_of(each) for each in (ManyAtOnce(), Whole(), brief)] == ["many", "whole", "brief"]
    assert name_of(type("LLMJudge", (), {})()) == "llmjudge"


def test_the_json_of_a_read_row_is_parsed():
    row = parsed({"id": "1", "inputs": '{"a":{"_type":"int","value":"99"}}', "output": None})
    assert row == {"id": "1", "inputs": {"a": 99}, "output": None}
