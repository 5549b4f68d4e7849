"""Boards and traces as still pictures: well-formed, escaped, and of the rows there are."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

import llmwatch
from llmwatch import Board, NotFound, StreamTable, traced
from llmwatch.board import pictures
from llmwatch.testing import deterministic, temporary_store


def texts(picture):
    return [
        "".join(each.itertext())
        for each in ET.fromstring(picture.svg).iter()
        if each.tag.endswith("}text")
    ]


@pytest.fixture
def traffic():
    """A trace of three calls, one of which failed, and not compacted: some of it is still in pieces."""
    with temporary_store(), deterministic() as time:
        llmwatch.init("bot", destination="local")

        @traced(kind="retrieval")
        def retrieve(question):
            time.advance(milliseconds=20)

        @traced(kind="generation")
        def generate(question):
            time.advance(milliseconds=300)
            raise TimeoutError("the model <b>did not</b> answer")

        @traced
        def answer(question):
            retrieve(question)
            return generate(question)

        _, row = answer.call("why?")
        llmwatch.finish()
        yield row


def test_a_trace_shows_its_calls_in_order_and_what_failed(traffic):
    drawn = texts(pictures.of_trace("bot/traces", traffic.trace_id))
    names = [name for name in drawn if name in {"answer", "retrieve", "generate"}]
    assert names == ["answer", "retrieve", "generate"]
    assert sum("TimeoutError" in text for text in drawn) == 2
    assert drawn[0].startswith("3 calls in 32")


def test_a_trace_that_is_not_there_is_said(traffic):
    with pytest.raises(NotFound, match="no trace nope"):
        pictures.of_trace("bot/traces", "nope")


def test_a_board_is_drawn_over_rows_that_are_still_in_pieces(traffic):
    board = Board("bot", table="bot/traces", range="all")
    board.add("number", title="Failed", measure="count(status = 'error')")
    board.add("top", title="Why", column="exception_type")
    drawn = texts(pictures.of_board(board))
    assert drawn[drawn.index("Failed") + 1] == "2"
    assert "TimeoutError" in drawn


def test_every_kind_of_panel_is_drawn_also_of_an_empty_column():
    with temporary_store():
        table = StreamTable("bot/answers")
        table.log(
            {"ms": float(n % 17), "model": "small" if n % 3 else "<i>&", "none": None}
            for n in range(60)
        )
        board = Board("all", table="bot/answers", title="<script>alert(1)</script>", range="all")
        for kind, more in {
            "lines": {"measure": "p95(ms)", "by": "model"},
            "bars": {"measure": "count", "by": "model"},
            "percentiles": {"column": "ms"},
            "distribution": {"column": "ms"},
            "heatmap": {"column": "ms"},
            "number": {"measure": "avg(ms)", "unit": "ms"},
            "top": {"column": "model"},
            "groups": {"by": "model", "measures": ["count", "p50(ms)"]},
            "note": {"text": "Look at p95 first"},
            "rows": {},
        }.items():
            board.add(kind, title=kind, **more)
        picture = pictures.of_board(board)
    drawn = texts(picture)
    assert "<i>&" in drawn
    assert "<script" not in picture.svg
    assert "rows" not in drawn
    assert "nothing known yet" not in drawn


def test_a_picture_is_written_where_it_is_told(tmp_path):
    picture = pictures.Picture("<svg/>")
    assert picture.save(tmp_path / "a.svg").read_text() == picture._repr_svg_()
