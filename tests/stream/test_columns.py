"""Columns grow with the keys that are logged: clashing types, many keys, keys of any spelling."""

from __future__ import annotations

import pytest
from lake_rows import demo

from llmwatch import StreamTable
from llmwatch.stream.compact import compact

pytestmark = pytest.mark.usefixtures("llmwatch_store")


def column_types(table: StreamTable) -> dict[str | None, str]:
    return {column.key: column.shown_type for column in table.columns if column.key is not None}


def test_a_new_key_becomes_a_column_of_the_same_table() -> None:
    table = StreamTable("demo/grow")
    rows = [{"a": 1}, {"a": 2, "b": "x"}, {"c": True}, {"d": [1]}, {"e": 0.5}]
    for row in rows:
        table.log(row)
        compact(table.project, table.name, seal=True)
    assert column_types(table) == {"a": "BIGINT", "b": "VARCHAR", "c": "BOOLEAN", "d": "JSON", "e": "DOUBLE"}
    assert [row.data for row in table.rows()] == rows
    assert table.query("SELECT a, b, c, d, e FROM grow ORDER BY ts").rows[1] == (2, "x", None, None, None)


def test_a_value_that_clashes_with_its_column_is_null_there_and_reads_back() -> None:
    table = StreamTable("demo/clash")
    rows = [{"x": value} for value in (1, "one", None, [1], {"a": 1}, True, 2)]
    for row in rows:
        table.log(row)
        compact(table.project, table.name, seal=True)
    assert [row.data for row in table.rows()] == rows
    seen = [row[0] for row in table.query("SELECT x FROM clash ORDER BY ts").rows]
    assert seen == [1, None, None, None, None, None, 2]


def test_an_integer_column_that_meets_floats_shows_them_without_rewriting_a_file() -> None:
    table = StreamTable("demo/wide")
    table.log([{"x": 1}, {"x": 2}])
    compact(table.project, table.name, seal=True)
    [first] = demo().lake("wide").glob("*.parquet")
    content = first.read_bytes()
    table.log([{"x": 2.5}, {"x": 3}])
    for _ in range(2):
        assert table.query("SELECT sum(x), typeof(any_value(x)) FROM wide").rows == [(8.5, "DOUBLE")]
        assert repr([row["x"] for row in table.rows()]) == "[1, 2, 2.5, 3]"
        compact(table.project, table.name, seal=True)
    assert first.read_bytes() == content


def test_six_hundred_keys_are_kept_and_five_hundred_are_columns() -> None:
    table = StreamTable("demo/many")
    row = {f"key{n}": n for n in range(600)}
    table.log(row)
    compact(table.project, table.name, seal=True)
    assert table.tail(1)[0].data == row
    assert len(column_types(table)) == 500
    assert table.query("SELECT (data->>'key599')::INT FROM many").rows == [(599,)]


ASKABLE = [
    "a b", 'q"x', "it's", "a.b", "a_b", "ünï", "日本", "質問", "回答", "😀", "*", "$", "#", "/", "~1", "[0]", "a\\b",
    "a\nb", "Foo", "k" * 300, "select", "--", "1", "_", "logged_id", "id", "_id",
]  # fmt: skip
ONLY_KEPT = ["", "foo", "FOO", "llmwatch id", "a\x00b"]


def test_keys_of_any_spelling_read_back_and_can_be_asked_for() -> None:
    table = StreamTable("demo/odd")
    row = {key: n for n, key in enumerate([*ASKABLE, *ONLY_KEPT])}
    row_id = table.add(row)
    for _ in range(2):
        [found] = table.rows()
        assert (found.id, found.data) == (row_id, row)
        names = ", ".join('"' + key.replace('"', '""') + '"' for key in ASKABLE)
        assert table.query(f"SELECT {names} FROM odd").rows == [tuple(range(len(ASKABLE)))]
        compact(table.project, table.name, seal=True)


def test_a_key_that_differs_in_case_only_is_not_mistaken_for_the_other() -> None:
    table = StreamTable("demo/cases")
    table.log({"Foo": 1, "foo": 2})
    assert list(column_types(table)) == ["Foo"]
    assert table.rows().to_arrow().column("Foo").to_pylist() == [1]
    assert table.query("SELECT data->>'foo' FROM cases").rows == [("2",)]
