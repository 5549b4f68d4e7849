"""Panels that want to know the same of the same rows share a query, and one panel's error stays its own."""

from __future__ import annotations

import asyncio

import pytest

from llmwatch import StreamTable, settings
from llmwatch.board import asks, passes
from llmwatch.board.asked import Asked, Quantiles
from llmwatch.board.choice import choose
from llmwatch.board.desk import Desk
from llmwatch.board.spec import Panel
from llmwatch.stream.query import Reader

PANELS = [
    Panel("count", "number", measure="count"),
    Panel("slow", "number", measure="p95(latency_ms)"),
    Panel("models", "bars", measure="count", by="model"),
    Panel("by model", "lines", measure="avg(latency_ms)", by="model"),
    Panel("shares", "percentiles", column="latency_ms"),
    Panel("heat", "heatmap", column="latency_ms"),
    Panel("spread", "distribution", column="latency_ms"),
    Panel("top", "top", column="model"),
    Panel("groups", "groups", by="model"),
]


@pytest.fixture
def desk(llmwatch_store):
    table = StreamTable("bot/answers")
    table.log(
        [
            {"latency_ms": float(n % 50), "model": "ab"[n % 2], "text": f"row {n}"}
            for n in range(100)
        ]
    )
    table.finish()
    desk = Desk(llmwatch_store, settings.current())
    yield desk
    desk.close()


def answered(desk: Desk, panels: list[Panel]) -> dict[str, dict]:
    source = desk.source("local", "bot", "answers")

    async def all_of_them():
        choice = choose(source, {"range": "all"})
        return [answer async for answer in passes.answers(desk, source, panels, choice)]

    return {answer.pop("id"): answer for answer in asyncio.run(all_of_them())}


def test_panels_together_answer_what_each_answers_alone(desk):
    source = desk.source("local", "bot", "answers")
    choice = choose(source, {"range": "all"})
    together = answered(desk, PANELS)
    assert together == {panel.id: asks.ask(source, panel, choice) for panel in PANELS}


def test_panels_about_the_same_rows_share_their_queries(desk, monkeypatch):
    queries: list[str] = []
    execute = Reader.execute
    monkeypatch.setattr(
        Reader,
        "execute",
        lambda self, sql, *more: queries.append(sql) or execute(self, sql, *more),
    )
    desk.source("local", "bot", "answers").columns()
    queries.clear()
    answered(desk, PANELS[:6])
    # the times of first and last row; whole, by two kinds of bins, by model; then models by bins, and the cells
    assert 3 < len(queries) <= 7, queries


def test_one_panel_that_cannot_be_answered_does_not_take_the_others_with_it(desk):
    panels = [
        *PANELS,
        Panel("wrong", "number", measure="avg(text)"),
        Panel("gone", "top", column="x"),
    ]
    found = answered(desk, panels)
    assert {name for name, answer in found.items() if "error" in answer} == {"wrong", "gone"}
    assert found["count"]["value"] == 100


def test_a_table_held_steady_shows_no_row_that_came_since_and_the_next_look_does(desk):
    source = desk.source("local", "bot", "answers")
    rows = "SELECT count(*) FROM hot.answers"
    source.look()
    with source.steady():
        StreamTable("bot/answers").log({"latency_ms": 1.0})
        assert source.execute(rows).rows == [(100,)]
        before = source.seen()
    assert source.execute(rows).rows == [(101,)]
    assert source.look() != before


def test_a_table_that_did_not_change_is_not_asked_twice_and_one_that_did_is(desk, monkeypatch):
    source, queries = desk.source("local", "bot", "answers"), []
    run = Asked.run
    monkeypatch.setattr(Asked, "run", lambda *given: queries.append(given) or run(*given))
    first = answered(desk, PANELS)
    asked = len(queries)
    assert answered(desk, PANELS) == first
    assert len(queries) == asked
    StreamTable("bot/answers").log({"latency_ms": 1.0, "model": "a"})
    source.look()
    assert answered(desk, PANELS)["count"]["value"] == first["count"]["value"] + 1


def test_all_quantiles_of_a_column_are_one_aggregate(desk):
    source = desk.source("local", "bot", "answers")
    asked = Asked(source, PANELS[1], choose(source, {"range": "all"}))
    measures = (Quantiles("latency_ms", (0.5,)), "count(*)", Quantiles("latency_ms", (0.95, 0.1)))
    assert asked.wish((), *measures).rows() == [(24.5, 100, [47.0, 4.9])]
    assert asked.wish((), *measures, also="AND false").rows() == [(None, 0, None)]
