"""The write path: one locked segment a writer, one `os.pwrite` a row, no row lost in silence."""

from __future__ import annotations

import atexit
import errno
import json
import os
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from llmwatch import clock, faults
from llmwatch.capture.encode import one_line
from llmwatch.store import EVENTS, Project
from llmwatch.stream import fork, segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmwatch.settings import Settings

_CHECK_US = 1_000_000  # between looks at the segment's age and whether it is still there
_NEVER_US = 1 << 62
_RETRY_S = 1.0  # between tries to create a segment where one could not be created
_DEMAND_S = 10.0  # between calls for the worker
# Errors of this one file: the next segment may do better. A full disk is not among them.
_ANOTHER_FILE_MAY_DO = frozenset(
    {errno.EBADF, errno.EFBIG, errno.EIO, errno.ESTALE, errno.EINVAL, errno.ESPIPE}
)
_ZEROS = bytes(segments.AHEAD)


_alive: weakref.WeakSet[Writer] = weakref.WeakSet()


class Writer:
    """Appends the lines of one table from this process; any thread, signal handler or child may call.

    `append` and `write` return True when the operating system has the whole line, False when the row is lost:
    they never raise (outside `faults.strict`), and say through `llmwatch.faults` what was lost.
    """

    _now: Callable[[], int] = staticmethod(clock.now_us)
    """The time that a row gets; rows that come from elsewhere bring their own (`stream.replay`)."""

    def __init__(self, project: Project, table: str, settings: Settings) -> None:
        self.project = project
        self.table = table
        self._dir = project.spool(table)
        self.configure(settings)
        self._start_afresh()
        _alive.add(self)

    def configure(self, settings: Settings) -> None:
        self.settings = settings
        self._max_bytes = int(settings.segment_mb * (1 << 20))
        self._max_age_us = int(settings.segment_age_s * 1_000_000)
        self._fsync_each = settings.fsync == "row"

    def _start_afresh(self) -> None:
        """The state of a writer that has written nothing: at first, and again in a forked child."""
        self.id = os.urandom(6).hex()
        self._lock = threading.RLock()
        self._busy = False
        self._beside: Writer | None = None
        self._prefixes: dict[str, bytes] = {}
        self._seq = self._ts = self._number = 0
        self._fd = -1
        self._path = self._dir
        self._identity = (0, 0)
        self._size = self._ahead = self._opened_at = self._checked_at = self._due = 0
        self._rows_before = 0
        self._mark = (-1, 0, 0)
        self._torn = False
        self._retry_at = self._demand_at = 0.0
        self._refusal: OSError | None = None
        self._after: list[Callable[[], None]] = []

    def append(self, t: str, body: bytes) -> bool:
        """Write one line of kind `t`: the envelope and the keys of the JSON object `body`."""
        return self.write(t, b"", one_line(body)[1:])

    def write(self, t: str, head: bytes, body: bytes, tail: bytes = b"", now: int = 0) -> bool:
        """As `append`, with the object in three parts and without its opening brace, which spares the hot path copies.

        There must be no line break in it. `now` is the time in microseconds, for a caller that knows it.
        """
        lock = self._lock
        try:
            with lock:
                if self._busy:
                    # A signal handler or __del__ inside an append of this thread: the half-done
                    # line must not be touched, so it writes to a segment of its own.
                    return self._writer_beside().write(t, head, body, tail, now)
                self._busy = True
                try:
                    self._write(t, head, body, tail, now)
                except OSError as error:
                    self._write_elsewhere(error, t, head, body, tail)
                except BaseException:
                    self._settle_interrupted()
                    raise
                finally:
                    self._busy = False
                    if self._lock is not lock:
                        self._leave_to_parent()
        except Exception as error:  # noqa: BLE001 - our faults stop here, reported with the row lost
            return self._lose(error)
        if self._after:
            self._run_after()
        return True

    def _write(self, t: str, head: bytes, body: bytes, tail: bytes, now: int) -> None:
        if self._mark[2] != self._size:  # an append was interrupted, and the settling of it too
            self._settle_interrupted()
        now = now or self._now()
        if now >= self._due or now < self._checked_at or self._size >= self._max_bytes:
            self._check(now)
        if now > self._ts:  # noqa: PLR1730 - max() costs a call on every row
            self._ts = now
        seq, size = self._seq, self._size
        prefix = self._prefixes.get(t) or self._make_prefix(t)
        line = b"".join((prefix, b'%d,"ts":%d,' % (seq, self._ts), head, body, tail, b"\n"))
        end = size + len(line)
        self._mark = (seq, size, end)
        if end > self._ahead:
            self._write_ahead(end)
        if (done := os.pwrite(self._fd, line, size)) != len(line):
            self._complete(line, done)
        self._seq = seq + 1
        self._size = end
        if self._fsync_each:
            self._fsync()

    def _make_prefix(self, t: str) -> bytes:
        envelope = {
            "v": 1,
            "t": t,
            "project": self.project.id,
            "table": self.table,
            "writer": self.id,
        }
        if self.table == EVENTS:
            del envelope["table"]  # an event's table is that of its row: the body says it
        text = json.dumps(envelope, separators=(",", ":"))[:-1] + ',"seq":'
        return self._prefixes.setdefault(t, text.encode())

    def _write_ahead(self, end: int) -> None:
        """Zeros where the next lines will go: a write over them is three times quicker than one that appends.

        Where there is no room for them, the line itself will say so.
        """
        start = max(self._size, self._ahead)
        if end - start < segments.AHEAD // 2 and self._own_file() is not None:
            with suppress(OSError):
                self._ahead = start + os.pwrite(self._fd, _ZEROS, start)

    # What can go wrong with one line.

    def _complete(self, line: bytes, done: int) -> None:
        """Write the rest of a short write, or cut the line back off."""
        try:
            while done < len(line):
                done += os.pwrite(self._fd, line[done:], self._size + done)
        except OSError:
            self._cut_back()
            raise

    def _cut_back(self) -> None:
        try:
            self._mend()
        except OSError:
            self._torn = True
            self._due = 0  # the next append goes on in another segment, or mends this one before it writes

    def _mend(self) -> None:
        """Rid the segment of what follows its last whole line; raises OSError while that cannot be done."""
        if self._own_file() is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        os.ftruncate(self._fd, self._size)
        self._ahead = self._size
        self._mark = (self._seq - 1, self._size, self._size)
        self._torn = False

    def _settle_interrupted(self) -> None:
        """A signal handler raised inside an append: the file says whether the line was written.

        May itself be interrupted at any point, and is then done again before the next line.
        """
        seq, start, end = self._mark
        with suppress(OSError):
            if self._own_file() is None:
                self._due = 0  # the next append looks at the file before it writes
            elif os.pread(self._fd, 1, end - 1) == b"\n":  # a zero, or nothing, before the line is whole
                self._seq, self._size = seq + 1, end
            else:
                self._seq, self._size = seq, start
                self._cut_back()

    def _write_elsewhere(self, error: OSError, t: str, head: bytes, body: bytes, tail: bytes) -> None:
        """Once more in a new segment, when the fault may be with the file; else raises `error`."""
        if error.errno not in _ANOTHER_FILE_MAY_DO or self._fd < 0 or self._size == 0:
            raise error
        if error.errno == errno.EBADF:
            self._abandon()  # first: the new segment may well get the same descriptor
        number = self._number
        self._next_segment(clock.now_us())
        if self._number == number:
            raise error
        self._write(t, head, body, tail, 0)

    def _lose(self, error: Exception) -> bool:
        self._run_after()
        reason = (
            os.strerror(error.errno) if isinstance(error, OSError) and error.errno else repr(error)
        )
        cause = (
            f"a row of {self.project.id}/{self.table} could not be written to {self._dir}: {reason}"
        )
        faults.report(cause, error, lost=1)
        return False

    def _fsync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._say(
                f"{self._path} is written but could not be made safe against power loss", error
            )

    # What is looked at now and then.

    def _check(self, now: int) -> None:
        self._checked_at = now
        if self._fd >= 0:
            self._look_at_file()
        self._opened_at = min(self._opened_at, now)  # the clock may have been set back
        old = self._size > 0 and now - self._opened_at >= self._max_age_us
        if self._fd < 0 or self._size >= self._max_bytes or old or self._torn:
            self._next_segment(now)
        if self._torn:
            self._mend()
        self._due = now + _CHECK_US
        self._demand_worker()

    def _look_at_file(self) -> None:
        """Give up a segment that was deleted, or whose descriptor someone closed under us."""
        found = self._own_file()
        if found is None:
            self._abandon()
        elif found.st_nlink == 0:
            lost = self._seq - self._rows_before
            self._say(f"{self._path} was deleted while in use, with the rows in it", lost=lost)
            fork.let_go(self._fd)
            self._forget_segment()
        elif found.st_size < self._size:
            self._say(f"{self._path} was cut short by other code, with rows in it; a new segment is used")
            fork.let_go(self._fd)
            self._forget_segment()

    def _own_file(self) -> os.stat_result | None:
        """What the descriptor leads to; None when other code closed it, or has its number now."""
        try:
            found = os.fstat(self._fd)
        except OSError:
            return None
        return found if (found.st_dev, found.st_ino) == self._identity else None

    def _abandon(self) -> None:
        self._say(f"the descriptor of {self._path} was closed by other code; a new segment is used")
        fork.disown(self._fd)
        self._forget_segment()

    def _forget_segment(self) -> None:
        self._fd = -1
        self._size = self._due = 0
        self._torn = False

    def _next_segment(self, now: int) -> None:
        """Go on in a new segment; keeps the old one, if there is one, while that cannot be had."""
        refused = self._refusal
        if refused is None or time.monotonic() >= self._retry_at:
            try:
                fd, path = segments.create(self._dir, self.id, self._number + 1)
            except OSError as error:
                refused = self._refuse(error)
            else:
                self._seal()
                self._begin(fd, path, now)
                return
        if self._fd < 0:
            raise OSError(refused.errno, refused.strerror, refused.filename)

    def _refuse(self, error: OSError) -> OSError:
        # Trying on every row would make a full or read-only disk slow down the caller.
        self._refusal, self._retry_at = error, time.monotonic() + _RETRY_S
        if self._fd >= 0:
            self._say(
                f"no new segment could be created in {self._dir}; {self._path} is kept", error
            )
        return error

    def _begin(self, fd: int, path: Path, now: int) -> None:
        found = os.fstat(fd)
        self._identity = (found.st_dev, found.st_ino)
        self._fd, self._path, self._opened_at = fd, path, now
        self._number += 1
        self._size = self._ahead = 0
        self._rows_before = self._seq
        self._mark = (self._seq - 1, 0, 0)
        self._torn, self._refusal = False, None

    def _seal(self) -> None:
        if self._fd < 0:
            return
        if self._own_file() is None:
            self._abandon()
            return
        if self._mark[2] != self._size:
            self._settle_interrupted()
        if self._size == 0 and not self._torn:
            with suppress(OSError):
                self._path.unlink()
        elif self._ahead > self._size:
            with suppress(OSError):  # else the compactor does it
                os.ftruncate(self._fd, self._size)
        fork.let_go(self._fd)
        self._forget_segment()

    # What is done when the lock is no longer held: both may run code that waits for other threads.

    def _say(self, cause: str, error: BaseException | None = None, *, lost: int = 0) -> None:
        self._after.append(partial(faults.report, cause, error, lost=lost))

    def _demand_worker(self) -> None:
        if self.settings.worker and time.monotonic() >= self._demand_at:
            self._demand_at = time.monotonic() + _DEMAND_S
            self._after.append(self._call_worker)

    def _call_worker(self) -> None:
        with faults.contained(f"the worker of {self.project.store.root} could not be started"):
            from llmwatch import worker

            worker.ensure_running(self.project.store, self.settings)

    def _run_after(self) -> None:
        waiting, self._after = self._after, []
        for action in waiting:
            action()

    def _writer_beside(self) -> Writer:
        if self._beside is None:
            self._beside = Writer(self.project, self.table, self.settings)
        return self._beside

    # What a caller may ask for.

    def flush(self, fsync: bool = True) -> None:
        """Every append has reached the operating system already; `fsync` makes it reach the disk."""
        with self._lock:
            if fsync and self._fd >= 0:
                self._fsync()
        if self._beside is not None:
            self._beside.flush(fsync)
        self._run_after()

    def rotate(self) -> None:
        """Seal the segment now; the next append starts another."""
        with self._lock:
            if self._busy:
                self._after.append(self.rotate)  # asked for by a signal handler in the middle
                return
            self._busy = True
            try:
                self._seal()
            finally:
                self._busy = False
        if self._beside is not None:
            self._beside.rotate()
        self._run_after()

    close = rotate

    def _reset_in_child(self) -> None:
        # A held lock can be taken once more only by the thread that holds it: the fork was made
        # inside this very append, by a signal handler, and the child will go on in it.
        inside = self._busy and self._lock.acquire(blocking=False)
        fd = self._fd
        self._start_afresh()
        if inside:
            self._busy = True
            self._fd = fork.point_nowhere(fd)
            self._due = _NEVER_US

    def _leave_to_parent(self) -> None:
        """The end of an append that this process was forked in: the parent writes the line."""
        os.close(self._fd)
        self._start_afresh()


_writers: dict[tuple[str, str], Writer] = {}


def writer(project: Project, table: str, settings: Settings) -> Writer:
    """This process's writer of a table; the same one each time, usable across forks."""
    key = (str(project.path), table)
    found = _writers.get(key)
    if found is None:
        found = _writers.setdefault(key, Writer(project, table, settings))
    elif found.settings is not settings:
        found.configure(settings)
    return found


def close_all() -> None:
    """Seal every segment of this process; writers stay usable."""
    for open_writer in list(_writers.values()):
        open_writer.close()


def _reset_all_in_child() -> None:
    for inherited in list(_alive):
        inherited._reset_in_child()


fork.in_child(_reset_all_in_child)
atexit.register(close_all)
