"""Ids of what was deleted or erased here, for whoever has sent it elsewhere: no contents, only ids."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from llmwatch.store import Project


def path_of(project: Project) -> Path:
    return project.path / "forward" / "deleted.ids"


def note(project: Project, ids: Iterable[str]) -> None:
    """Remember that these are gone; nothing is written in a project that was never forwarded."""
    path = path_of(project)
    if not path.parent.is_dir():
        return
    lines = "".join(f"{row_id}\n" for row_id in ids).encode()
    with _locked(path) as fd:
        os.lseek(fd, 0, os.SEEK_END)
        os.write(fd, lines)
        os.fsync(fd)


def waiting(project: Project) -> list[str]:
    """The ids that were noted and not yet dealt with, in order."""
    try:
        text = path_of(project).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line]


def dealt_with(project: Project, count: int) -> None:
    """Forget the first `count` ids; those that were noted meanwhile stay."""
    with _locked(path_of(project)) as fd:
        size = os.fstat(fd).st_size
        lines = os.pread(fd, size, 0).splitlines(keepends=True)
        left = b"".join(lines[count:])
        os.ftruncate(fd, 0)
        os.pwrite(fd, left, 0)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)
