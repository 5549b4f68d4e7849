"""Appending to the spool: what is acknowledged is there, what is lost is said."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from spool_lines import (
    QUIET,
    assert_every_writer_counts_from_0,
    body,
    ids,
    lines,
    project_in,
    raw_lines,
    run,
    start,
)

from llmwatch import clock, faults
from llmwatch.settings import Settings
from llmwatch.store import EVENTS, Project
from llmwatch.stream import segments, spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmwatch.stream.spool import Writer

AN_HOUR = 3600 * 1_000_000


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    faults.clear()
    yield project_in(tmp_path)
    spool.close_all()
    faults.clear()


@pytest.fixture
def writer(project: Project) -> Iterator[Writer]:
    made = spool.writer(project, "t", QUIET)
    yield made
    made.close()


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time_us() -> Iterator[Time]:
    moved = Time()
    with clock.use(now=moved):
        yield moved


def lost() -> int:
    return sum(fault.lost for fault in faults.counts().values())


# The line


def test_a_line_is_the_envelope_and_the_body(writer: Writer, project: Project) -> None:
    assert writer.append("row", b'{"id":"x","data":{"a":1}}')
    (line,) = lines(project)
    ts = line.pop("ts")
    assert line == {
        "v": 1, "t": "row", "project": "local/p", "table": "t", "writer": writer.id, "seq": 0,
        "id": "x", "data": {"a": 1},
    }  # fmt: skip
    assert abs(clock.now_us() - ts) < AN_HOUR


def test_an_event_says_itself_which_table_its_row_is_in(project: Project) -> None:
    spool.writer(project, EVENTS, QUIET).append("event", b'{"id":"e","table":"t"}')
    (raw,) = raw_lines(project, EVENTS)
    assert raw.count(b'"table"') == 1
    assert json.loads(raw)["table"] == "t"


def test_white_space_in_a_body_does_not_break_the_line(writer: Writer, project: Project) -> None:
    writer.append("row", b'{\n  "id": "x"\n}')
    assert ids(project) == ["x"]


def test_time_never_runs_backwards_in_a_writer(
    writer: Writer, project: Project, time_us: Time
) -> None:
    for moved_by in (0, -AN_HOUR, 5, AN_HOUR, -3):
        time_us.now += moved_by
        writer.append("row", body(moved_by))
    stamps = [line["ts"] for line in lines(project)]
    assert stamps == sorted(stamps)


def test_nothing_is_created_before_the_first_row(writer: Writer, project: Project) -> None:
    writer.flush()
    writer.rotate()
    assert not project.store.root.exists()


def test_a_table_has_one_writer_in_a_process(project: Project) -> None:
    assert spool.writer(project, "t", QUIET) is spool.writer(project, "t", QUIET)
    assert spool.writer(project, "t", QUIET) is not spool.writer(project, "u", QUIET)


# Many at once


def test_threads_hammering_one_writer_lose_and_mix_nothing(
    writer: Writer, project: Project
) -> None:
    def hammer(thread: int) -> None:
        for n in range(500):
            assert writer.append("row", body(f"{thread}-{n}", "x" * (n * 7 % 3000)))

    threads = [threading.Thread(target=hammer, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(project)) == sorted(f"{t}-{n}" for t in range(8) for n in range(500))
    assert_every_writer_counts_from_0(project)
    assert len({line["writer"] for line in lines(project)}) == 1


def test_four_processes_write_one_table_each_in_files_of_its_own(project: Project) -> None:
    code = "for n in range(1000): assert writer.append('row', row(n, 'x' * 500))"
    running = [start(project, code, name) for name in "abcd"]
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert sorted(ids(project)) == sorted(f"{name}-{n}" for name in "abcd" for n in range(1000))
    assert_every_writer_counts_from_0(project)
    assert all(segments.is_sealed(s) for s in segments.list_segments(project.spool("t")))


def test_a_signal_handler_may_log_in_the_middle_of_an_append(project: Project) -> None:
    code = """
from itertools import count
handled = count()
def log(*_): assert writer.append("row", row(1_000_000 + next(handled)))
signal.signal(signal.SIGALRM, log)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
n = 0
until = time.monotonic() + 0.4
while time.monotonic() < until:
    assert writer.append("row", row(n, "x" * 3000)); n += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(n, next(handled))
"""
    written, handled = map(int, run(project, code).split())
    assert handled > 50
    expected = [f"a-{n}" for n in range(written)] + [f"a-{1_000_000 + n}" for n in range(handled)]
    assert sorted(ids(project)) == sorted(expected)
    assert_every_writer_counts_from_0(project)
    assert len({line["writer"] for line in lines(project)}) >= 2, "no handler fell into an append"


def test_a_handler_that_raises_in_an_append_leaves_the_file_and_the_count_right(
    project: Project,
) -> None:
    code = """
class Leave(BaseException): pass
def leave(_, frame):
    if frame.f_code.co_filename == spool.__file__: raise Leave
signal.signal(signal.SIGALRM, leave)
sure, left = 0, 0
until = time.monotonic() + 0.4
n = 0
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while time.monotonic() < until:
    n += 1
    try:
        assert writer.append("row", row(n, "x" * 3000)); sure += 1
    except Leave: left += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
assert writer.append("row", row(0)); sure += 1
print(sure, left)
"""
    sure, left = map(int, run(project, code).split())
    assert left > 50
    assert_every_writer_counts_from_0(project)
    assert sure <= len(ids(project)) <= sure + left
    assert len(set(ids(project))) == len(ids(project))


# Segments


def test_segments_rotate_by_size_and_keep_the_order(project: Project) -> None:
    writer = spool.writer(project, "t", Settings(worker=False, segment_mb=0.01))
    for n in range(100):
        assert writer.append("row", body(n, "x" * 1000))
    listed = segments.list_segments(project.spool("t"))
    assert [s.number for s in listed] == list(range(1, len(listed) + 1))
    assert len(listed) == pytest.approx(10, abs=2)
    assert [segments.is_sealed(s) for s in listed] == [True] * (len(listed) - 1) + [False]
    assert ids(project) == [str(n) for n in range(100)]
    assert_every_writer_counts_from_0(project)


def test_segments_rotate_by_age(writer: Writer, project: Project, time_us: Time) -> None:
    writer.append("row", body(0))
    time_us.now += 29_000_000
    writer.append("row", body(1))
    assert len(segments.list_segments(project.spool("t"))) == 1
    time_us.now += 2_000_000
    writer.append("row", body(2))
    first, second = segments.list_segments(project.spool("t"))
    assert first.path.read_bytes().count(b"\n") == 2
    assert segments.is_sealed(first)
    assert not segments.is_sealed(second)


def test_age_counts_anew_when_the_clock_is_set_back(
    writer: Writer, project: Project, time_us: Time
) -> None:
    writer.append("row", body(0))
    time_us.now -= AN_HOUR
    writer.append("row", body(1))
    time_us.now += 31_000_000
    writer.append("row", body(2))
    assert len(segments.list_segments(project.spool("t"))) == 2


def test_rotate_seals_now_and_the_next_row_starts_another(writer: Writer, project: Project) -> None:
    writer.append("row", body(0))
    writer.rotate()
    assert [segments.is_sealed(s) for s in segments.list_segments(project.spool("t"))] == [True]
    writer.append("row", body(1))
    assert [s.number for s in segments.list_segments(project.spool("t"))] == [1, 2]
    assert ids(project) == ["0", "1"]


def test_a_closed_writer_can_be_written_to_again(writer: Writer, project: Project) -> None:
    writer.append("row", body(0))
    spool.close_all()
    assert writer.append("row", body(1))
    assert_every_writer_counts_from_0(project)


def test_a_process_that_ends_seals_its_segments(project: Project) -> None:
    run(project, "writer.append('row', row(0))")
    assert [segments.is_sealed(s) for s in segments.list_segments(project.spool("t"))] == [True]


@pytest.mark.parametrize("fsync", ["row", "group", "off"])
def test_rows_are_there_whatever_is_asked_of_the_disk(project: Project, fsync: str) -> None:
    writer = spool.writer(project, "t", Settings(worker=False, fsync=fsync))  # type: ignore[arg-type]
    assert writer.append("row", body(0))
    writer.flush()
    assert ids(project) == ["0"]


# Killed


def test_no_acknowledged_row_is_lost_to_sigkill(project: Project) -> None:
    code = """
n = 0
while True:
    assert writer.append("row", row(n, "x" * 2400)); n += 1
    sys.stdout.write("%d\\n" % n); sys.stdout.flush()
"""
    for attempt in range(6):
        process = start(project, code, f"p{attempt}")
        assert process.stdout is not None
        for _ in range(50 * (attempt + 1)):
            process.stdout.readline()
        process.kill()
        out, _ = process.communicate()
        said = [int(line) for line in out.split("\n")[:-1] if line]
        acknowledged = max([50 * (attempt + 1), *said])
        there = {name for name in ids(project) if name.startswith(f"p{attempt}-")}
        assert there >= {f"p{attempt}-{n}" for n in range(acknowledged)}
    assert all(segments.is_sealed(s) for s in segments.list_segments(project.spool("t")))
    assert_every_writer_counts_from_0(project)


# A disk that refuses


def test_a_short_write_is_cut_back_and_recording_resumes(project: Project) -> None:
    """RLIMIT_FSIZE makes the kernel write part of a line, then refuse the rest."""
    code = """
import resource
assert writer.append("row", row(0, "x" * 1000))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
assert not writer.append("row", row(1, "x" * 5000)), "it cannot fit in any file"
assert not writer.append("row", row(2, "x" * 5000))
assert writer.append("row", row(3, "x" * 300)), "a small one still can"
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert writer.append("row", row(4, "x" * 5000))
fault, = [f for f in faults.counts().values() if f.lost]
print(fault.lost, "File too large" in fault.cause, "local/p/t" in fault.cause)
"""
    assert run(project, code, stderr=subprocess.DEVNULL).split() == ["2", "True", "True"]
    assert ids(project) == ["a-0", "a-3", "a-4"]
    assert_every_writer_counts_from_0(project)


def test_a_torn_line_that_cannot_be_cut_off_does_not_swallow_the_next_row(project: Project) -> None:
    code = """
import resource
assert writer.append("row", row(0, "x" * 1000))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
truncate, os.ftruncate = os.ftruncate, None
def refuse(fd, size): raise PermissionError(1, "append-only")
os.ftruncate = refuse
assert not writer.append("row", row(1, "x" * 5000))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert writer.append("row", row(2))
os.ftruncate = truncate
assert writer.append("row", row(3))
"""
    run(project, code, stderr=subprocess.DEVNULL)
    assert [(line["id"], line["seq"]) for line in lines(project)] == [("a-0", 0), ("a-2", 1), ("a-3", 2)]
    *torn, whole = [s.path.read_bytes() for s in segments.list_segments(project.spool("t"))]
    assert [content.endswith(b"\n") for content in torn] == [False, False], "the row was tried in both"
    assert whole.count(b"\n") == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "small"
    where.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a small disk can only be mounted by root")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(where)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip(f"tmpfs cannot be mounted here: {made.stderr.decode().strip()}")
    yield where
    spool.close_all()
    subprocess.run(["umount", str(where)], check=True)


def test_a_full_disk_costs_rows_that_are_counted_and_recording_resumes_with_room(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faults.clear()
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 100_000)
    project = project_in(small_disk)
    writer = spool.writer(project, "t", QUIET)
    with caplog.at_level(logging.ERROR, "llmwatch"):
        done = [writer.append("row", body(n, "x" * 2400)) for n in range(200)]
        assert not done[-1]
        ballast.unlink()
        done += [writer.append("row", body(n, "x" * 2400)) for n in range(200, 220)]
    assert done[-20:] == [True] * 20
    assert ids(project) == [str(n) for n, acknowledged in enumerate(done) if acknowledged]
    assert lost() == done.count(False)
    assert "No space left on device" in caplog.text
    assert "local/p/t" in caplog.text
    assert len(caplog.records) <= 4, "said once, then at every tenfold count"
    assert_every_writer_counts_from_0(project)


def test_a_directory_that_refuses_writes_loses_rows_in_the_open_and_recovers(
    project: Project,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can hand the store to another user")
    code = """
directory = project.spool("t")
directory.mkdir(parents=True)
for path in (project.store.root, *project.store.root.rglob("*")): os.chown(path, 65534, 65534)
os.setgid(65534); os.setuid(65534)
directory.chmod(0o500)
try: (directory / "probe").touch()
except PermissionError: pass
else: print("writable"); sys.exit()
assert not writer.append("row", row(0))
assert not writer.append("row", row(1))
directory.chmod(0o700)
until = time.monotonic() + 30
lost = 2
while not writer.append("row", row(lost)):
    lost += 1; time.sleep(0.02); assert time.monotonic() < until
assert sum(f.lost for f in faults.counts().values()) == lost
directory.chmod(0o500)
writer._opened_at = 0; writer._due = 0
assert writer.append("row", row(lost + 1)), "the open segment is kept when no new one can be had"
print(lost)
"""
    for parent in project.store.root.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
        if parent.name.startswith("pytest-of"):
            break
    out = run(project, code, stderr=subprocess.DEVNULL).strip()
    if out == "writable":
        pytest.skip("a plain write does not fail in a read-only directory here")
    assert ids(project) == [f"a-{out}", f"a-{int(out) + 1}"]
    assert_every_writer_counts_from_0(project)


def test_creating_a_segment_is_not_tried_on_every_row(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.path.mkdir(parents=True)
    (project.path / "spool").write_text("in the way")
    writer = spool.writer(project, "t", QUIET)
    tries = []
    create = segments.create
    monkeypatch.setattr(segments, "create", lambda *a: (tries.append(a), create(*a))[1])
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    assert [writer.append("row", body(n)) for n in range(50)] == [False] * 50
    assert len(tries) == 1
    assert lost() == 50
    (project.path / "spool").unlink()
    monkeypatch.setattr(time, "monotonic", lambda: 1001.5)
    assert writer.append("row", body("later"))
    assert [(line["id"], line["seq"]) for line in lines(project)] == [("later", 0)]


# Pulled from under us


def test_a_store_deleted_under_a_writer_is_made_again_and_the_loss_is_said(
    writer: Writer, project: Project, time_us: Time
) -> None:
    writer.append("row", body(0))
    shutil.rmtree(project.store.root)
    time_us.now += 2_000_000
    assert writer.append("row", body(1))
    assert ids(project) == ["1"]
    (fault,) = faults.counts().values()
    assert fault.lost == 1
    assert "deleted" in fault.cause


def test_a_descriptor_closed_by_other_code_is_replaced_at_once(
    writer: Writer, project: Project
) -> None:
    """What python-daemon and some test runners do: close everything they find open."""
    writer.append("row", body(0))
    os.close(writer._fd)
    assert writer.append("row", body(1))
    assert ids(project) == ["0", "1"]
    assert lost() == 0


def test_a_descriptor_that_became_another_file_is_never_closed(
    writer: Writer, project: Project, time_us: Time, tmp_path: Path
) -> None:
    writer.append("row", body(0))
    theirs = os.open(tmp_path / "theirs", os.O_WRONLY | os.O_CREAT)
    ours = writer._fd
    os.dup2(theirs, ours)
    time_us.now += 2_000_000
    assert writer.append("row", body(1))
    os.write(ours, b"still open")
    os.close(ours)
    os.close(theirs)
    assert (tmp_path / "theirs").read_bytes() == b"still open"
    assert ids(project) == ["0", "1"]


def test_a_segment_that_other_code_cuts_short_is_left_for_another(
    writer: Writer, project: Project, time_us: Time
) -> None:
    writer.append("row", body(0, "x" * 500))
    (segment,) = segments.list_segments(project.spool("t"))
    segment.path.write_bytes(b"")
    time_us.now += 2_000_000
    assert writer.append("row", body(1))
    assert ids(project) == ["1"]
    assert segment.path.read_bytes() == b"", "no hole before the next line"
    (fault,) = faults.counts().values()
    assert "cut short" in fault.cause


class Stop(BaseException):
    """What a signal handler raises."""


def interrupted(writer: Writer, monkeypatch: pytest.MonkeyPatch, *where: str) -> None:
    """An append that is interrupted as each of these calls of the system returns."""
    with monkeypatch.context() as patched:
        for name in where:
            call = getattr(os, name)

            def stop(*arguments: object, call: Any = call) -> None:
                call(*arguments)
                raise Stop

            patched.setattr(os, name, stop)
        with pytest.raises(Stop):
            writer.append("row", body("interrupted"))


@pytest.mark.parametrize("where", [("pwrite",), ("pwrite", "pread")])
def test_a_line_that_was_written_when_it_was_interrupted_outlives_the_close(
    writer: Writer, project: Project, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...]
) -> None:
    writer.append("row", body(0))
    interrupted(writer, monkeypatch, *where)
    writer.close()
    assert ids(project) == ["0", "interrupted"]
    assert_every_writer_counts_from_0(project)


def test_a_file_that_has_our_descriptor_is_not_cut_when_an_append_is_interrupted(
    writer: Writer, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    writer.append("row", body(0))
    (tmp_path / "theirs").write_bytes(b"x" * 100_000)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR)
    ours = writer._fd
    os.dup2(theirs, ours)
    interrupted(writer, monkeypatch, "pwrite")
    assert writer.append("row", body(1))
    assert (tmp_path / "theirs").stat().st_size == 100_000
    assert ids(project) == ["0", "1"]
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("space", [b"\n", b"\r", b"\r\n"])
def test_a_line_stays_one_line_whatever_json_the_user_brings(
    writer: Writer, project: Project, space: bytes
) -> None:
    writer.append("row", b'{"id":"a","data":{"n":' + space + b" 1}}")
    writer.rotate()
    (segment,) = segments.list_segments(project.spool("t"))
    assert len(segment.path.read_bytes().splitlines()) == 1
    assert lines(project)[0]["data"] == {"n": 1}


# Our faults


def test_a_log_handler_may_record_into_the_table_that_is_failing(project: Project) -> None:
    """The report must come after the lock is let go: the handler's own lock is waited for."""
    project.path.mkdir(parents=True)
    (project.path / "spool").write_text("in the way")
    writer = spool.writer(project, "t", QUIET)
    handled = []

    class Recording(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            other = threading.Thread(target=lambda: handled.append(writer.append("row", body(1))))
            other.start()
            other.join(30)
            assert not other.is_alive()

    handler = Recording()
    logging.getLogger("llmwatch").addHandler(handler)
    try:
        assert not writer.append("row", body(0))
    finally:
        logging.getLogger("llmwatch").removeHandler(handler)
    assert handled == [False]


def test_a_fault_is_raised_where_tests_ask_for_it(project: Project) -> None:
    project.path.mkdir(parents=True)
    (project.path / "spool").write_text("in the way")
    with faults.strict(), pytest.raises(FileExistsError):
        spool.writer(project, "t", QUIET).append("row", body(0))


def test_a_signal_handler_may_close_the_writer_inside_an_append(project: Project) -> None:
    code = """
signal.signal(signal.SIGALRM, lambda *_: writer.close())
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
n = 0
until = time.monotonic() + 0.4
while time.monotonic() < until:
    assert writer.append("row", row(n, "x" * 3000)); n += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(n)
"""
    written = int(run(project, code))
    assert ids(project) == [f"a-{n}" for n in range(written)]
    assert_every_writer_counts_from_0(project)


def test_the_handler_of_a_signal_is_restored(project: Project) -> None:
    before = signal.getsignal(signal.SIGTERM)
    spool.writer(project, "t", QUIET).append("row", body(0))
    assert signal.getsignal(signal.SIGTERM) is before


# Zeros ahead


def test_a_living_segment_has_room_ahead_and_a_sealed_one_ends_with_its_last_line(
    writer: Writer, project: Project
) -> None:
    writer.append("row", body(0))
    (segment,) = segments.list_segments(project.spool("t"))
    line, room = segment.path.read_bytes().split(b"\n")
    assert segment.size() == len(line) + 1
    assert room == bytes(segments.AHEAD - segment.size())
    writer.rotate()
    assert segment.path.read_bytes() == line + b"\n"


def test_lines_of_all_lengths_follow_one_another_without_a_gap(writer: Writer, project: Project) -> None:
    lengths = [10, 20_000, 10, 40_000, 16_000, 31_000, 1, *range(1, 3000, 97), 100_000, 5]
    assert all(writer.append("row", body(n, "x" * length)) for n, length in enumerate(lengths))
    writer.rotate()
    (segment,) = segments.list_segments(project.spool("t"))
    assert b"\0" not in segment.path.read_bytes()
    assert [len(line["data"]["text"]) for line in lines(project)] == lengths


def test_a_killed_writer_leaves_zeros_that_are_no_row(project: Project) -> None:
    run(project, "writer.append('row', row(0)); sys.stdout.flush(); os._exit(9)", expect=9)
    (segment,) = segments.list_segments(project.spool("t"))
    assert segment.path.read_bytes().endswith(b"\0")
    assert ids(project) == ["a-0"]
