"""The files of a spool: their names, how one comes into view, and which are sealed."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmwatch.store import ensure
from llmwatch.stream import fork

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AHEAD = 1 << 15
"""The most zeros that a writer keeps where its next lines will go. A line holds none: JSON escapes them."""
_NAME = re.compile(r"([A-Za-z0-9]+)-([0-9]{8,})\.jsonl")
# A creator needs microseconds between open and lock; this long after, an unlocked dot-name is litter.
LEFTOVER_S = 60.0


@dataclass(frozen=True)
class Segment:
    """One JSONL file that one writer fills; `number` counts from 1 in a writer."""

    path: Path
    writer: str
    number: int

    def size(self) -> int:
        """Bytes that were written, without the zeros ahead of them; 0 when the file is gone."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        except OSError:  # no descriptor is to be had: about the size will do
            return self.path.stat().st_size
        try:
            return written(fd)
        finally:
            os.close(fd)


def segment_name(writer: str, number: int) -> str:
    return f"{writer}-{number:08d}.jsonl"


def parse_name(name: str) -> tuple[str, int] | None:
    """(writer, number) of a segment's file name; None for any other file."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def list_segments(directory: Path) -> list[Segment]:
    """Every segment in view, by writer and number. A directory that is not there has none."""
    return sorted(_scan(directory), key=lambda segment: (segment.writer, segment.number))


def _scan(directory: Path) -> Iterator[Segment]:
    try:
        entries = os.scandir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            parsed = parse_name(entry.name)
            if parsed and entry.is_file(follow_symlinks=False):
                yield Segment(directory / entry.name, *parsed)


def is_sealed(segment: Segment) -> bool:
    """True when its writer closed it or died. A segment that is gone is not sealed."""
    return _try_lock(segment.path, shared=True)


def _try_lock(path: Path, *, shared: bool) -> bool:
    try:
        fd = fork.open_held(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return fork.lock(fd, shared=shared)
    finally:
        fork.let_go(fd)


def written(fd: int) -> int:
    """Bytes of a segment that were written, without the zeros ahead of them."""
    size = os.fstat(fd).st_size
    if not size or os.pread(fd, 1, size - 1) != b"\0":
        return size
    start = max(0, size - 2 * AHEAD)
    tail = os.pread(fd, size - start, start)
    whole = tail.rfind(b"\n") + 1
    rest = tail[whole:]
    torn = b"" if rest == bytes(len(rest)) else rest.rstrip(b"\0")  # comparing takes a hundredth of stripping
    return start + whole + len(torn)


def whole_lines(fd: int, start: int, most: int) -> bytes:
    """The whole lines from `start` on, about `most` bytes of them; one line, where it is longer than that.

    What follows the last newline is torn, being written, or room for lines to come.
    """
    size = os.fstat(fd).st_size  # once: what comes meanwhile is for the next reading
    lines = _to_last_newline(os.pread(fd, min(most, max(0, size - start)), start))
    if not lines and size - start > most:
        lines = _to_last_newline(os.pread(fd, size - start, start))
    return lines if lines.find(b"\0") < 0 else _settled(fd, start, len(lines))


def _to_last_newline(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _settled(fd: int, start: int, length: int) -> bytes:
    """The same bytes read again: a zero was a byte of a line that was being written while we read.

    Whatever another line follows is written by now; only the last line may not be.
    """
    lines = os.pread(fd, length, start)
    last = lines.rfind(b"\n", 0, -1) + 1
    return lines[:last] if lines.find(b"\0", last) >= 0 else lines


@contextmanager
def take(segment: Segment) -> Iterator[bool]:
    """Hold a sealed segment; yields False when its writer lives, another holds it or it is gone.

    A reader that asks `is_sealed` at the same instant can make this False: try again next time.
    """
    try:
        fd = fork.open_held(segment.path, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    try:
        held = fork.lock(fd) and os.fstat(fd).st_nlink > 0
        if held:
            _trim(fd)
        yield held
    finally:
        fork.let_go(fd)


def _trim(fd: int) -> None:
    """Cut off the zeros that a writer left which had no time to."""
    end = written(fd)
    if end < os.fstat(fd).st_size:
        os.ftruncate(fd, end)


def create(directory: Path, writer: str, number: int) -> tuple[int, Path]:
    """A new segment, locked before anyone can see it; its descriptor and path. Raises OSError."""
    ensure(directory)
    name = segment_name(writer, number)
    hidden, path = directory / f".{name}", directory / name
    with suppress(FileNotFoundError):
        hidden.unlink()  # ours: an earlier try that failed half-way
    fd = fork.open_held(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fork.lock_new(fd)
        hidden.rename(path)
    except BaseException:
        fork.let_go(fd)
        with suppress(OSError):
            hidden.unlink()
        raise
    return fd, path


def remove_leftovers(directory: Path, older_than_s: float = LEFTOVER_S) -> int:
    """Delete dot-names whose creators died between open and rename; returns how many."""
    removed = 0
    try:
        names = [entry.name for entry in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return 0
    for name in names:
        if name.startswith(".") and parse_name(name[1:]):
            removed += _remove_leftover(directory / name, older_than_s)
    return removed


def _remove_leftover(path: Path, older_than_s: float) -> bool:
    try:
        if time.time() - path.stat().st_mtime < older_than_s:
            return False
        if not _try_lock(path, shared=False):
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True
