"""The mark by which a page is told that its table changed."""

from __future__ import annotations

from llmwatch import StreamTable
from llmwatch.board.changes import mark


def test_a_mark_changes_with_each_row_and_stays_short_however_many_segments_there_are(llmwatch_store):
    table = StreamTable("p/rows")
    seen = set()
    for n in range(50):
        table.log({"n": n})
        seen.add(mark(table.project, "rows"))
        if n % 2:
            table.finish()  # the next row begins another segment
    assert len(seen) == 50
    assert {len(one) for one in seen} == {24}


def test_a_mark_changes_with_an_event_and_with_nothing_else(llmwatch_store):
    table = StreamTable("p/rows")
    row_id = table.add({"n": 1})
    before = mark(table.project, "rows")
    assert mark(table.project, "rows") == before
    StreamTable("p/others").log({"n": 2})
    assert mark(table.project, "rows") == before
    table.say("feedback", "note", "good", row_id=row_id)
    assert mark(table.project, "rows") != before
