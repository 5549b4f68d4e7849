"""The database that a busy worker keeps open: each piece of work finds it empty, a fault costs only itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import pytest

from llmwatch.store import Store
from llmwatch.stream.compact import compact
from llmwatch.stream.duck import Workbench
from llmwatch.stream.table import StreamTable


def spaces(bench: Workbench, temporary: Path) -> list[str]:
    with bench.cleared(temporary) as connection:
        return [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]


def test_each_piece_of_work_finds_it_empty_and_in_utc(tmp_path: Path) -> None:
    bench = Workbench()
    with bench.cleared(tmp_path / "tmp") as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE batch AS SELECT 1")
    with bench.cleared(tmp_path / "tmp") as connection:
        assert connection.execute("SELECT current_setting('TimeZone')").fetchone() in [("UTC",), ("Etc/UTC",)]
        assert connection.execute("SELECT current_setting('autoload_known_extensions')").fetchone() == (False,)
    assert spaces(bench, tmp_path / "tmp") == []
    bench.close()


def test_what_went_wrong_with_a_database_costs_only_the_work_in_hand(tmp_path: Path) -> None:
    bench = Workbench()
    with pytest.raises(duckdb.CatalogException), bench.cleared(tmp_path / "tmp") as connection:
        connection.execute("SELECT * FROM nowhere")
    with bench.cleared(tmp_path / "tmp") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    bench.close()
    bench.close()
    assert spaces(bench, tmp_path / "tmp") == []


def test_it_is_kept_open_while_it_is_used(tmp_path: Path) -> None:
    bench = Workbench()
    with bench.cleared(tmp_path / "tmp"):
        pass
    database = bench._database
    bench.close_unused(for_s=60)
    with bench.cleared(tmp_path / "tmp"):
        assert bench._database is database
    bench.close_unused(for_s=0)
    assert bench._database is None


def test_one_bench_compacts_many_tables_of_many_projects(llmwatch_store: Store) -> None:
    bench = Workbench()
    tables = [StreamTable(f"local/{project}/{name}") for project in "pq" for name in "st"]
    for turn in range(3):
        for table in tables:
            table.log({"n": turn, table.name: turn})
            assert compact(table.project, table.name, seal=True, bench=bench).rows == 1
            # vacuum takes away what a process left behind a day ago; this one may still be there
            shutil.rmtree(table.project.temporary, ignore_errors=True)
    bench.close()
    for table in tables:
        assert [(row["n"], row[table.name]) for row in table.rows()] == [(n, n) for n in range(3)]


def test_a_child_forked_from_a_worker_leaves_its_database_alone(llmwatch_store: Store) -> None:
    bench = Workbench()
    table = StreamTable("local/p/t")
    table.log({"n": 1})
    compact(table.project, "t", seal=True, bench=bench)
    child = os.fork()
    if child == 0:
        bench = None  # type: ignore[assignment]  # its end must not close what the parent's threads hold
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    table.log({"n": 2})
    assert compact(table.project, "t", seal=True, bench=bench).rows == 1
    bench.close()


def test_a_child_forked_from_a_worker_may_close_the_bench_and_use_it(tmp_path: Path) -> None:
    bench = Workbench()
    assert spaces(bench, tmp_path / "tmp") == []
    child = os.fork()
    if child == 0:
        bench.close_unused(for_s=0)
        os._exit(0 if spaces(bench, tmp_path / "tmp") == [] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert spaces(bench, tmp_path / "tmp") == []
    bench.close()


def test_the_memory_of_a_large_batch_is_given_back(
    llmwatch_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmwatch.stream import compact as compacting

    bench, table = Workbench(), StreamTable("local/p/t")
    table.log({"n": 1})
    compact(table.project, "t", seal=True, bench=bench)
    assert bench._database is not None
    monkeypatch.setattr(compacting, "KEPT_BYTES", 10)
    table.log({"n": 2})
    assert compact(table.project, "t", seal=True, bench=bench).rows == 1
    assert bench._database is None
