"""Which process is the store's worker: the flock on `worker.lock`, described in `worker.json`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import llmwatch
from llmwatch import clock
from llmwatch.stream import fork

if TYPE_CHECKING:
    from pathlib import Path

    from llmwatch.store import Store


def lock_path(store: Store) -> Path:
    return store.root / "worker.lock"


def try_take(store: Store) -> int | None:
    """The descriptor that makes its holder the worker; None when there is one. Never waits."""
    path = lock_path(store)
    fd = fork.open_held(path, os.O_RDWR | os.O_CREAT)
    if fork.lock(fd) and is_current(store, fd):
        return fd
    fork.close_only(fd)
    return None


def is_current(store: Store, fd: int) -> bool:
    """False once the store is gone or someone put another lock file in place of ours."""
    try:
        return os.path.samestat(os.fstat(fd), lock_path(store).stat())
    except OSError:
        return False


def is_running(store: Store) -> bool:
    """True while some process is the store's worker."""
    if not lock_path(store).exists():
        return False
    fd = try_take(store)
    if fd is None:
        return True
    fork.let_go(fd)
    return False


def describe(store: Store) -> dict[str, Any] | None:
    """pid, start (microseconds) and version of the running worker; None when there is none."""
    if not is_running(store):
        return None
    try:
        described = json.loads((store.root / "worker.json").read_bytes())
    except (OSError, ValueError):
        return {}  # it has just started, or is about to end
    return described if isinstance(described, dict) else {}


def write_description(store: Store) -> None:
    """Say who the worker is; written whole or not at all."""
    text = json.dumps(
        {"pid": os.getpid(), "started": clock.now_us(), "version": llmwatch.__version__}
    )
    hidden = store.root / f".worker.json.{os.getpid()}"
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    hidden.replace(store.root / "worker.json")


def remove_description(store: Store) -> None:
    with suppress(OSError):
        (store.root / "worker.json").unlink()
