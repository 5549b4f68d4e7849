"""What is said about a row later: live until replaced or undone, the latest score and label, before and after compaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lake_rows import demo

from llmwatch import StreamTable
from llmwatch.store import EVENTS
from llmwatch.stream import events
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small
from llmwatch.stream.query import Reader
from llmwatch.stream.row import Row


@pytest.fixture
def row(llmwatch_store: object) -> Row:
    table = StreamTable("demo/answers")
    row_id = table.add({"a": 1})
    assert row_id
    return table.get(row_id)


def settle() -> None:
    compact(demo(), EVENTS, seal=True)


def stages() -> Iterator[None]:
    """In the spool, in the lake, and merged."""
    yield
    settle()
    yield
    events.add(demo(), kind="feedback", name="other", value=1, row_id="another row")
    settle()
    merge_small(demo(), EVENTS, everything=True)
    yield


def notes(row: Row) -> list[object]:
    return [event["value"] for event in row.feedback]


def test_feedback_is_every_live_event_oldest_first(row: Row) -> None:
    for value in ("good", {"stars": 5}, None, 0.5, "good"):
        row.add_feedback("remark", value)
    for _ in stages():
        assert notes(row) == ["good", {"stars": 5}, None, 0.5, "good"]


def test_scores_and_labels_are_the_latest_of_each_name(row: Row) -> None:
    for n in range(3):
        row._table.say("score", "accuracy", n / 2, row_id=row.id)
        row.label({"resolved": n == 1, "lang": "en"})
        if n == 1:
            settle()
    for _ in stages():
        assert row.scores == {"accuracy": 1.0}
        assert row.labels == {"resolved": False, "lang": "en"}
        assert notes(row) == []


@pytest.mark.parametrize("settled", [False, True])
def test_an_undone_event_is_gone_and_the_one_before_counts_again(row: Row, settled: bool) -> None:
    row._table.say("label", "resolved", True, row_id=row.id)
    wrong = row._table.say("label", "resolved", False, row_id=row.id)
    kept, taken = row.add_feedback("note", "kept"), row.add_feedback("note", "taken back")
    if settled:
        settle()
    events.take_back(demo(), wrong)
    events.take_back(demo(), taken)
    for _ in stages():
        assert row.labels == {"resolved": True}
        assert [event["id"] for event in row.feedback] == [kept]


def test_a_replaced_event_is_the_new_one(row: Row) -> None:
    first = row.add_feedback("note", "typo")
    settle()
    events.add(demo(), kind="feedback", name="note", value="fixed", row_id=row.id, replaces=first)
    for _ in stages():
        assert notes(row) == ["fixed"]


def test_the_history_of_an_undone_event_stays(row: Row) -> None:
    events.take_back(demo(), row.add_feedback("note", "gone"))
    for _ in stages():
        found = Reader(demo()).execute(
            'SELECT kind FROM main."_events" WHERE row_id IS DISTINCT FROM \'another row\' ORDER BY ts, writer, seq', tables=[EVENTS]
        )
        assert found.rows == [("feedback",), ("undo",)]


def test_what_is_said_may_come_before_its_row(llmwatch_store: object) -> None:
    table = StreamTable("demo/answers")
    row_id = "0190a0a0-0000-7000-8000-000000000000"
    table.say("label", "good", True, row_id=row_id)
    settle()
    table._writer.append("row", b'{"id":"%b","data":{"a":1}}' % row_id.encode())
    assert table.get(row_id).labels == {"good": True}


def test_numbers_and_texts_of_values_are_columns(row: Row) -> None:
    for name, value in (("n", 2), ("x", 0.5), ("ok", True), ("s", "text"), ("digits", "5"), ("l", [1]), ("d", {"a": 1}), ("none", None)):
        row.add_feedback(name, value)
    for _ in stages():
        found = row._table.query("SELECT name, number, text FROM feedback WHERE row_id = ? ORDER BY ts, seq", row.id).rows
        assert found == [
            ("n", 2.0, None), ("x", 0.5, None), ("ok", 1.0, None), ("s", None, "text"), ("digits", None, "5"),
            ("l", None, None), ("d", None, None), ("none", None, None),
        ]  # fmt: skip


def test_events_join_to_the_rows_of_their_table(row: Row) -> None:
    row.label({"good": True})
    for _ in stages():
        assert row._table.query("SELECT a, name FROM answers JOIN labels ON row_id = answers.id").rows == [(1, "good")]
