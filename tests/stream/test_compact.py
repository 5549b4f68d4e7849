"""Moving the spool into the lake: every row exactly once, wherever the compactor is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from llmwatch.store import Store
from llmwatch.stream import steps
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small
from llmwatch.stream.retention import vacuum
from llmwatch.stream.table import StreamTable

DIES = """
import os, signal, sys
from llmwatch.store import open_store
from llmwatch.stream import compact, merge, retention, steps
compact.GRACE_S = -1.0
steps.listen(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == sys.argv[1] else None)
project = open_store().project("local", "p")
compact.compact(project, "t")
merge.merge_small(project, "t", everything=True)
retention.vacuum(project, older_than_s=0)
"""
STEPS = [name for name in steps.NAMES if not name.startswith("erase.")]


def numbers(table: StreamTable) -> list[int]:
    return sorted(row["n"] for row in table.rows())


@pytest.mark.parametrize("step", STEPS)
def test_rows_are_there_exactly_once_when_the_compactor_is_killed(
    llmwatch_store: Store, step: str
) -> None:
    table = StreamTable("local/p/t")
    for n in range(30):
        table.log({"n": n})
        if n in {9, 19}:
            compact(table.project, "t", seal=True)
        if n == 24:
            table.finish()
    table.finish()
    code = subprocess.run([sys.executable, "-c", DIES, step], check=False, env=os.environ).returncode
    assert code == -signal.SIGKILL
    assert numbers(table) == list(range(30))
    compact(table.project, "t")
    merge_small(table.project, "t", everything=True)
    vacuum(table.project, older_than_s=0)
    assert numbers(table) == list(range(30))
    assert numbers(StreamTable("local/p/t")) == list(range(30))


def test_threads_of_one_reader_never_miss_or_double_a_row_while_files_come_and_go(
    llmwatch_store: Store,
) -> None:
    table = StreamTable("local/p/t")
    over, wrong = threading.Event(), []

    def read() -> None:
        while not over.is_set():
            before = logged[0]
            rows, distinct = table.query("SELECT count(*), count(DISTINCT n) FROM t").rows[0]
            if rows < before or rows != distinct:
                wrong.append((before, rows, distinct))

    logged = [0]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for n in range(120):
            table.log({"n": n})
            logged[0] = n + 1
            if n % 12 == 11:
                compact(table.project, "t", seal=True)
                merge_small(table.project, "t", everything=True)
                vacuum(table.project, older_than_s=0)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert wrong == []
