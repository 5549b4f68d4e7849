"""Specs: what is drawn is what was checked, and what is wrong is said panel by panel."""

from __future__ import annotations

import json

import pytest

import llmwatch
from llmwatch.board import measures, spec
from llmwatch.board.spec import Board
from llmwatch.errors import InvalidBoard


def test_a_board_made_in_python_reads_back_from_its_json():
    board = Board("on-call", table="bot/traces", title="On call")
    board.add("lines", measure="p95(latency_ms)", by="model").add("rows")
    again = spec.parse(json.dumps(board.to_json()))
    assert again.to_json() == board.to_json()


def test_llmwatch_offers_board_by_name():
    assert llmwatch.Board is Board


def test_every_wrong_panel_is_named_with_what_is_wrong():
    panels = [
        {"id": "a", "kind": "lines", "measure": "p95(latency_ms)"},
        {"id": "b", "kind": "pie"},
        {"id": "c", "kind": "lines"},
        {"id": "d", "kind": "number", "measure": "percentile(latency)"},
        {"id": "e", "kind": "top", "column": "model", "at": [20, 0, 12, 8]},
        {"id": "f", "kind": "note", "text": "hi", "measure": "count"},
        {"id": "a", "kind": "rows"},
    ]
    with pytest.raises(InvalidBoard) as caught:
        spec.parse({"name": "x", "panels": panels})
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 6
    for panel, word in (
        ("(b)", "pie"),
        ("(c)", "needs 'measure'"),
        ("(d)", "not a measure"),
        ("(e)", "grid"),
        ("(f)", "measure"),
        ("panel 7", "taken"),
    ):
        assert any(panel in line and word in line for line in caught.value.problems), told


@pytest.mark.parametrize(
    "wrong",
    [
        "[]",
        "nonsense",
        "{}",
        '{"name": "../etc", "panels": []}',
        '{"name": "x", "panels": {}}',
        '{"name": "x", "format": 9, "panels": []}',
    ],
)
def test_what_is_no_board_is_refused_and_not_half_read(wrong):
    with pytest.raises(InvalidBoard):
        spec.parse(wrong)


def test_panels_without_a_place_flow_over_the_grid_and_never_over_each_other():
    board = Board("b")
    for _ in range(5):
        board.add("lines", measure="count")
    board.add("rows")
    taken = set()
    for panel in spec.placed(board.panels):
        x, y, width, height = panel.at
        cells = {(a, b) for a in range(x, x + width) for b in range(y, y + height)}
        assert not cells & taken
        assert x + width <= spec.GRID
        taken |= cells


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("count", "count(*)"),
        ("sum(cost_usd)", 'sum("cost_usd")'),
        ("p99.5(latency_ms)", 'quantile_cont("latency_ms", 0.995)'),
        ("distinct(user_id)", 'count(DISTINCT "user_id")'),
        (
            "share(status = 'error')",
            "count(*) FILTER (WHERE (status = 'error')) / nullif(count(*), 0)",
        ),
    ],
)
def test_a_measure_is_one_sql_aggregate(text, sql):
    assert measures.parse(text).sql() == sql


@pytest.mark.parametrize(
    "text", ["", "drop table", "p95", "avg()", "median", "sum(", "avg(x); SELECT 1"]
)
def test_what_is_no_measure_is_told_as_it_was_written(text):
    assert repr(text) in (measures.wrong(text) or "")


def test_a_board_is_written_and_read_as_a_file(tmp_path):
    board = Board("on-call", table="bot/traces").add("rows")
    assert Board.read(board.export(tmp_path / "b.json")).to_json() == board.to_json()


def test_in_a_notebook_a_board_shows_its_plan_escaped():
    html = (
        Board("x", title="<script>alert(1)</script>")
        .add("note", text="<img src=x onerror=alert(1)>", title="<b>")
        ._repr_html_()
    )
    assert "<script>" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
