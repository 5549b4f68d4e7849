"""Descriptors that hold a flock, and how a forked child lets go of them.

A flock belongs to the open file, which a fork shares: a child that merely keeps the descriptor keeps
its dead parent's lock, and a child that unlocks it takes the lock from a living parent. So every
descriptor of ours that carries a lock is opened here, and a child closes them all without unlocking.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.store import ensure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_held: set[int] = set()
# Paths being opened right now: a fork by another thread may fall between the open and its record.
_opening: dict[object, Path] = {}
_resets: list[Callable[[], None]] = []


def open_held(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open `path`; the descriptor is closed in every child forked from this process."""
    token = object()
    _opening[token] = path
    try:
        fd = os.open(path, flags | os.O_CLOEXEC, mode)
        _held.add(fd)
    finally:
        del _opening[token]
    return fd


def adopt(fd: int) -> None:
    """Hold a descriptor that the process which started us opened and handed over."""
    os.set_inheritable(fd, False)
    _held.add(fd)


def lock(fd: int, *, shared: bool = False) -> bool:
    """Take the flock without waiting; False when someone else has it."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_new(fd: int) -> None:
    """Take the flock of a file just created; BlockingIOError in the unlikely case it is taken."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def alone(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock file `path` for a while; yields False when another process has it, or waits for it."""
    ensure(path.parent)
    fd = open_held(path, os.O_RDWR | os.O_CREAT)
    try:
        if wait:
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield wait or lock(fd)
    finally:
        let_go(fd)


def let_go(fd: int) -> None:
    """Unlock, then close: closing alone leaves the lock with whoever inherited the descriptor."""
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)
    _held.discard(fd)
    with suppress(OSError):
        os.close(fd)


def close_only(fd: int) -> None:
    """Close our copy and leave the lock with another process that was handed the descriptor."""
    _held.discard(fd)
    os.close(fd)


def disown(fd: int) -> None:
    """Forget a descriptor that someone else closed: its number may be their file by now."""
    _held.discard(fd)


def in_child(reset: Callable[[], None]) -> None:
    """Call `reset` first thing in every forked child, before the held descriptors are closed."""
    _resets.append(reset)


def point_nowhere(fd: int) -> int:
    """Make `fd` lead to /dev/null, for code that goes on to write to it after a fork.

    Returns `fd`, or a new descriptor when there was none (-1).
    """
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    if fd < 0:
        return null
    os.dup2(null, fd, inheritable=False)
    os.close(null)
    _held.discard(fd)
    return fd


def _after_in_child() -> None:
    for reset in _resets:
        reset()
    for fd in _held:
        with suppress(OSError):
            os.close(fd)
    _held.clear()
    for path in _opening.values():
        _close_unrecorded(path)
    _opening.clear()


def _close_unrecorded(path: Path) -> None:
    with suppress(OSError):
        wanted = path.stat()
        for entry in Path("/dev/fd").iterdir():
            with suppress(OSError, ValueError):
                if os.path.samestat(os.fstat(int(entry.name)), wanted):
                    os.close(int(entry.name))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)
