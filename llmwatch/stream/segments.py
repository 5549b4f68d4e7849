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
        """Bytes now; 0 when the file is gone."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0


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
        yield fork.lock(fd) and os.fstat(fd).st_nlink > 0
    finally:
        fork.let_go(fd)


def create(directory: Path, writer: str, number: int) -> tuple[int, Path]:
    """A new segment, locked before anyone can see it; its descriptor and path. Raises OSError."""
    ensure(directory)
    name = segment_name(writer, number)
    hidden, path = directory / f".{name}", directory / name
    with suppress(FileNotFoundError):
        hidden.unlink()  # ours: an earlier try that failed half-way
    fd = fork.open_held(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
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
