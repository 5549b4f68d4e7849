"""What panels ask, answered from rows whose numbers are known."""

from __future__ import annotations

import contextlib
import threading

import pytest

from llmwatch import StreamTable, clock
from llmwatch.board import app, asks, pages, searches, seeds
from llmwatch.board.choice import choose, resolve
from llmwatch.board.source import Source
from llmwatch.board.spec import Panel
from llmwatch.errors import InvalidBoard, QueryRefused
from llmwatch.stream import events
from llmwatch.stream.compact import compact
from llmwatch.stream.query import Reader

HOUR = 3_600_000_000
START = 1_790_000_000_000_000 // HOUR * HOUR


@pytest.fixture
def source(llmwatch_store):
    """60 rows, a minute apart: latency 1 to 60, every tenth of model b, every fifteenth an error."""
    table = StreamTable("bot/answers")
    for n in range(60):
        with clock.use(now=lambda n=n: START + n * 60_000_000):
            table.log(
                {
                    "latency_ms": float(n + 1),
                    "model": "b" if n % 10 == 0 else "a",
                    "ok": n % 15 != 0,
                    "text": f"row {n} 100%_sure",
                }
            )
    table.finish()
    reader = Reader(table.project, keep=True)
    yield Source(table.project, "answers", reader)
    reader.close()


def ask(source, kind, asked=None, **panel):
    choice = choose(source, {"range": f"{START}-{START + HOUR}", **(asked or {})})
    return asks.ask(source, Panel("p", kind, **panel), choice)


def test_counts_over_time_add_up_to_the_rows_by_group(source):
    answer = ask(source, "bars", measure="count", by="model")
    totals = {line["name"]: sum(line["values"]) for line in answer["series"]}
    assert totals == {"a": 54, "b": 6}


def test_groups_past_the_most_frequent_are_together_and_none_is_lost(source):
    answer = ask(source, "bars", measure="count", by="text", limit=3)
    assert sum(sum(line["values"]) for line in answer["series"]) == 60
    assert answer["series"][-1]["name"] == asks.OTHER


def test_a_single_number_has_the_time_before_beside_it_only_where_that_is_known(source):
    half = f"{START + HOUR // 2}-{START + HOUR}"
    answer = ask(source, "number", {"range": half}, measure="avg(latency_ms)")
    assert (answer["value"], answer["before"]) == (45.5, 15.5)
    assert ask(source, "number", measure="avg(latency_ms)")["before"] is None


def test_a_distribution_counts_every_row_once(source):
    answer = ask(source, "distribution", column="latency_ms")
    assert sum(answer["counts"]) == 60
    assert answer["stats"]["p50"] == 30.5


def test_a_heat_map_counts_every_row_once(source):
    answer = ask(source, "heatmap", column="latency_ms")
    assert sum(cell[2] for cell in answer["cells"]) == 60


def test_a_top_list_is_ranked_by_its_measure(source):
    items = ask(source, "top", column="model", measure="max(latency_ms)")["items"]
    assert [(item["name"], item["value"]) for item in items] == [("a", 60.0), ("b", 51.0)]


def test_a_column_that_is_not_there_is_told_with_the_nearest(source):
    with pytest.raises(InvalidBoard, match="did you mean 'latency_ms'"):
        ask(source, "distribution", column="latency")


@pytest.mark.parametrize(
    ("chip", "rows"),
    [
        ({"column": "model", "op": "=", "value": "b"}, 6),
        ({"column": "model", "op": "!=", "value": "b"}, 54),
        ({"column": "latency_ms", "op": ">", "value": "50"}, 10),
        ({"column": "model", "op": "in", "value": ["a", "b"]}, 60),
        ({"column": "text", "op": "contains", "value": "100%_"}, 60),
        ({"column": "text", "op": "contains", "value": "1_0%"}, 0),
        ({"column": "model", "op": "=", "value": "b' OR true --"}, 0),
        ({"column": "ok", "op": "=", "value": False}, 4),
    ],
)
def test_a_chip_chooses_the_rows_it_says(source, chip, rows):
    assert ask(source, "rows", {"filters": [chip]})["count"] == rows


def test_a_condition_a_person_wrote_chooses_rows_and_may_do_nothing_else(source):
    assert ask(source, "rows", {"where": "latency_ms > 50 AND model = 'a'"})["count"] == 9
    for attack in (
        "1) OR (1=1",
        "true; DROP TABLE x",
        "latency_ms IN (SELECT * FROM read_csv('/etc/passwd'))",
        "true) UNION SELECT (1",
    ):
        with pytest.raises(QueryRefused):
            ask(source, "rows", {"where": attack})


def test_measures_with_conditions_pass_the_same_guard(source):
    assert ask(source, "number", measure="share(ok = false)")["value"] == pytest.approx(4 / 60)
    with pytest.raises(QueryRefused):
        ask(
            source,
            "number",
            measure="count(latency_ms IN (SELECT 1 FROM read_text('/etc/passwd')))",
        )


def test_a_text_is_found_wherever_it_is_with_its_signs_taken_as_they_are(source):
    assert ask(source, "rows", {"search": "row 7 "})["count"] == 1
    assert ask(source, "rows", {"search": "100%_SURE"})["count"] == 0, "capitals mean capitals"
    assert ask(source, "rows", {"search": "100%_sure"})["count"] == 60


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("sort", ["-timestamp", "timestamp", "-latency_ms", "model"])
def test_pages_put_together_are_all_rows_in_order_without_one_twice(source, sort, compacted):
    if compacted:
        compact(source.project, "answers")
        source.reader.hold("answers")
    orders, found = pages.Orders(), []
    for offset in range(0, 60, 7):
        page = pages.page(
            source,
            orders,
            choose(source, {"range": "all"}),
            {"sort": sort, "offset": offset, "limit": 7},
        )
        found += page.rows
        assert page.total == 60
    assert len({row[0] for row in found}) == 60
    place = page.columns.index(
        {"timestamp": "_at", "latency_ms": "latency_ms", "model": "model"}[sort.lstrip("-")]
    )
    values = [row[place] for row in found]
    assert values == sorted(values, reverse=sort.startswith("-"))


def test_rows_of_one_moment_are_each_on_one_page(llmwatch_store):
    table = StreamTable("bot/burst")
    with clock.use(now=lambda: START):
        table.log([{"n": n} for n in range(25)])
    reader = Reader(table.project, keep=True)
    source, orders = Source(table.project, "burst", reader), pages.Orders()
    found = [
        row[0]
        for offset in range(0, 25, 4)
        for row in pages.page(
            source, orders, choose(source, {"range": "all"}), {"offset": offset, "limit": 4}
        ).rows
    ]
    reader.close()
    assert len(found) == len(set(found)) == 25


def searched(source, text, **asked):
    """Pages of a search until it is done."""
    while True:
        choice = choose(source, {"range": "all", "search": text})
        page = pages.page(source, pages.Orders(), choice, asked)
        if page.progress.done:
            return page


def test_a_search_page_shows_what_was_found_and_tells_how_many_rows_were_looked_through(source):
    page = searched(source, "sure", limit=5)
    assert (len(page.rows), page.total) == (5, 60)
    assert (page.progress.searched, page.progress.of) == (60, 60)
    assert searched(source, "sure", offset=58, limit=5).total == 60


def test_a_search_that_goes_on_shows_its_newest_rows_and_says_that_it_goes_on(source, monkeypatch):
    monkeypatch.setattr(searches, "_SLICE", 10)
    told = threading.Event()
    tell = searches.Search._tell
    monkeypatch.setattr(
        searches.Search, "_tell", lambda self, n: tell(self, n) or told.wait(10) or None
    )
    choice = choose(source, {"range": "all", "search": "sure"})
    page = pages.page(source, pages.Orders(), choice, {"limit": 3})
    latency = page.columns.index("latency_ms")
    assert [row[latency] for row in page.rows] == [60.0, 59.0, 58.0]
    assert (page.total, page.progress.searched, page.progress.of) == (10, 10, 60)
    told.set()
    assert searched(source, "sure", limit=3).total == 60


def test_the_condition_of_a_search_holds_for_all_that_it_found_at_each_step(source, monkeypatch):
    monkeypatch.setattr(searches, "_SLICE", 10)
    monkeypatch.setattr(searches, "_SHOW_S", 0.0)
    tell, seen = searches.Search._tell, []

    def counted(found):
        chosen, held = found.condition, f"SELECT count(*) FROM {found.table}"
        count = f'SELECT count(*) FROM hot."answers" WHERE {chosen}'
        seen.append((source.execute(count).rows[0][0], source.execute(held).rows[0][0]))

    monkeypatch.setattr(searches.Search, "_tell", lambda self, n: (counted(self), tell(self, n)))
    # in the spans of 10, 20 and 30 rows from the newest: none, ten and one
    search = source.searches.begin(choose(source, {"range": "all", "search": "row 3"}))
    search.wait()
    counted(search)
    assert seen == [(0, 0), (10, 10), (11, 11), (11, 11)]


def test_the_first_rows_are_shown_before_more_is_looked_for(source, monkeypatch):
    monkeypatch.setattr(searches, "_SLICE", 10)
    monkeypatch.setattr(searches, "_SHOW_S", 10.0)
    monkeypatch.setattr(searches, "WAIT_S", 30.0)
    choice = choose(source, {"range": "all", "search": "sure"})
    page = pages.page(source, pages.Orders(), choice, {"limit": 50})
    assert (page.total, page.progress.searched) == (10, 10)
    source.searches.close()


def test_rows_that_come_after_a_search_are_found_by_it(source):
    assert searched(source, "late words", limit=5).total == 0
    StreamTable("bot/answers").log({"text": "late words"})
    assert searched(source, "late words", limit=5).total == 1


def test_a_page_and_its_panels_share_one_search(source):
    searched(source, "sure", limit=5)
    ask(source, "rows", {"range": "all", "search": "sure"}, where="model = 'a'")
    assert len(source.searches._recent) == 1


def test_rows_are_chosen_by_what_was_said_about_them(source):
    row_id = pages.page(
        source, pages.Orders(), choose(source, {"range": "all"}), {"limit": 1}
    ).rows[0][0]
    events.add(
        source.project, kind="feedback", name="rating", value=5, row_id=row_id, table="answers"
    )
    events.add(
        source.project, kind="label", name="resolved", value="yes", row_id=row_id, table="answers"
    )
    for column, value in (("feedback.rating", 5), ("label.resolved", "yes")):
        chips = [{"column": column, "op": "=", "value": value}]
        assert ask(source, "rows", {"filters": chips})["count"] == 1
    assert (
        ask(source, "rows", {"filters": [{"column": "label.resolved", "op": "null"}]})["count"]
        == 59
    )
    assert (
        ask(source, "rows", {"where": '"llmwatch id" IN (SELECT row_id FROM feedback)'})["count"]
        == 1
    )


def test_kept_files_and_the_tail_answer_as_one_while_rows_come_and_files_merge(source):
    for wave in range(4):
        StreamTable("bot/answers").log({"latency_ms": 1.0, "model": "c"})
        if wave % 2:
            from llmwatch.stream import spool

            spool.close_all()
            compact(source.project, "answers")
            source.reader.hold("answers")
        counted = asks.ask(
            source, Panel("p", "rows"), choose(source, {"range": "all"}).between(None, None)
        )["count"]
        assert counted == 61 + wave


def test_an_empty_table_answers_every_seed_without_an_error(llmwatch_store):
    table = StreamTable("bot/empty")
    table.finish()
    reader = Reader(table.project, keep=True)
    for seed in seeds.SEEDS:
        name = seed if seed in ("alerts", "drift") else "empty"  # these are of tables of their own
        source = Source(table.project, name, reader)
        board = seeds.make(seed, source)
        for panel in board.panels:
            with contextlib.suppress(InvalidBoard):  # a column that an empty table has not
                asks.ask(source, panel, choose(source, {"range": "24h"}))
    reader.close()


@pytest.mark.parametrize("asked", ["yesterday", "7w", "-1", "1-2-3"])
def test_a_range_that_is_none_says_how_to_write_one(source, asked):
    with pytest.raises(InvalidBoard, match="15m"):
        resolve(source, asked)


def test_charts_of_a_search_that_goes_on_are_of_what_was_found_and_the_head_says_so(
    source, monkeypatch
):
    monkeypatch.setattr(searches, "_SLICE", 10)
    told = threading.Event()
    tell = searches.Search._tell
    monkeypatch.setattr(
        searches.Search, "_tell", lambda self, n: tell(self, n) or told.wait(10) or None
    )
    asked = {"range": "all", "search": "sure"}
    search = source.searches.begin(choose(source, asked))
    with search._changed:
        search._changed.wait_for(lambda: search.progress.searched, 10)
    choice, head = app._chosen(source, asked)
    assert (head["searched"], head["of"]) == (10, 60)
    assert asks.ask(source, Panel("p", "rows"), choice)["count"] == 10
    told.set()
    search.wait()
    choice, head = app._chosen(source, asked)
    assert head["searched"] == head["of"] == 60
    assert asks.ask(source, Panel("p", "rows"), choice)["count"] == 60
