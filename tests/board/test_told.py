"""The boards of what the watch and the drift job write, from their own rows."""

from __future__ import annotations

import contextlib

import pytest
from conftest import served

from llmwatch import StreamTable, clock
from llmwatch.board import asks, seeds
from llmwatch.board.choice import choose
from llmwatch.board.source import Source
from llmwatch.errors import InvalidBoard
from llmwatch.stream.query import Reader

HOUR = 3_600_000_000


@pytest.fixture
def alerts(llmwatch_store):
    """Rows as `llmwatch.watch.history.Log` writes them: one alert that ended, one that goes on, a message."""
    at = clock.now_us() - HOUR
    told = {"severity": "P0", "rule": "errors", "table": "traces", "metric": "errors/total_count"}
    rows = [
        {"state": "firing", "alert": "a", "at_us": at, "fired_us": at, "value": 30.0, "group": {"model": "b"}, **told},
        {"state": "notified", "alert": "a", "at_us": at, "rule": "errors", "severity": "P0"},
        {"state": "resolved", "alert": "a", "at_us": at + HOUR // 2, "fired_us": at, "value": 0.0, **told},
        {"state": "firing", "alert": "b", "at_us": at, "fired_us": at, **told, "severity": "P1", "rule": "slow"},
    ]  # fmt: skip
    StreamTable("x/alerts").log(rows)
    StreamTable("x/traces").log([{"model": "ab"[n % 2], "n": n} for n in range(20)])
    return llmwatch_store


@pytest.fixture
def asked(llmwatch_store):
    """Answers of a seed for a table, by the titles of its panels."""
    with contextlib.ExitStack() as opened:

        def ask(table: str, seed: str) -> dict:
            project = llmwatch_store.project("local", "x")
            reader = opened.enter_context(contextlib.closing(Reader(project, keep=True)))
            source = Source(project, table, reader)
            board = seeds.make(seed, source)
            choice = choose(source, {"range": board.range})
            return {panel.title: asks.ask(source, panel, choice) for panel in board.panels}

        yield ask


def test_alerts_are_counted_when_they_begin_and_not_when_they_are_told(alerts, asked):
    found = asked("alerts", "alerts")
    numbers = {title: found[title]["value"] for title in found if "value" in found[title]}
    assert numbers == {"P0: now": 1, "P1: soon": 1, "P2: to know": 0, "Ended": 1}
    fired = {item["name"]: item["value"] for item in found["Rules that fired"]["items"]}
    assert fired == {"errors": 1, "slow": 1}
    assert found["What happened"]["count"] == 3


@pytest.mark.parametrize("seed", ["alerts", "drift"])
def test_a_board_of_what_was_told_is_of_its_own_table(alerts, asked, seed):
    with pytest.raises(InvalidBoard, match=f"local/x/{seed}"):
        asked("traces", seed)


def test_drift_is_counted_by_verdict_and_its_signals_are_drawn_by_how_far_they_moved(
    llmwatch_store, asked
):
    StreamTable("x/drift").log(
        [
            {"table": "traces", "verdict": verdict, "drift/length_effect": effect, "drift/length_mean": 5.0, "drift/length_p_value": 0.01}
            for verdict, effect in (("drift", 0.6), ("no drift", 0.1), ("insufficient data", 0.0))
        ]
    )  # fmt: skip
    found = asked("drift", "drift")
    assert (found["Checks"]["value"], found["Found drift"]["value"]) == (3, 1)
    assert max(filter(None, found["drift/length_effect, largest"]["series"][0]["values"])) == 0.6
    assert not any("mean" in title for title in found)


def test_from_an_alert_it_is_a_click_to_the_rows_it_is_about(alerts, open_page):
    with served(alerts) as address:
        page = open_page(f"{address}/local/x/alerts?sort=timestamp")
        page.locator(".line", has_text="firing").first.click()
        page.get_by_role("link", name="The rows it is about").click()
        page.locator(".chip", has_text="model is b").wait_for()
        page.wait_for_url("**/local/x/traces?range=*")
