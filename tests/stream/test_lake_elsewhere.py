"""The lake is an open table: other tools read the same rows from it."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from deltalake import DeltaTable

from llmwatch import StreamTable
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small


@pytest.fixture
def lake(llmwatch_store: object) -> Path:
    """Twelve rows in files of different columns, some merged, an integer column that met floats."""
    table = StreamTable("demo/answers")
    for n in range(12):
        table.log({"n": n, "user": f"ü{n % 3}", "x": n if n < 6 else n / 4, "tags": [n]} | ({"late": True} if n > 8 else {}))
        if n % 3 == 2:
            compact(table.project, table.name, seal=True)
        if n == 5:
            merge_small(table.project, table.name, everything=True)
    return table.project.lake(table.name)


WHOLE = [(n, f"ü{n % 3}", f"[{n}]", True if n > 8 else None) for n in range(12)]
NAMES = ["n", "user", "tags", "late"]


def test_deltalake_reads_the_same_rows(lake: Path) -> None:
    rows = pl.from_arrow(DeltaTable(str(lake)).to_pyarrow_table(columns=NAMES))
    assert isinstance(rows, pl.DataFrame)
    assert rows.sort("n").rows() == WHOLE


def test_polars_reads_the_same_rows(lake: Path) -> None:
    assert pl.scan_delta(str(lake)).select(NAMES).sort("n").collect().rows() == WHOLE


def test_plain_parquet_readers_read_the_same_rows(lake: Path) -> None:
    files = DeltaTable(str(lake)).file_uris()
    tables = [pyarrow.parquet.read_table(file) for file in files]
    rows = pa.concat_tables(tables, promote_options="default").select(NAMES).sort_by("n")
    assert list(zip(*rows.to_pydict().values(), strict=True)) == WHOLE


def test_duckdb_reads_every_dict_whole_from_the_files(lake: Path) -> None:
    found = duckdb.sql(f"SELECT data FROM read_parquet({DeltaTable(str(lake)).file_uris()!r}, union_by_name = true)")
    dicts = sorted((json.loads(row[0]) for row in found.fetchall()), key=lambda row: row["n"])
    assert [row["x"] for row in dicts] == [n if n < 6 else n / 4 for n in range(12)]


def test_another_tools_compaction_changes_no_row_for_a_reader(lake: Path) -> None:
    table = StreamTable("demo/answers")
    before = [dict(row) for row in table.rows()]
    DeltaTable(str(lake)).optimize.compact()
    assert [dict(row) for row in StreamTable("demo/answers").rows()] == before
    table.log({"n": 12})
    compact(table.project, table.name, seal=True)
    assert [row["n"] for row in table.rows()] == list(range(13))
