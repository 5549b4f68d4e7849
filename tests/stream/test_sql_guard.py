"""What a person's SQL may be: one SELECT over the table and its events; every way to a file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmwatch.errors import QueryRefused
from llmwatch.store import Store
from llmwatch.stream.table import StreamTable

REFUSED = [
    "COPY t TO '{file}'",
    "COPY (SELECT * FROM t) TO '{file}'",
    "ATTACH '{file}' AS other",
    "EXPORT DATABASE '{file}'",
    "PRAGMA database_list",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '1GB'",
    "CREATE TABLE x AS SELECT 1",
    "DROP VIEW t",
    "INSERT INTO t SELECT * FROM t",
    "CALL pragma_version()",
    "SELECT 1; SELECT 2",
    "SHOW TABLES",
    "DESCRIBE t",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM information_schema.tables",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
]
FILES = [
    "read_csv('{file}')",
    "read_csv_auto('{file}')",
    "read_json('{file}')",
    "read_text('{file}')",
    "read_blob('{file}')",
    "read_parquet('{file}')",
    "parquet_scan('{file}')",
    "parquet_metadata('{file}')",
    "glob('{file}')",
    "query('SELECT 1')",
    "query_table('t')",
    "'{file}'",
    '"{file}"',
]
AROUND = [
    "SELECT * FROM {it}",
    "FROM {it}",
    "SELECT (SELECT count(*) FROM {it})",
    "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM {it})",
    "WITH c AS (SELECT * FROM {it}) SELECT * FROM c",
    "SELECT 1 UNION ALL SELECT 1 FROM {it}",
    "SELECT * FROM t, LATERAL (SELECT * FROM {it}) AS l",
    "SELECT * FROM t JOIN {it} AS j ON true",
    "SELECT list(x) FROM (SELECT 1 AS x FROM {it})",
]


@pytest.fixture
def table(llmwatch_store: Store) -> StreamTable:
    made = StreamTable("local/p/t")
    made.log({"a": 1})
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_one_select_over_the_views_is_refused(
    table: StreamTable, file: Path, sql: str
) -> None:
    with pytest.raises(QueryRefused):
        table.query(sql.format(file=file))


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("it", FILES)
def test_a_file_cannot_be_reached_from_anywhere_in_a_query(
    table: StreamTable, file: Path, around: str, it: str
) -> None:
    with pytest.raises(QueryRefused):
        table.query(around.format(it=it.format(file=file)))


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT * FROM "{file}", (WITH "{file}" AS (SELECT 1) SELECT * FROM "{file}")',
        'WITH "{file}" AS (SELECT * FROM "{file}") SELECT * FROM "{file}"',
        'WITH c AS (SELECT * FROM "{file}"), "{file}" AS (SELECT 1) SELECT * FROM c',
        "SELECT * FROM sqlite_master, (WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master)",
    ],
)
def test_a_table_of_the_query_s_own_cannot_stand_in_for_a_file(
    table: StreamTable, file: Path, sql: str
) -> None:
    with pytest.raises(QueryRefused):
        table.query(sql.format(file=file))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t",
        "FROM t SELECT a",
        "WITH c AS (SELECT a FROM t) SELECT a FROM c",
        "SELECT a FROM t UNION SELECT a FROM T",
        "SELECT x.a FROM t AS x JOIN t AS y USING (a)",
        "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1) SELECT a FROM n",
        "SELECT a FROM t WHERE a IN (SELECT range FROM range(5))",
    ],
)
def test_plain_questions_are_answered(table: StreamTable, sql: str) -> None:
    assert table.query(sql).rows == [(1,)]
