"""Who leaves is not worked for any longer: their queries end, their searches rest, and nobody else's do."""

from __future__ import annotations

import asyncio
import threading

import duckdb
import httpx
import pytest
from conftest import served

from llmwatch import StreamTable, settings
from llmwatch.board import app, searches
from llmwatch.board.choice import choose
from llmwatch.board.desk import Desk

ENDLESS = "SELECT count(*) FROM range(1000000000000)"
LONG = 20.0


@pytest.fixture
def desk(llmwatch_store):
    StreamTable("x/t").log([{"text": f"row {n}"} for n in range(60)])
    desk = Desk(llmwatch_store, settings.current())
    yield desk
    desk.close()


class Endless:
    """Work that only an interrupt ends; it tells that it began, and how it ended."""

    def __init__(self) -> None:
        self.began, self.ended = threading.Event(), threading.Event()
        self.error: type[BaseException] | None = None

    def __call__(self, source) -> None:
        self.began.set()
        try:
            source.execute(ENDLESS)
        except BaseException as error:
            self.error = type(error)
            raise
        finally:
            self.ended.set()


def test_a_question_that_is_left_ends_its_query_and_the_thread_answers_the_next(desk):
    source, work = desk.source("local", "x", "t"), Endless()

    async def left_then_asked():
        asking = asyncio.ensure_future(desk.run(work, source, reader=source.reader))
        await asyncio.to_thread(work.began.wait, LONG)
        asking.cancel()
        assert await asyncio.to_thread(work.ended.wait, LONG)
        asked = [desk.run(source.execute, "SELECT 1", reader=source.reader) for _ in range(24)]
        return await asyncio.gather(*asked)

    answers = asyncio.run(left_then_asked())
    assert work.error is duckdb.InterruptException
    assert {answer.rows[0] for answer in answers} == {(1,)}


def test_between_two_queries_a_question_that_is_left_asks_no_more(desk):
    source, began, go_on = desk.source("local", "x", "t"), threading.Event(), threading.Event()
    refused: list[bool] = []

    def work() -> None:
        began.set()
        go_on.wait(LONG)
        with pytest.raises(duckdb.InterruptException):
            source.execute("SELECT 1")
        refused.append(True)

    async def left_between():
        asking = asyncio.ensure_future(desk.run(work, reader=source.reader))
        await asyncio.to_thread(began.wait, LONG)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        go_on.set()

    asyncio.run(left_between())
    desk._threads.shutdown(wait=True)
    assert refused == [True]


def test_a_browser_that_leaves_ends_what_it_asked_for_also_a_page_of_rows(
    llmwatch_store, monkeypatch
):
    StreamTable("x/t").log({"n": 1})
    work = Endless()
    monkeypatch.setattr(app, "_page_of", lambda desk, source, asked: work(source))
    with served(llmwatch_store) as address, httpx.Client(base_url=address) as client:
        client.get("/api/local/x/t")  # so that the page is all that is waited for
        with pytest.raises(httpx.ReadTimeout):
            client.post("/api/local/x/t/rows", json={}, timeout=httpx.Timeout(LONG, read=0.5))
        assert work.began.wait(LONG)
        assert work.ended.wait(LONG)


def test_a_search_rests_when_nobody_asks_and_goes_on_when_somebody_does(desk, monkeypatch):
    monkeypatch.setattr(searches, "_SLICE", 10)
    monkeypatch.setattr(searches, "PATIENCE_S", 0.0)
    source = desk.source("local", "x", "t")
    choice = choose(source, {"range": "all", "search": "row"})
    search = source.searches.begin(choice)
    with search._changed:
        search._changed.wait_for(lambda: search.progress.searched > 0, LONG)
    assert search.progress.searched == 10
    search.wait(None, LONG)
    assert search.progress.done
    assert source.searches.begin(choice) is search


def test_a_search_makes_way_for_the_next_until_somebody_asks_for_it(desk, monkeypatch):
    monkeypatch.setattr(searches, "_SLICE", 10)
    monkeypatch.setattr(searches, "PATIENCE_S", 1000.0)
    go_on, add = threading.Event(), searches.Search._add

    def once_let(search, part):
        add(search, part)
        go_on.wait(LONG)

    monkeypatch.setattr(searches.Search, "_add", once_let)
    source = desk.source("local", "x", "t")
    first = source.searches.begin(choose(source, {"range": "all", "search": "row"}))
    second = source.searches.begin(choose(source, {"range": "all", "search": "row 1"}))
    go_on.set()
    second.wait(None, LONG)
    assert second.progress.done
    assert not first.progress.done
    first.wait(None, LONG)
    assert first.progress.done


def test_what_a_search_was_looking_through_when_it_made_way_is_looked_through_anew(
    desk, monkeypatch
):
    monkeypatch.setattr(searches, "_SLICE", 10)
    looking, go_on, add = threading.Event(), threading.Event(), searches.Search._add

    def let(search, part):
        looking.set()
        go_on.wait(LONG)
        add(search, part)

    monkeypatch.setattr(searches.Search, "_add", let)
    source = desk.source("local", "x", "t")
    choice = choose(source, {"range": "all", "search": "row"})
    first = source.searches.begin(choice)
    assert looking.wait(LONG)
    second = source.searches.begin(choose(source, {"range": "all", "search": "row 1"}))
    go_on.set()
    second.wait(None, LONG)
    assert first.progress.searched == 0, "it was interrupted"
    first.wait(None, LONG)
    found = source.execute(f'SELECT count(*) FROM keyed."t" WHERE {first.condition}')
    assert found.rows == [(60,)]
    assert source.execute("SELECT 1").rows == [(1,)], "only the search was interrupted"


def test_a_search_whose_place_others_took_tells_who_waits_to_ask_again(desk, monkeypatch):
    monkeypatch.setattr(searches, "_SLICE", 10)
    monkeypatch.setattr(searches, "PATIENCE_S", 0.0)
    source = desk.source("local", "x", "t")
    first = source.searches.begin(choose(source, {"range": "all", "search": "row"}))
    for n in range(searches.MOST):
        source.searches.begin(choose(source, {"range": "all", "search": f"row {n}"}))
    with pytest.raises(searches.LlmwatchError, match="ask again"):
        first.wait(None, LONG)
    again = choose(source, {"range": "all", "search": "row"})
    assert source.searches.begin(again) is not first
