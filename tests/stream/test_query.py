"""A reader sees every row written before it exactly once, under the names that a person gave."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from lake_rows import demo, say

from llmwatch import StreamTable
from llmwatch.stream import relation
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small
from llmwatch.stream.query import Reader
from llmwatch.stream.retention import vacuum
from llmwatch.stream.tail import Tail

pytestmark = pytest.mark.usefixtures("llmwatch_store")

CLASHING = {"_id": 1, "id": 2, "status": 502, "timestamp": "yesterday", "latency_ms": "n/a"}


def test_a_persons_keys_have_their_own_names_and_ours_an_underscore() -> None:
    table = StreamTable("demo/clash")
    row_id = table.add(CLASHING)
    for _ in range(2):
        [row] = table.rows()
        assert dict(row) == CLASHING
        assert list(row) == list(CLASHING)
        assert row.id == row_id
        asked = 'SELECT _id, id, __id, status, _status, "timestamp", latency_ms, _latency_ms FROM clash'
        assert table.query(asked).rows == [(1, 2, row_id, 502, None, "yesterday", "n/a", None)]
        compact(table.project, table.name, seal=True)


def test_a_key_keeps_its_meaning_when_the_lake_has_other_keys() -> None:
    table = StreamTable("demo/later")
    table.log({"x": 1})
    compact(table.project, table.name, seal=True)
    assert table.query("SELECT status FROM later").rows == [(None,)]
    table.log({"status": 502})
    assert table.query("SELECT status FROM later ORDER BY ts").rows == [(None,), (502,)]


def test_a_reader_lets_go_of_rows_that_went_into_the_lake() -> None:
    """DuckDB keeps the bytes of rows that are deleted from a table in memory."""
    reader, table = Reader(demo()), StreamTable("demo/traces")
    held = []
    for _ in range(6):
        for _ in range(200):
            table.log({"text": os.urandom(2000).hex()})
        assert reader.execute("SELECT sum(length(data)) FROM traces").rows[0][0] > 800_000
        held.append(_held_by_tables(reader))
        compact(demo(), "traces", seal=True)
    reader.refresh(["traces"])
    assert max(held) < 2 * held[0]
    assert _held_by_tables(reader) < held[0] / 2


def _held_by_tables(reader: Reader) -> int:
    asked = "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'"
    return int(reader.execute(asked).rows[0][0])


def test_a_reader_sees_each_row_as_soon_as_it_is_written() -> None:
    reader = Reader(demo())
    for n in range(12):
        say("row", f"r{n:02}")
        if n % 3 == 2:
            compact(demo(), "traces", seal=True)
        if n % 5 == 4:
            merge_small(demo(), "traces", everything=True)
        seen = [row[0] for row in reader.execute("SELECT id FROM traces ORDER BY id").rows]
        assert seen == [f"r{k:02}" for k in range(n + 1)]


def test_a_reader_is_not_held_by_a_writer_that_is_as_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row comes for each that is read: a look that reads to the end of the file would never end."""
    insert, written = Tail._insert, []

    def meanwhile(self: Tail, lines: bytes, segment: str) -> None:
        insert(self, lines, segment)
        if len(written) < 50:
            written.append(say("row", f"r{len(written) + 1:02}"))

    say("row", "r00")
    monkeypatch.setattr(Tail, "_insert", meanwhile)
    reader = Reader(demo())
    assert reader.execute("SELECT id FROM traces").rows == [("r00",)]
    assert len(reader.execute("SELECT id FROM traces").rows) == 2


def test_a_project_without_rows_answers_with_none() -> None:
    reader = Reader(demo())
    assert reader.execute("SELECT count(*), any_value(cost_usd) FROM traces").rows == [(0, None)]


def test_times_come_as_aware_datetimes() -> None:
    say("row", "r1", started_at=1_700_000_000_123_456)
    found = Reader(demo()).execute("SELECT started_at, ended_at, [started_at] IS NULL AS x FROM traces")
    assert found.rows == [(datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=timezone.utc), None, False)]
    assert found.columns == ["started_at", "ended_at", "x"]


def test_a_reader_goes_on_when_the_files_of_its_snapshot_are_vacuumed() -> None:
    reader = Reader(demo())
    for n in range(3):
        say("row", f"r{n}")
        compact(demo(), "traces", seal=True)
    assert reader.execute("SELECT count(*) FROM traces").rows == [(3,)]
    merge_small(demo(), "traces", everything=True)
    vacuum(demo(), older_than_s=0)
    assert reader.execute("SELECT count(*) FROM traces").rows == [(3,)]


def test_rows_go_on_streaming_when_their_file_is_vacuumed() -> None:
    for n in range(3000):
        say("row", f"r{n}")
        if n == 1500:
            compact(demo(), "traces", seal=True)
    compact(demo(), "traces", seal=True)
    rows = Reader(demo()).stream("SELECT id FROM traces")
    first = next(rows)
    merge_small(demo(), "traces", everything=True)
    assert vacuum(demo(), older_than_s=0).files >= 2
    assert len({first, *rows}) == 3000


def test_a_query_that_lost_a_file_between_refresh_and_read_starts_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(2):
        say("row", f"r{n}")
        compact(demo(), "traces", seal=True)
    reader = Reader(demo())
    refresh = Reader.refresh

    def then_vacuumed(self: Reader, tables: list[str], **options: bool) -> None:
        refresh(self, tables, **options)
        monkeypatch.undo()
        merge_small(demo(), "traces", everything=True)
        assert vacuum(demo(), older_than_s=0).files == 2

    monkeypatch.setattr(Reader, "refresh", then_vacuumed)
    assert reader.execute("SELECT count(*) FROM traces").rows == [(2,)]


def test_a_forked_child_reads_after_its_parent_read() -> None:
    table = StreamTable("demo/forked")
    table.log({"n": 0})
    compact(table.project, table.name, seal=True)
    table.log({"n": 1})
    assert table.query("SELECT sum(n) FROM forked").rows == [(1,)]
    if (child := os.fork()) == 0:
        try:
            table.log({"n": 2})
            good = [row["n"] for row in table.rows()] == [0, 1, 2] and table.query("SELECT sum(n) FROM forked").rows == [(3,)]
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [row["n"] for row in table.rows()] == [0, 1, 2]


def test_a_reader_that_was_closed_reads_again() -> None:
    reader = Reader(demo())
    say("row", "r1")
    assert reader.execute("SELECT id FROM traces").rows == [("r1",)]
    reader.close()
    say("row", "r2")
    assert len(reader.execute("SELECT id FROM traces").rows) == 2


def test_threads_share_a_reader_while_rows_move() -> None:
    table = StreamTable("demo/threads")
    reader, stop = Reader(table.project), threading.Event()

    def watch() -> int:
        seen = 0
        while not stop.is_set():
            found = reader.execute("SELECT count(*), count(DISTINCT id) FROM threads", tables=["threads"]).rows[0]
            assert found[0] == found[1] >= seen
            seen = found[0]
        return seen

    with ThreadPoolExecutor(3) as pool:
        watchers = [pool.submit(watch) for _ in range(3)]
        try:
            for n in range(60):
                table.log({"n": n})
                if n % 15 == 0:
                    compact(table.project, table.name, seal=True)
            merge_small(table.project, table.name, everything=True)
        finally:
            stop.set()
        for watcher in watchers:
            watcher.result(timeout=30)
    assert table.count == 60


@pytest.mark.parametrize("name", ["events", "feedback", "scores", "labels", "Events", "order", "2024-01", "a.b"])
def test_a_table_may_have_any_name(name: str) -> None:
    table = StreamTable(f"demo/{name}")
    row_id = table.add({"a": 1})
    assert row_id
    row = table.get(row_id)
    row.add_feedback("note", "good")
    assert [event["value"] for event in row.feedback] == ["good"]
    assert [row["a"] for row in table.rows()] == [1]
    assert table.query(f'SELECT a FROM "{name}"').rows == [(1,)]


def test_results_have_columns_and_dicts() -> None:
    table = StreamTable("demo/answers")
    table.log({"a": 1, "b": "x"})
    found = table.query("SELECT a, b, a AS a2 FROM answers WHERE a = ?", 1)
    assert found.columns == ["a", "b", "a2"]
    assert found.dicts() == [{"a": 1, "b": "x", "a2": 1}]


def test_a_look_begins_anew_when_a_file_is_vacuumed_after_its_name_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = StreamTable("demo/moving")
    for n in range(2):
        table.log({"n": n})
        compact(table.project, table.name, seal=True)
    load, vacuumed = relation.load, []

    def vacuumed_at_once(lake: Path, *more: Any) -> Any:
        found = load(lake, *more)
        if lake == table.project.lake(table.name) and not vacuumed:
            vacuumed.append(merge_small(table.project, table.name, everything=True))
            vacuum(table.project, older_than_s=0)
        return found

    monkeypatch.setattr(relation, "load", vacuumed_at_once)
    reader = Reader(table.project)
    reader.refresh([table.name])
    assert vacuumed
    asked = reader.execute("SELECT count(*) FROM moving", tables=[table.name])
    assert asked.rows == [(2,)]
    reader.close()
