"""Forked children: they share nothing of the parent's spool, and hold nothing of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from spool_lines import (
    QUIET,
    assert_every_writer_counts_from_0,
    body,
    ids,
    lines,
    project_in,
    run,
    start,
)

from llmwatch import faults
from llmwatch.stream import fork, segments, spool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmwatch.store import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    faults.clear()
    yield project_in(tmp_path)
    spool.close_all()


def sealed(project: Project) -> list[bool]:
    return [segments.is_sealed(s) for s in segments.list_segments(project.spool("t"))]


IDLE_CHILD = """
def idle_child():
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        os.write(told, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    return child
"""


def test_a_child_writes_a_segment_of_its_own_and_the_parents_goes_on(project: Project) -> None:
    code = """
writer.append("row", row(0))
child = os.fork()
if not child:
    assert writer.append("row", row(1)) and writer.append("row", row(2))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
writer.append("row", row(3))
"""
    run(project, code)
    by_writer: dict[str, list[str]] = {}
    for line in lines(project):
        by_writer.setdefault(line["writer"], []).append(line["id"])
    assert sorted(by_writer.values()) == [["a-0", "a-3"], ["a-1", "a-2"]]
    assert_every_writer_counts_from_0(project)
    assert sealed(project) == [True, True]


def test_a_parent_can_seal_while_a_child_stays_idle(project: Project) -> None:
    code = """
from llmwatch.stream import segments
writer.append("row", row(0))
child = idle_child()
segment, = segments.list_segments(project.spool("t"))
assert not segments.is_sealed(segment), "the child let go of the lock, not the parent"
writer.rotate()
assert segments.is_sealed(segment)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""
    run(project, IDLE_CHILD + code)


def test_a_killed_parents_segment_is_sealed_while_its_child_lives(project: Project) -> None:
    code = """
writer.append("row", row(0))
print(idle_child(), flush=True)
time.sleep(60)
"""
    process = start(project, IDLE_CHILD + code)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert sealed(project) == [False]
    process.kill()
    process.wait()
    try:
        os.kill(child, 0)  # it lives
        assert sealed(project) == [True]
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_a_child_that_ends_cleanly_does_not_unseal_the_parents_segment(project: Project) -> None:
    code = """
from llmwatch.stream import segments
writer.append("row", row(0))
child = os.fork()
if not child: sys.exit(0)
os.waitpid(child, 0)
segment, = segments.list_segments(project.spool("t"))
assert not segments.is_sealed(segment)
assert writer.append("row", row(1))
"""
    run(project, code)
    assert ids(project) == ["a-0", "a-1"]


def test_children_forked_while_threads_append_can_append_themselves(project: Project) -> None:
    """A lock held by a thread that does not exist in the child would stop it for ever."""
    code = """
stop = False
def hammer(k):
    n = 0
    while not stop:
        assert writer.append("row", b'{"id":"p%d-%d","data":"%s"}' % (k, n, b"x" * 2400)); n += 1
        time.sleep(0)
threads = [threading.Thread(target=hammer, args=(k,)) for k in range(3)]
for t in threads: t.start()
for c in range(30):
    child = os.fork()
    if not child:
        signal.alarm(20)
        for n in range(3): assert writer.append("row", b'{"id":"c%d-%d"}' % (c, n))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop = True
for t in threads: t.join()
"""
    run(project, code)
    found = ids(project)
    assert len(found) == len(set(found))
    assert {name for name in found if name[0] == "c"} == {
        f"c{c}-{n}" for c in range(30) for n in range(3)
    }
    assert_every_writer_counts_from_0(project)


def test_a_child_forked_inside_an_append_does_not_write_the_line_again(project: Project) -> None:
    code = """
children = []
def fork_once(_, frame):
    if frame.f_code is spool.Writer._write.__code__ and len(children) < 5:
        child = os.fork()
        if not child:
            signal.setitimer(signal.ITIMER_REAL, 0)
            children[:] = [0]
            return
        children.append(child)
signal.signal(signal.SIGALRM, fork_once)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
n = 0
while len(children) < 5 and children != [0]:
    assert writer.append("row", row(n, "x" * 3000)); n += 1
if children == [0]:
    assert writer.append("row", b'{"id":"child-%d"}' % os.getpid())
    os._exit(0)
signal.setitimer(signal.ITIMER_REAL, 0)
for child in children: assert os.waitpid(child, 0)[1] == 0
print(n, *children)
"""
    written, *children = map(int, run(project, code).split())
    expected = [f"a-{n}" for n in range(written)] + [f"child-{child}" for child in children]
    assert sorted(ids(project)) == sorted(expected)


def test_a_grandchild_is_as_free_as_a_child(project: Project) -> None:
    code = """
for generation in range(4):
    assert writer.append("row", row(generation))
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        os._exit(0)
"""
    run(project, code)
    assert sorted(ids(project)) == [f"a-{n}" for n in range(4)]
    assert len({line["writer"] for line in lines(project)}) == 4
    assert all(sealed(project))


def test_a_child_keeps_no_descriptor_of_ours(project: Project) -> None:
    code = """
writer.append("row", row(0))
spool.writer(project, "u", Settings(worker=False)).append("row", row(1))
child = os.fork()
if not child:
    held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    os._exit(any(str(project.store.root) in path for path in held))
assert os.waitpid(child, 0)[1] == 0
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("/proc shows the descriptors")
    run(project, code)


def test_a_descriptor_opened_as_another_thread_forks_is_closed_in_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instant between the open and its record, made to last."""
    opened, forked = threading.Event(), threading.Event()

    class Slow(set):  # type: ignore[type-arg]
        def add(self, fd: int) -> None:
            opened.set()
            assert forked.wait(30)
            super().add(fd)

    monkeypatch.setattr(fork, "_held", Slow())
    path = tmp_path / "segment"
    fds: list[int] = []
    thread = threading.Thread(
        target=lambda: fds.append(fork.open_held(path, os.O_RDWR | os.O_CREAT))
    )
    thread.start()
    assert opened.wait(30)
    child = _fork_and_look_for(path)
    forked.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    fork.let_go(fds[0])


def _fork_and_look_for(path: Path) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: this process has threads
        child = os.fork()
    if not child:
        wanted = path.stat()
        for fd in range(3, 256):
            try:
                if os.path.samestat(os.fstat(fd), wanted):
                    os._exit(1)
            except OSError:
                continue
        os._exit(0)
    return child


def append_some(root: str, name: str, count: int) -> None:
    from llmwatch.store import Store

    writer = spool.writer(Store(Path(root)).project("local", "p"), "t", QUIET)
    for n in range(count):
        assert writer.append("row", body(f"{name}-{n}"))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_multiprocessing_children_record_beside_their_parent(project: Project, method: str) -> None:
    context = multiprocessing.get_context(method)
    append_some(str(project.store.root), "parent", 10)
    children = [
        context.Process(target=append_some, args=(str(project.store.root), f"c{n}", 50))
        for n in range(3)
    ]
    for child in children:
        child.start()
    append_some(str(project.store.root), "parent-too", 10)
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    expected = [f"c{c}-{n}" for c in range(3) for n in range(50)]
    expected += [f"{name}-{n}" for name in ("parent", "parent-too") for n in range(10)]
    assert sorted(ids(project)) == sorted(expected)
    assert_every_writer_counts_from_0(project)
    assert len({line["writer"] for line in lines(project)}) == 4


READS_IN_A_CHILD = """
import os, sys
from llmwatch import StreamTable
table = StreamTable("demo/forked", store=sys.argv[1])
table.log([{"n": n} for n in range(100)])
assert table.count == 100
pid = os.fork()
if pid == 0:
    table.log({"n": 100})
    sys.exit(0 if table.count == 101 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert table.count == 101
"""


def test_a_child_forked_after_its_parent_read_reads_and_ends_like_any_other(tmp_path: Path) -> None:
    environment = {**os.environ, "LLMWATCH_WORKER": "false", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", READS_IN_A_CHILD, str(tmp_path / "store")],
        check=False, capture_output=True, text=True, timeout=60, env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
