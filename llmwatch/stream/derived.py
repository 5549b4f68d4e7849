"""What TokenCost found of rows, in the columns that rows have for it: joined when they are read, folded in when files merge.

A row's own value comes before a derived one. A score names a cost once: what a row was given by a merge stays, and what a
later score says of it is in `scores`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.stream.columns import EVENT, Column, literal, quoted
from llmwatch.stream.duck import have_columns, read_files

if TYPE_CHECKING:
    import duckdb

    from llmwatch.stream.snapshot import DataFile, Snapshot

SCORE = "token_cost"
COLUMNS = {"cost_usd": "DOUBLE", "prompt_tokens": "BIGINT", "completion_tokens": "BIGINT"}
_MANY = 20_000
"""So many scores in memory are looked through for those that files hold by now."""
_NAMED = re.compile("|".join(COLUMNS) + r"|(?<!count\()\*|columns\(", re.IGNORECASE)


def named_in(sql: str) -> bool:
    """Whether a query can ask for a derived column.

    >>> named_in("SELECT sum(cost_usd) FROM traces"), named_in("SELECT model, count(*) FROM traces")
    (True, False)
    """
    return _NAMED.search(sql) is not None


class Derived:
    """The scores of one table's rows that no file holds, for one reader; read from the lake once, from the spool's tail anew."""

    def __init__(self, database: duckdb.DuckDBPyConnection, table: str) -> None:
        self._database, self._table = database, table
        self._name = quoted(f"derived of {table}")
        self._tail = ""
        self._seen: frozenset[Path] = frozenset()
        self._files: frozenset[Path] = frozenset()
        self.any = False
        types = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
        database.execute(
            f"CREATE OR REPLACE TABLE {self._name} (row_id VARCHAR, us BIGINT, {types})"
        )

    def refresh(self, events: Snapshot, tail: str, rows: Sequence[DataFile]) -> None:
        """Hold what the events say and the files of the table's rows do not."""
        self._tail = tail
        fresh = [file for file in events.rows if file.path not in self._seen]
        if fresh:
            said = _said(_lake_events(self._database, fresh), self._table)
            known = self._priced(rows)
            self._database.execute(
                f"INSERT INTO {self._name} {_fields(f'({said}) ANTI JOIN ({known}) AS known USING (row_id)')}"
            )
        self._seen = frozenset(file.path for file in events.rows)
        self._forget(rows)
        self.any = self.any or self._count() > 0 or self._in_tail()

    def joined(self, relation: str, columns: Sequence[Column]) -> str:
        """`relation` with the derived values in it. A query that asks for none of them is planned without the join."""
        said = _said(self._tail_as_events(), self._table)
        both = f"SELECT * FROM {self._name} UNION ALL {_fields(f'({said})')}"
        return _join(relation, f"({both})", columns)

    def _tail_as_events(self) -> str:
        fields = 'row_id, "table", kind, name, value::VARCHAR AS value, ts AS us'
        return f"(SELECT {fields} FROM {self._tail} WHERE t = 'event')"

    def _in_tail(self) -> bool:
        said = _said(self._tail_as_events(), self._table)
        return bool(self._database.execute(f"SELECT 1 FROM ({said}) LIMIT 1").fetchall())

    def _count(self) -> int:
        found = self._database.execute(f"SELECT count(*) FROM {self._name}").fetchone()
        return int(found[0]) if found else 0

    def _forget(self, rows: Sequence[DataFile]) -> None:
        files = frozenset(file.path for file in rows)
        if files != self._files and self._count() > _MANY:
            self._database.execute(
                f"DELETE FROM {self._name} WHERE row_id IN ({self._priced(rows)})"
            )
        self._files = files

    def _priced(self, rows: Sequence[DataFile]) -> str:
        """The ids of rows whose files hold a cost."""
        if not rows:
            return "SELECT NULL::VARCHAR AS row_id WHERE false"
        wanted = (Column("id", "VARCHAR"), Column("cost_usd", "DOUBLE"))
        return (
            f"SELECT id AS row_id FROM {have_columns(self._database, read_files(rows), wanted)} "
            "WHERE cost_usd IS NOT NULL"
        )


def folded(
    connection: duckdb.DuckDBPyConnection,
    events: Sequence[DataFile],
    table: str,
    relation: str,
    columns: Sequence[Column],
) -> str:
    """`relation` with what the events in the lake derived of its rows, for files that are written anew."""
    if not events:
        return relation
    said = _said(_lake_events(connection, events), table)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE derived AS {_fields(f'({said}) SEMI JOIN (SELECT id AS row_id FROM {relation}) USING (row_id)')}"
    )
    return f"({_join(relation, 'derived', columns)})"


def late(
    connection: duckdb.DuckDBPyConnection,
    events: Sequence[DataFile],
    table: str,
    rows: Sequence[DataFile],
) -> dict[str, int]:
    """For each file, how many of its rows have a cost among the events and none in themselves."""
    said = _said(_lake_events(connection, events), table)
    scored = f"SELECT DISTINCT row_id FROM ({_fields(f'({said})')}) WHERE cost_usd IS NOT NULL"
    files = read_files(rows).replace(
        "union_by_name = true", "union_by_name = true, filename = true"
    )
    found = connection.execute(
        f"SELECT filename, count(*) FROM {files} SEMI JOIN ({scored}) AS s ON id = s.row_id "
        "WHERE cost_usd IS NULL GROUP BY filename"
    )
    return dict(found.fetchall())


def _lake_events(connection: duckdb.DuckDBPyConnection, files: Sequence[DataFile]) -> str:
    events = have_columns(connection, read_files(files), EVENT)
    return f"(SELECT *, epoch_us(ts) AS us FROM {events})"


def _said(events: str, table: str) -> str:
    """The scores among events that can be of the table's rows."""
    return (
        f"SELECT row_id, us, value FROM {events} AS e WHERE kind = 'score' AND name = '{SCORE}' "
        f"AND row_id IS NOT NULL AND coalesce(e.\"table\", '') IN ('', {literal(table)})"
    )


def _fields(said: str) -> str:
    """The derived values out of scores; what is no number there is nothing here."""
    paths = ", ".join(f"'$.{name}'" for name in COLUMNS)
    fields = ", ".join(
        f"try_cast(found[{n}]::VARCHAR AS {type_}) AS {name}"
        for n, (name, type_) in enumerate(COLUMNS.items(), start=1)
    )
    return (
        f"SELECT row_id, us, {fields} FROM "
        f"(SELECT row_id, us, json_extract(value, [{paths}]) AS found FROM {said})"
    )


def _join(relation: str, scores: str, columns: Sequence[Column]) -> str:
    # Grouped: DuckDB then knows that a row has one match at most, and leaves the join out of a query that needs none of it.
    latest = ", ".join(f"max_by({name}, us) AS {name}" for name in COLUMNS)
    fields = ", ".join(
        f"coalesce(r.{name}, d.{name}) AS {name}" if name in COLUMNS else f"r.{quoted(name)}"
        for name in (column.name for column in columns)
    )
    return (
        f"SELECT {fields} FROM {relation} AS r LEFT JOIN "
        f"(SELECT row_id, {latest} FROM {scores} GROUP BY row_id) AS d ON r.id = d.row_id"
    )
