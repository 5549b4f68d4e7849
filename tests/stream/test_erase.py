"""Erasure takes the rows, what was said about them and their media, wherever they lie."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from llmwatch import StreamTable
from llmwatch.errors import QueryRefused
from llmwatch.store import EVENTS, open_store
from llmwatch.stream import erase as erasing
from llmwatch.stream.compact import compact
from llmwatch.stream.erase import erase
from llmwatch.stream.merge import merge_small
from llmwatch.stream.query import Reader

SECRET = b"what-u7-said"


@pytest.fixture
def table(llmwatch_store: object) -> StreamTable:
    table = StreamTable("demo/answers")
    for n in range(60):
        row_id = table.add({"user": f"u{n % 10}", "text": f"what-u{n % 10}-said {n}"})
        assert row_id
        if n % 10 == 7:
            table.say("feedback", "note", f"about what-u7-said {n}", row_id=row_id)
        if n in {20, 40}:
            compact(table.project, table.name, seal=True)
            compact(table.project, EVENTS, seal=True)
    return table


def left_behind(table: StreamTable) -> list[str]:
    """Files that hold the secret as it is; the lake is asked row by row."""
    files = [path for path in table.project.store.root.rglob("*") if path.is_file()]
    return [path.name for path in files if path.suffix != ".parquet" and SECRET in path.read_bytes()]


def test_rows_in_lake_and_spool_go_and_the_others_stay(table: StreamTable) -> None:
    others = [dict(row) for row in table.rows() if row["user"] != "u7"]
    done = erase(table.project, "\"user\" = 'u7'")
    assert (done.rows, done.events, done.complete) == (6, 6, True)
    assert [dict(row) for row in table.rows()] == others
    assert left_behind(table) == []


def test_no_version_of_a_lake_file_keeps_an_erased_row(table: StreamTable) -> None:
    merge_small(table.project, table.name, everything=True)  # leaves replaced files on disk
    erase(table.project, "\"user\" = 'u7'")
    for path in table.project.store.root.rglob("*.parquet"):
        if "_delta_log" in path.parts:
            continue
        found = duckdb.connect().execute("SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [str(path)]).fetchall()
        assert not any("u7" in str(row) for row in found), path


def test_a_dry_run_counts_and_changes_nothing(table: StreamTable) -> None:
    assert erase(table.project, "\"user\" = 'u7'", dry_run=True).rows == 6
    assert table.count == 60


def test_a_reader_that_held_the_row_in_memory_forgets_it(table: StreamTable) -> None:
    reader = Reader(table.project)
    question = "SELECT count(*) FROM answers WHERE data LIKE '%u7%'"
    assert reader.execute(question, tables=["answers"]).rows == [(6,)]
    erase(table.project, "\"user\" = 'u7'")
    assert reader.execute(question, tables=["answers"]).rows == [(0,)]


def test_calls_below_an_erased_call_go_with_it(llmwatch_store: object) -> None:
    from llmwatch import settings
    from llmwatch.stream import spool

    project = open_store().project("local", "demo")
    writer = spool.writer(project, "traces", settings.current())
    writer.append("row", b'{"id":"root","user_id":"u7","inputs":{}}')
    writer.append("row", b'{"id":"child","parent_id":"root","inputs":{}}')
    writer.append("row", b'{"id":"grandchild","parent_id":"child","inputs":{}}')
    writer.append("row", b'{"id":"other","user_id":"u8","inputs":{}}')
    assert erase(project, "user_id = 'u7'").rows == 3
    assert Reader(project).execute("SELECT id FROM traces").rows == [("other",)]


def test_media_that_another_row_names_stays(llmwatch_store: object) -> None:
    table = StreamTable("demo/pictures")
    shared, own = os.urandom(9000), os.urandom(9000)
    table.log([{"user": "u7", "a": shared, "b": own}, {"user": "u8", "a": shared}])
    done = erase(table.project, "\"user\" = 'u7'")
    assert done.media == 1
    assert [row["a"] for row in table.rows()] == [shared]


def test_a_quarantined_line_that_names_an_erased_row_goes(table: StreamTable) -> None:
    row_id = table.rows().filter(user="u7").ids()[0]
    directory = table.project.quarantine(table.name)
    directory.mkdir(parents=True)
    (directory / "x.bad").write_bytes(b'{"id":"' + row_id.encode() + b'","data":{"text":"what-u7-sa\nother torn line\n')
    erase(table.project, "\"user\" = 'u7'")
    assert (directory / "x.bad").read_bytes() == b"other torn line\n"


@pytest.mark.parametrize(
    "where",
    [
        "true OR (SELECT count(*) FROM read_text('/etc/hostname')) > 0",
        "\"user\" = 'u7') OR (1 = 1",
        "\"user\" = 'u7' -- and not others",
        "\"user\" = 'u7' LIMIT 1",
        "",
    ],
)
def test_what_is_not_one_condition_erases_nothing(table: StreamTable, where: str) -> None:
    with pytest.raises(QueryRefused):
        erase(table.project, where)
    with pytest.raises(QueryRefused):
        list(table.rows().filter(where))
    assert table.count == 60


@pytest.mark.parametrize(
    "step", ["erase.journal-written", "erase.spool-blanked", "lake.after-commit", "erase.media-removed"]
)
def test_an_erasure_killed_half_way_is_finished_by_the_next(table: StreamTable, step: str) -> None:
    script = (
        "import os, signal\n"
        "from llmwatch.stream import steps\n"
        "from llmwatch.stream.erase import erase\n"
        "from llmwatch.store import open_store\n"
        f"steps.listen(lambda name: name == {step!r} and os.kill(os.getpid(), signal.SIGKILL))\n"
        f"erase(open_store({str(table.project.store.root)!r}).project('local', 'demo'), '\"user\" = \\'u7\\'')\n"
    )
    others = [dict(row) for row in table.rows() if row["user"] != "u7"]
    killed = subprocess.run([sys.executable, "-c", script], check=False, cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    assert erasing.pending(table.project)
    assert erase(table.project, "\"user\" = 'u7'").resumed
    assert not erasing.pending(table.project)
    assert [dict(row) for row in table.rows()] == others
    assert left_behind(table) == []
