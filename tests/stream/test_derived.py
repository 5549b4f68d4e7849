"""What TokenCost found of rows shows in their columns, wherever rows and scores are at the moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lake_rows import demo, say

from llmwatch import StreamTable
from llmwatch.store import EVENTS
from llmwatch.stream import derived, events, merge
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small
from llmwatch.stream.query import Reader
from llmwatch.testing import temporary_store


@pytest.fixture(autouse=True)
def _store() -> Iterator[None]:
    with temporary_store():
        yield


@pytest.fixture
def reader() -> Iterator[Reader]:
    found = Reader(demo())
    yield found
    found.close()


def score(
    row_id: str, cost: float | None, table: str = "traces", name: str = "token_cost", **more: Any
) -> None:
    value = {"cost_usd": cost, "prompt_tokens": 7, "completion_tokens": 3, **more}
    events.add(demo(), kind="score", name=name, value=value, row_id=row_id, table=table)


def costs(reader: Reader, table: str = "traces") -> dict[str, float | None]:
    return dict(reader.execute(f"SELECT id, cost_usd FROM {table}", tables=(table,)).rows)


def into_lake(*tables: str) -> None:
    for table in tables:
        compact(demo(), table, seal=True)


PLACES = [(), ("traces",), (EVENTS,), ("traces", EVENTS)]


@pytest.mark.parametrize("moved", PLACES, ids=lambda moved: "-".join(moved) or "spool")
def test_a_score_shows_wherever_row_and_score_are(reader: Reader, moved: tuple[str, ...]) -> None:
    say("row", "r1", model="m")
    say("row", "r2")
    score("r1", 0.5)
    into_lake(*moved)
    found = reader.execute(
        "SELECT id, cost_usd, prompt_tokens, completion_tokens FROM traces ORDER BY id"
    ).rows
    assert found == [("r1", 0.5, 7, 3), ("r2", None, None, None)]


def test_a_score_shows_to_a_reader_that_looked_before_and_through_all_moves(reader: Reader) -> None:
    say("row", "r1")
    assert costs(reader) == {"r1": None}
    score("r1", 0.5)
    assert costs(reader) == {"r1": 0.5}
    for table in (EVENTS, "traces", EVENTS):
        into_lake(table)
        assert costs(reader) == {"r1": 0.5}
    say("row", "r2")
    into_lake("traces")
    merge_small(demo(), "traces", everything=True)
    assert costs(reader) == {"r1": 0.5, "r2": None}
    score("r2", 0.25)
    assert costs(reader) == {"r1": 0.5, "r2": 0.25}


def test_a_rows_own_value_comes_first(reader: Reader) -> None:
    say("row", "r1", cost_usd=1.0, prompt_tokens=99)
    score("r1", 0.5)
    found = reader.execute("SELECT cost_usd, prompt_tokens, completion_tokens FROM traces").rows
    assert found == [(1.0, 99, 3)]


def test_the_latest_score_counts_and_an_unknown_cost_is_null(reader: Reader) -> None:
    say("row", "r1")
    score("r1", None)
    assert costs(reader) == {"r1": None}
    assert reader.execute("SELECT prompt_tokens FROM traces").rows == [(7,)]
    score("r1", 0.5)
    score("r1", 0.75)
    assert costs(reader) == {"r1": 0.75}


def test_scores_of_others_and_of_other_tables_do_not_show(reader: Reader) -> None:
    say("row", "r1")
    score("r1", 0.5, name="another")
    score("r1", 0.5, table="elsewhere")
    assert costs(reader) == {"r1": None}
    score("r1", 0.25, table="")
    assert costs(reader) == {"r1": 0.25}


def test_what_is_no_number_does_no_harm(reader: Reader) -> None:
    say("row", "r1")
    events.add(demo(), kind="score", name="token_cost", value="dear", row_id="r1")
    events.add(
        demo(),
        kind="score",
        name="token_cost",
        value={"cost_usd": "dear", "prompt_tokens": 2},
        row_id="r1",
    )
    events.add(demo(), kind="score", name="token_cost", value=None, row_id="r1")
    for moved in PLACES:
        into_lake(*moved)
        assert reader.execute("SELECT cost_usd, prompt_tokens FROM traces").rows == [(None, 2)]


def test_merging_folds_scores_into_files_for_every_other_tool(reader: Reader) -> None:
    for n in range(3):
        say("row", f"r{n}")
        score(f"r{n}", n / 2)
        into_lake("traces", EVENTS)
    merge_small(demo(), "traces", everything=True)
    assert costs(reader) == {"r0": 0.0, "r1": 0.5, "r2": 1.0}
    import duckdb

    [file] = reader.snapshot("traces").rows
    with duckdb.connect() as other:
        held = other.execute(
            "SELECT id, cost_usd, prompt_tokens FROM read_parquet(?) ORDER BY id", [str(file.path)]
        )
        assert held.fetchall() == [("r0", 0.0, 7), ("r1", 0.5, 7), ("r2", 1.0, 7)]


def test_scores_that_came_after_a_merge_are_folded_by_the_next(reader: Reader) -> None:
    for n in range(2):
        say("row", f"r{n}")
        into_lake("traces")
    merge_small(demo(), "traces", everything=True)
    score("r0", 0.5)
    into_lake(EVENTS)
    assert costs(reader) == {"r0": 0.5, "r1": None}
    before = reader.snapshot("traces").rows
    merge_small(demo(), "traces", everything=True)
    assert costs(reader) == {"r0": 0.5, "r1": None}
    after = reader.snapshot("traces").rows
    assert [file.path for file in before] != [file.path for file in after]
    merge_small(demo(), "traces", everything=True)
    assert reader.execute("SELECT count(*) FROM traces").rows == [(2,)]
    assert [file.path for file in reader.snapshot("traces").rows] == [file.path for file in after]


def test_a_reader_forgets_scores_that_files_hold(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived, "_MANY", 1)
    for n in range(4):
        say("row", f"r{n}")
        score(f"r{n}", float(n))
        into_lake("traces", EVENTS)
        assert len(costs(reader)) == n + 1
    held = 'SELECT count(*) FROM "derived of traces"'
    assert reader._database.execute(held).fetchall() == [(4,)]
    merge_small(demo(), "traces", everything=True)
    assert costs(reader) == {f"r{n}": float(n) for n in range(4)}
    assert reader._database.execute(held).fetchall() == [(0,)]


def test_a_query_that_asks_for_no_derived_column_is_planned_without_the_join(
    reader: Reader,
) -> None:
    say("row", "r1", model="m", latency_ms=2.0)
    score("r1", 0.5)
    assert costs(reader) == {"r1": 0.5}

    def plan(sql: str) -> str:
        return str(reader._cursor(sql, ["traces"]).execute(f"EXPLAIN {sql}").fetchall()).lower()

    if "join" in plan("SELECT model, sum(latency_ms) FROM traces GROUP BY model"):
        pytest.skip("this DuckDB does not leave joins out")
    assert "join" in plan("SELECT sum(cost_usd) FROM traces")


def test_the_views_that_people_ask_have_it_too() -> None:
    with StreamTable("demo/people") as table:
        row_id = table.log({"cost_usd": "theirs", "n": 1})
        [row] = table.rows()
        del row_id
        score(row.id, 0.5, table="people")
        [answer] = table.query('SELECT cost_usd, _cost_usd FROM "people"').rows
        assert answer == ("theirs", 0.5)


@pytest.mark.parametrize(
    ("sql", "can"),
    [
        ("SELECT * FROM t", True),
        ("SELECT count(*) FROM t", False),
        ("SELECT COUNT(*), t.* FROM t", True),
        ("SELECT COLUMNS('cost.*') FROM t", True),
        ('SELECT "llmwatch Prompt_Tokens" FROM t', True),
        ("SELECT model FROM t", False),
    ],
)
def test_a_query_that_can_ask_for_them_is_told_apart(sql: str, can: bool) -> None:
    assert derived.named_in(sql) is can


def test_files_in_which_many_rows_were_scored_late_are_written_anew_without_a_merge(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2):
        say("row", f"r{n}")
        into_lake("traces")
    score("r0", 0.5)
    into_lake(EVENTS)
    assert costs(reader) == {"r0": 0.5, "r1": None}
    before = {file.path for file in reader.snapshot("traces").rows}
    merge.fold_late_scores(demo(), "traces")
    assert costs(reader) == {"r0": 0.5, "r1": None}
    assert {
        file.path for file in reader.snapshot("traces").rows
    } == before  # too few to be worth it
    monkeypatch.setattr(merge, "MANY_LATE", 1)
    merge.fold_late_scores(demo(), "traces")
    assert costs(reader) == {"r0": 0.5, "r1": None}
    after = {file.path for file in reader.snapshot("traces").rows}
    assert len(before & after) == 1
    assert len(after) == 2
