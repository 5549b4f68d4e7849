"""A person's SQL is one SELECT over the tables it was given: it changes nothing and reads no file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from lake_rows import demo

from llmwatch import StreamTable
from llmwatch.errors import QueryRefused
from llmwatch.stream.compact import compact


@pytest.fixture
def table(llmwatch_store: object) -> StreamTable:
    table = StreamTable("demo/answers")
    for n in range(4):
        table.log({"user": f"u{n % 2}", "n": n, "tags": ["a", f"b{n}"], "meta": {"lang": "en", "deep": {"x": n}}})
        if n == 1:
            compact(table.project, table.name, seal=True)
    row_id = table.rows().ids()[0]
    table.say("label", "good", True, row_id=row_id)
    return table


STATEMENTS = [
    "COPY answers TO 'out.csv'",
    "COPY (SELECT 1) TO 'out.parquet'",
    "COPY answers FROM 'in.csv'",
    "ATTACH 'other.db'",
    "DETACH memory",
    "USE memory",
    "EXPORT DATABASE 'dir'",
    "IMPORT DATABASE 'dir'",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '1GB'",
    "SET search_path = 'main'",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "CREATE SECRET s (TYPE s3)",
    "CREATE SCHEMA s",
    "DROP VIEW answers",
    "ALTER TABLE answers ADD COLUMN x INT",
    "DELETE FROM answers",
    "UPDATE answers SET n = 0",
    "INSERT INTO answers VALUES (1)",
    "TRUNCATE answers",
    "MERGE INTO answers USING answers AS o ON true WHEN MATCHED THEN DELETE",
    "CALL pragma_version()",
    "CALL read_csv('/etc/passwd')",
    "EXPLAIN SELECT * FROM answers",
    "EXPLAIN ANALYZE SELECT * FROM answers",
    "VACUUM",
    "ANALYZE",
    "CHECKPOINT",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "COMMENT ON VIEW answers IS 'x'",
    "DESCRIBE answers",
    "SHOW TABLES",
    "SUMMARIZE answers",
    "SELECT * FROM (DESCRIBE answers)",
    "SELECT * FROM (SHOW ALL TABLES)",
    "WITH x AS (DELETE FROM answers RETURNING *) SELECT * FROM x",
    "WITH x AS (INSERT INTO answers VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE answers SET n = 1 RETURNING *) SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO 'out.csv') SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO 'out.csv' (RETURN_STATS)) SELECT 1",
    "SELECT * FROM (WITH x AS (COPY (SELECT 1) TO 'out.csv') SELECT * FROM x)",
    "SELECT 1; DROP VIEW answers",
    "SELECT 1; SELECT 2",
    "",
    ";",
    "nonsense",
    "SELECT * INTO t FROM answers",
]

FILE_FUNCTIONS = [
    "read_csv('{file}')", "read_csv_auto('{file}')", "sniff_csv('{file}')", "read_text('{file}')",
    "read_blob('{file}')", "glob('{file}')", "read_json('{file}')", "read_json_auto('{file}')",
    "read_ndjson('{file}')", "read_ndjson_objects('{file}')", "read_json_objects('{file}')", "READ_TEXT('{file}')",
    "read_parquet('{file}')", "parquet_scan('{file}')", "parquet_metadata('{file}')", "parquet_schema('{file}')",
    "parquet_file_metadata('{file}')", "parquet_kv_metadata('{file}')", "system.main.read_text('{file}')",
    "main.read_text('{file}')", "query('SELECT 1')", "query_table('answers')", "query_table(['answers'])",
    "duckdb_settings()", "duckdb_tables()", "duckdb_secrets()", "duckdb_views()", "duckdb_logs()", "pragma_version()",
    "pragma_database_list()", "pragma_show('answers')", "which_secret('{file}', 's3')", "arrow_scan(1, 2, 3)",
    "pandas_scan(1)", "python_map_function()", "seq_scan('answers')", "checkpoint()", "force_checkpoint()",
    "sql_auto_complete('SEL')", "json_execute_serialized_sql('x')", "from_substrait('x')", "postgres_scan('x','y','z')",
    "sqlite_scan('{file}', 't')", "delta_scan('{file}')", "iceberg_scan('{file}')", "test_all_types()",
    "enable_logging()", "from_json_serialized('x')", "duckdb_functions()", "read_duckdb('{file}')", "st_read('{file}')",
]  # fmt: skip

TABLES = [
    "'{file}'", '"{file}"', "'{file}.parquet'", '"s3://bucket/file.parquet"', "information_schema.tables",
    "main.answers", "logged.answers", "keyed.answers", "memory.main.answers", "system.main.duckdb_tables",
    "pg_catalog.pg_class", "duckdb_tables", "sqlite_master", "pg_class", '"tail of answers"', '"tail of _events"',
    "pragma_database_list", "other_table", "_events", "said.events", "temp.fresh", "table",
]  # fmt: skip

WRAPPINGS = [
    "SELECT * FROM {source}",
    "FROM {source}",
    "TABLE {source}",
    "SELECT (SELECT count(*) FROM {source})",
    "SELECT n FROM answers WHERE n IN (SELECT 1 FROM {source})",
    "SELECT n FROM answers WHERE EXISTS (FROM {source})",
    "SELECT n FROM answers UNION ALL SELECT 1 FROM {source}",
    "SELECT n FROM answers EXCEPT SELECT 1 FROM {source}",
    "WITH x AS (SELECT * FROM {source}) SELECT * FROM x",
    "WITH x AS MATERIALIZED (SELECT * FROM {source}) SELECT 1",
    "WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM x, {source} WHERE a < 2) SELECT * FROM x",
    "SELECT * FROM answers, LATERAL (SELECT n FROM {source}) AS l",
    "SELECT * FROM answers JOIN {source} ON true",
    "SELECT * FROM answers POSITIONAL JOIN {source}",
    "SELECT n FROM answers ORDER BY (SELECT count(*) FROM {source})",
    "SELECT n FROM answers GROUP BY n HAVING n > (SELECT count(*) FROM {source})",
    "SELECT n FROM answers LIMIT (SELECT count(*) FROM {source})",
    "SELECT sum(n) OVER (PARTITION BY (SELECT count(*) FROM {source})) FROM answers",
    "SELECT sum(n) FILTER (n > (SELECT count(*) FROM {source})) FROM answers",
    "SELECT list_transform([1], lambda x: x + (SELECT count(*) FROM {source}))",
    "SELECT CASE WHEN true THEN (SELECT count(*) FROM {source}) END",
    "SELECT [(SELECT count(*) FROM {source})], {{'a': (SELECT count(*) FROM {source})}}",
    "SELECT * FROM unnest((SELECT [count(*)] FROM {source}))",
    "SELECT n FROM answers QUALIFY row_number() OVER () > (SELECT count(*) FROM {source})",
    "SELECT DISTINCT ON ((SELECT count(*) FROM {source})) n FROM answers",
    "PIVOT (SELECT * FROM {source}) ON a USING count(*)",
    "SELECT * FROM (VALUES ((SELECT count(*) FROM {source}))) AS v(x)",
]


def refused(table: StreamTable, sql: str) -> None:
    with pytest.raises(QueryRefused):
        table.query(sql)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_statement_that_is_not_one_select_is_refused(table: StreamTable, sql: str) -> None:
    refused(table, sql)
    assert table.count == 4


def test_no_table_function_reads_files_or_settings(table: StreamTable, tmp_path: Path) -> None:
    (file := tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for function in FILE_FUNCTIONS:
        for sql in ("SELECT * FROM {0}", "SELECT n FROM answers, LATERAL {0}", "SELECT (FROM {0})"):
            refused(table, sql.format(function.format(file=file)))


def test_only_the_tables_given_can_be_named(table: StreamTable, tmp_path: Path) -> None:
    StreamTable("demo/other_table").log({"x": 1})
    (file := tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for name in TABLES:
        refused(table, f"SELECT * FROM {name.format(file=file)}")


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_file_is_refused_wherever_it_is_named(table: StreamTable, tmp_path: Path, wrapping: str) -> None:
    (file := tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for source in (f"read_csv('{file}')", f"'{file}'", f'"{file}"', f"glob('{tmp_path}/*')", "duckdb_settings()"):
        refused(table, wrapping.format(source=source))


def test_every_table_function_that_duckdb_has_is_refused_or_known(table: StreamTable) -> None:
    known = {"range", "generate_series", "unnest", "json_each", "json_tree", "repeat"}
    names = duckdb.connect().execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma')"
    )
    for (name,) in names.fetchall():
        if name not in known:
            refused(table, f'SELECT * FROM "{name}"(1)')


@pytest.mark.parametrize("call", ["getenv('HOME')", "current_setting('temp_directory')", "getvariable('x')", "nextval('s')"])
def test_functions_that_tell_of_the_machine_are_refused(table: StreamTable, call: str) -> None:
    refused(table, f"SELECT {call}")
    refused(table, f"SELECT n FROM answers ORDER BY {call}")
    refused(table, f"SELECT list_transform([1], lambda x: {call})")


def test_a_common_table_cannot_be_named_like_a_file_or_a_system_table(table: StreamTable, tmp_path: Path) -> None:
    (file := tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for name in (str(file), "duckdb_settings", "sqlite_master", "pg_class"):
        refused(table, f'SELECT * FROM "{name}", (WITH "{name}" AS (SELECT 1) SELECT 2)')


@pytest.mark.parametrize(
    "condition", ["true) OR (SELECT count(*) FROM read_text('/etc/hostname')) > 0 --", "n IN (FROM '/etc/passwd')", "1; DROP VIEW answers"]
)
def test_a_filter_may_be_no_more_than_a_select_may(table: StreamTable, condition: str) -> None:
    with pytest.raises(QueryRefused):
        list(table.rows().filter(condition))


def test_a_name_given_to_sort_or_filter_is_only_a_name(table: StreamTable) -> None:
    for rows in (table.rows().sort('n"; DROP VIEW answers; --'), table.rows().filter(**{'n" OR "n': 1})):
        with pytest.raises((duckdb.Error, QueryRefused, KeyError)):
            list(rows)
    assert table.count == 4


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT count(*) FROM answers", [(4,)]),
        ("FROM answers SELECT max(n)", [(3,)]),
        ('SELECT "user", sum(n) FROM answers GROUP BY "user" ORDER BY 1', [("u0", 2), ("u1", 4)]),
        ("SELECT sum(n) FROM Answers;", [(6,)]),
        ("WITH x AS (SELECT n FROM answers), y AS (SELECT n + 1 AS m FROM x) SELECT sum(m) FROM y", [(10,)]),
        ("WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t WHERE a < 4) SELECT sum(a) FROM t", [(10,)]),
        ("SELECT sum(n) OVER (ORDER BY n) FROM answers ORDER BY n", [(0,), (1,), (3,), (6,)]),
        ("SELECT n FROM answers QUALIFY row_number() OVER (ORDER BY n DESC) = 1", [(3,)]),
        ("SELECT count(*) FROM (SELECT unnest(from_json(tags, '[\"VARCHAR\"]')) FROM answers)", [(8,)]),
        ("SELECT meta->>'lang', (meta->'deep'->>'x')::INT FROM answers WHERE n = 3", [("en", 3)]),
        ("SELECT data->>'$.meta.lang' FROM answers WHERE n = 0", [("en",)]),
        ("SELECT e.value FROM answers, json_each(answers.tags) AS e WHERE n = 1 ORDER BY e.id", [('"a"',), ('"b1"',)]),
        ("SELECT count(*) FROM range(5)", [(5,)]),
        ("SELECT sum(x) FROM unnest([1, 2]) AS t(x)", [(3,)]),
        ("SELECT list_transform([1, 2], lambda x: x + 1)", [([2, 3],)]),
        ("SELECT a.n FROM answers AS a JOIN answers AS b ON a.n = b.n + 2 ORDER BY 1", [(2,), (3,)]),
        ("SELECT n FROM answers UNION SELECT 9 ORDER BY 1", [(0,), (1,), (2,), (3,), (9,)]),
        ("SELECT label.name FROM labels AS label JOIN answers ON row_id = answers.id", [("good",)]),
        ("SELECT count(*) FROM events, feedback, scores", [(0,)]),
        ("SELECT 'read_csv(''/etc/passwd'')' AS text -- not a call", [("read_csv('/etc/passwd')",)]),
        ("VALUES (1), (2)", [(1,), (2,)]),
    ],
)  # fmt: skip
def test_ordinary_selects_work(table: StreamTable, sql: str, answer: list[tuple[object, ...]]) -> None:
    assert table.query(sql).rows == answer


def test_a_refusal_names_the_tables_there_are(table: StreamTable) -> None:
    with pytest.raises(QueryRefused, match="answers, events, feedback, labels, scores"):
        table.query("SELECT * FROM answer")
    assert demo().tables() == ["answers"]
