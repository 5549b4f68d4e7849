"""A board as Weave's saved view: in the store, and at W&B where the project is sent there."""

from __future__ import annotations

import json

import pytest

import llmwatch
from llmwatch import Board
from llmwatch.board.publish import saved_view
from llmwatch.board.spec import Filter
from llmwatch.testing.wandb_server import WandbServer


@pytest.fixture
def board(llmwatch_store):
    board = Board("on-call", table="bot/traces", title="On call")
    board.filters = [Filter("status", "=", "error"), Filter("latency_ms", "<", 500)]
    board.add("lines", title="p95", measure="p95(latency_ms)", by="model")
    board.add("bars", title="Cost", measure="sum(cost_usd)")
    board.add("number", title="Count", measure="count")
    board.add("rows", columns=["timestamp", "status", "inputs"], sort="-latency_ms", roots=True)
    return board


def test_a_saved_view_has_the_boards_conditions_columns_order_and_charts(board):
    definition = saved_view(board).definition
    assert definition.filter.trace_roots_only is True
    assert json.loads(definition.query.model_dump_json(by_alias=True))["$expr"]["$and"] == [
        {"$eq": [{"$getField": "summary.weave.status"}, {"$literal": "error"}]},
        {"$not": [{"$gte": [{"$getField": "summary.weave.latency_ms"}, {"$literal": 500}]}]},
    ]
    assert [column.path for column in definition.columns] == [
        ["started_at"],
        ["summary", "weave", "status"],
        ["inputs"],
    ]
    assert (definition.sort_by[0].field, definition.sort_by[0].direction) == (
        "summary.weave.latency_ms",
        "desc",
    )
    drawn = [(chart.y_axis, chart.aggregation, chart.plot_type) for chart in definition.charts]
    assert drawn == [("latency", "p95", "line"), ("cost", "sum", "bar")]


def test_it_is_in_the_store_for_weave_to_load_and_nothing_leaves_the_machine(board):
    from weave.flow.saved_view import SavedView

    published = board.publish()
    assert published.wandb_view is None
    assert "not sent to W&B" in published.notes[0]
    llmwatch.init("bot", destination="local")
    try:
        assert SavedView.load(published.view).label == "On call"
    finally:
        llmwatch.finish()


def test_nobody_logged_in_is_told_with_what_to_do(board, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert "wandb login" in board.publish(wandb=True).notes[0]


def test_at_wandb_it_is_the_same_view_in_the_project_there(board, monkeypatch):
    with WandbServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        published = board.publish(wandb=True)
        assert published.wandb_view.startswith(f"{server.url}/team/bot/weave/traces")
        assert server.paths["/obj/create"] == 1
