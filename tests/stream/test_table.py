"""`StreamTable`: what it takes, what it gives back, and how it shows in a notebook."""

from __future__ import annotations

import pytest
from lake_rows import demo, say

from llmwatch import StreamTable
from llmwatch.errors import InvalidName, NotFound
from llmwatch.stream.compact import compact

pytestmark = pytest.mark.usefixtures("llmwatch_store")


def test_get_finds_a_row_in_the_spool_and_in_the_lake() -> None:
    table = StreamTable("demo/answers")
    row_id = table.add({"a": 1})
    assert row_id
    for _ in range(2):
        row = table.get(row_id)
        assert (row.id, row["a"], row.data) == (row_id, 1, {"a": 1})
        compact(table.project, table.name, seal=True)


@pytest.mark.parametrize("row_id", ["nothing", "", "' OR true --"])
def test_a_row_that_is_not_there_is_not_found(row_id: str) -> None:
    table = StreamTable("demo/answers")
    table.log({"a": 1})
    with pytest.raises(NotFound, match="demo/answers"):
        table.get(row_id)


def test_log_takes_a_row_rows_or_a_generator() -> None:
    table = StreamTable("demo/answers")
    table.log({"a": 1})
    table.log([{"a": 2}, {"a": 3}])
    table.log({"a": n} for n in (4, 5))
    assert [row["a"] for row in table.rows()] == [1, 2, 3, 4, 5]
    assert table.count == table.count() == 5


@pytest.mark.parametrize("row", [1, "text", [("a", 1)], None])
def test_what_is_no_mapping_is_no_row(row: object) -> None:
    with pytest.raises(TypeError):
        StreamTable("demo/answers").add(row)  # type: ignore[arg-type]


def test_an_empty_row_is_a_row() -> None:
    table = StreamTable("demo/answers")
    table.log({})
    compact(table.project, table.name, seal=True)
    assert [row.data for row in table.rows()] == [{}]


def test_a_finished_table_is_sealed_and_can_go_on() -> None:
    with StreamTable("demo/answers") as table:
        table.log({"a": 1})
    assert compact(demo(), "answers").rows == 1
    table.log({"a": 2})
    assert [row["a"] for row in table.rows()] == [1, 2]


def test_two_tables_of_a_name_are_one() -> None:
    StreamTable("demo/answers").log({"a": 1})
    StreamTable("answers", project_name="demo").log({"a": 2})
    assert [row["a"] for row in StreamTable("answers", project_name="demo", entity_name="local").rows()] == [1, 2]


@pytest.mark.parametrize("name", ["../x", "a/b/c/d", "", "_events", ".hidden", "a b"])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        StreamTable(name)


def test_the_schema_names_what_was_logged_with_its_types() -> None:
    table = StreamTable("demo/answers")
    table.log([{"n": 1, "x": 0.5, "s": "a", "ok": True, "tags": [1], "id": 7}])
    compact(table.project, table.name, seal=True)
    table.log({"n": 1.5})
    assert table.schema == {
        "n": "DOUBLE", "x": "DOUBLE", "s": "VARCHAR", "ok": "BOOLEAN", "tags": "JSON", "id": "BIGINT",
        "timestamp": "TIMESTAMPTZ",
    }  # fmt: skip


def test_calls_read_as_their_columns_none_where_one_is_unknown() -> None:
    say("row", "call", op_name="ask", inputs={"q": [1]}, output=None, cost_usd=0.5, started_at=1_700_000_000_000_000)
    for _ in range(2):
        [row] = StreamTable("demo/traces").rows()
        assert {"op_name": "ask", "inputs": {"q": [1]}, "cost_usd": 0.5, "id": "call"}.items() <= dict(row).items()
        assert row["prompt_tokens"] is None
        compact(demo(), "traces", seal=True)


# --- in a notebook -----------------------------------------------------------------------

HOSTILE = '<script>alert(1)</script>"\'&<img src=x onerror=alert(2)>'


def test_hostile_values_and_keys_are_text_in_a_notebook() -> None:
    table = StreamTable("demo/answers")
    table.log({"text": HOSTILE, HOSTILE: 1, "list": [HOSTILE], "dict": {HOSTILE: HOSTILE}})
    for html in (table._repr_html_(), table.rows()._repr_html_()):
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;" in html


def test_direction_and_control_characters_are_shown_in_a_notebook() -> None:
    table = StreamTable("demo/answers")
    table.log({"text": "a\u202eb\x07c\u2066d", "\u202ekey": 1})
    html = table._repr_html_()
    assert not {"\u202e", "\x07", "\u2066"} & set(html)
    assert "a\\u202eb" in html


def test_a_long_value_is_cut_and_many_rows_are_fifty() -> None:
    table = StreamTable("demo/answers")
    table.log([{"n": n, "text": "x" * 5000} for n in range(70)])
    html = table._repr_html_()
    assert html.count("<tr>") == 51
    assert len(html) < 30_000
    assert "50 of 70 rows" in html


def test_a_table_without_rows_says_how_to_log_one() -> None:
    assert ".log(" in StreamTable("demo/answers")._repr_html_()
