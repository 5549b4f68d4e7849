"""Rows become a weave.Dataset of the project, corrections what is expected."""

from __future__ import annotations

import pytest

import llmwatch
from llmwatch import StreamTable, settings, traced
from llmwatch.board import datasets
from llmwatch.board.choice import choose
from llmwatch.board.desk import Desk
from llmwatch.errors import InvalidBoard


@pytest.fixture
def desk(llmwatch_store):
    desk = Desk(llmwatch_store, settings.current())
    yield desk
    desk.close()
    llmwatch.finish()


def test_a_call_is_a_row_with_its_inputs_by_name_and_its_correction_as_what_is_expected(desk):
    import weave

    llmwatch.init("bot", destination="local")

    @traced
    def answer(question, output):
        return {"text": question.upper(), "kind": output}

    rows = [answer.call(f"q{n}", "short")[1] for n in range(3)]
    rows[1].feedback.add("correction", {"expected": "Q-one", "reason": "hyphen"})
    source, server = desk.source("local", "bot", "traces"), desk.trace_server()
    added = datasets.add(server, source, "golden", [row.id for row in rows[:2]])
    assert added == {"name": "golden", "rows": 2, "added": 2, "corrected": 1}

    records = [dict(row) for row in weave.ref("golden").get().rows]
    assert [record["question"] for record in records] == ["q0", "q1"]
    assert [record["expected"] for record in records] == [None, "Q-one"]
    assert records[0]["output_"] == "short", (
        "an input that is called as one of ours keeps its value"
    )
    assert dict(records[0]["output"]) == {"text": "Q0", "kind": "short"}
    assert records[0]["row"] == rows[0].id


def test_a_row_that_is_in_it_is_replaced_and_others_are_added_to_a_new_version(desk):
    table = StreamTable("bot/answers")
    ids = [table.add({"question": f"q{n}", "ok": True}) for n in range(3)]
    source, server = desk.source("local", "bot", "answers"), desk.trace_server()
    datasets.add(server, source, "golden", ids[:2])
    assert datasets.add(server, source, "golden", ids[1:]) == {
        "name": "golden",
        "rows": 3,
        "added": 1,
        "corrected": 0,
    }
    assert datasets.names(server, source) == ["golden"]


def test_the_rows_that_are_shown_are_chosen_newest_first_by_the_boards_own_filters(desk):
    table = StreamTable("bot/answers")
    ids = [table.add({"n": n, "ok": n % 2 == 0}) for n in range(6)]
    source = desk.source("local", "bot", "answers")
    chips = [{"column": "ok", "op": "=", "value": True}]
    choice = choose(source, {"range": "all", "filters": chips})
    assert datasets.chosen(source, choice, roots=False) == [ids[4], ids[2], ids[0]]


@pytest.mark.parametrize("name", ["", "   ", "x" * 200])
def test_a_dataset_needs_a_name_and_a_row(desk, name):
    StreamTable("bot/answers").log({"n": 1})
    source = desk.source("local", "bot", "answers")
    with pytest.raises(InvalidBoard, match="name"):
        datasets.add(None, source, name, ["x"])
    with pytest.raises(InvalidBoard, match="no row"):
        datasets.add(None, source, "golden", [])
