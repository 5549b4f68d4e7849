"""The worker as it lives: real processes over real stores."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import llmwatch
from llmwatch import faults, worker
from llmwatch.settings import Settings
from llmwatch.store import EVENTS, Store, open_store
from llmwatch.stream import segments, spool
from llmwatch.worker import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmwatch.store import Project

QUIET = Settings(worker=False)
QUICK = Settings(worker=True, worker_idle_s=60, compact_every_s=0.2)
SOURCE = str(Path(llmwatch.__file__).parents[1])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    faults.clear()
    opened = open_store(tmp_path / "store")
    yield opened
    spool.close_all()
    stop(opened)


def stop(store: Store) -> None:
    """End the store's worker, if one runs, and wait until it has."""
    with suppress(ProcessLookupError):
        described = lock.describe(store)
        if described:
            os.kill(described["pid"], signal.SIGTERM)
    if store.root.exists():
        until(lambda: not lock.is_running(store))


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something that another process does; fails when it never happens."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
    return found


def record(project: Project, table: str = "t", count: int = 3, settings: Settings = QUIET) -> None:
    writer = spool.writer(project, table, settings)
    for n in range(count):
        assert writer.append("row", json.dumps({"id": f"{table}-{n}", "data": {"n": n}}).encode())


def pid(store: Store) -> int:
    described: dict[str, Any] = until(lambda: lock.describe(store))
    return int(described["pid"])


def in_lake(project: Project, table: str) -> bool:
    return (project.lake(table) / "_delta_log").exists()


def start_by_hand(store: Store, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "llmwatch.worker", str(store.root)],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE, **environment},
    )


def test_the_first_row_starts_a_worker_in_a_session_of_its_own(store: Store) -> None:
    record(store.project("local", "p"), settings=QUICK)
    started = pid(store)
    assert os.getsid(started) == started
    assert lock.describe(store)["version"] == llmwatch.__version__  # type: ignore[index]
    for name in ("worker.lock", "worker.json", "worker.log"):
        assert (store.root / name).stat().st_mode & 0o777 == 0o600
    if sys.platform.startswith("linux"):
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, started) == min(19, ours + 10)


def test_no_worker_is_started_where_none_is_wanted(store: Store) -> None:
    record(store.project("local", "p"), settings=QUIET)
    worker.ensure_running(store, QUIET)
    assert not lock.is_running(store)
    assert not (store.root / "worker.lock").exists()


def test_many_processes_that_start_at_once_get_one_worker(store: Store) -> None:
    code = """
import sys
from llmwatch import worker
from llmwatch.settings import Settings
from llmwatch.store import Store
from llmwatch.worker import spawn
spawned = []
start = spawn._spawn
spawn._spawn = lambda *a: spawned.append(start(*a)) or spawned[-1]
sys.stdin.readline()
for _ in range(20): worker.ensure_running(Store(__import__("pathlib").Path(sys.argv[1])), Settings())
print(len(spawned))
"""
    callers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        for _ in range(6)
    ]
    for caller in callers:
        assert caller.stdin is not None
        caller.stdin.write("\n")
        caller.stdin.flush()
    spawned = [int(caller.communicate(timeout=60)[0]) for caller in callers]
    assert sum(spawned) == 1, "the lock is handed over, so nobody starts a second one in between"
    assert pid(store)


def test_a_second_worker_ends_at_once(store: Store) -> None:
    first = start_by_hand(store)
    assert pid(store) == first.pid
    second = start_by_hand(store)
    assert b"has a worker already" in second.communicate(timeout=60)[1]
    assert second.returncode == 0
    assert pid(store) == first.pid
    first.terminate()
    first.communicate(timeout=60)


def test_sigterm_ends_it_cleanly(store: Store) -> None:
    process = start_by_hand(store)
    pid(store)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not lock.is_running(store)
    assert not (store.root / "worker.json").exists()
    assert "ended: told to" in (store.root / "worker.log").read_text()


def test_it_ends_when_idle_and_comes_back_when_needed(store: Store) -> None:
    project = store.project("local", "p")
    settings = replace(QUICK, worker_idle_s=0.5)
    record(project, settings=settings)
    first = pid(store)
    until(lambda: not lock.is_running(store))
    assert "nothing to do" in (store.root / "worker.log").read_text()
    process = start_by_hand(store, LLMWATCH_WORKER_IDLE_S="60")
    assert pid(store) == process.pid != first
    process.terminate()
    process.communicate(timeout=60)


def test_it_ends_when_the_store_is_deleted(store: Store) -> None:
    process = start_by_hand(store)
    pid(store)
    shutil.rmtree(store.root)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_it_ends_when_another_lock_file_took_the_place_of_its_own(store: Store) -> None:
    process = start_by_hand(store)
    pid(store)
    lock.lock_path(store).unlink()
    lock.lock_path(store).touch()
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_killed_worker_leaves_the_place_free(store: Store) -> None:
    process = start_by_hand(store)
    pid(store)
    process.kill()
    process.communicate(timeout=60)
    assert not lock.is_running(store)
    assert lock.describe(store) is None


def test_a_forked_child_can_start_one_and_the_dead_parent_does_not_matter(store: Store) -> None:
    child = os.fork()
    if not child:
        record(store.project("local", "p"), settings=QUICK)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pid(store) not in (os.getpid(), child)


def test_it_moves_what_an_ended_writer_left_into_the_lake(store: Store) -> None:
    project = store.project("local", "p")
    record(project, "t")
    spool.writer(project, EVENTS, QUIET).append(
        "event", b'{"id":"e","table":"t","row_id":"t-0","kind":"label","name":"x","value":1}'
    )
    spool.close_all()
    process = start_by_hand(store, LLMWATCH_COMPACT_EVERY_S="0.2")
    until(lambda: in_lake(project, "t") and in_lake(project, EVENTS))
    process.terminate()
    process.communicate(timeout=60)


def test_a_corrupt_table_does_not_keep_others_from_the_lake(store: Store) -> None:
    project = store.project("local", "p")
    for table in ("a-broken", "healthy"):
        record(project, table)
    spool.close_all()
    log = project.lake("a-broken") / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("not a Delta log\n")
    process = start_by_hand(store, LLMWATCH_COMPACT_EVERY_S="0.2")
    until(lambda: in_lake(project, "healthy"))
    until(lambda: "a-broken of local/p could not be" in (store.root / "worker.log").read_text())
    assert process.poll() is None
    assert len(segments.list_segments(project.spool("a-broken"))) == 1, "its rows are kept"
    process.terminate()
    process.communicate(timeout=60)


def test_run_once_does_what_is_due_and_returns(store: Store) -> None:
    project = store.project("local", "p")
    record(project, "t")
    spool.close_all()
    assert worker.run(store, QUIET, once=True)
    assert in_lake(project, "t")
    assert not lock.is_running(store)


def test_run_says_when_another_worker_has_the_store(store: Store) -> None:
    fd = lock.try_take(store)
    assert fd is not None
    assert not worker.run(store, QUIET, once=True)
    os.close(fd)


def test_a_worker_that_cannot_start_is_said_and_not_tried_all_the_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(store.root / "no-python"))
    for _ in range(5):
        worker.ensure_running(store, QUICK)
    (fault,) = faults.counts().values()
    assert fault.count == 1
    assert str(store.root) in fault.cause
    faults.clear()
