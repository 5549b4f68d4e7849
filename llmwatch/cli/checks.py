"""The checks that `llmwatch doctor` makes, each of one thing that has gone wrong on some machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmwatch.cli.output import size
from llmwatch.store import Store, locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmwatch.store import Project

PACKAGES = ("weave", "duckdb", "deltalake", "orjson")
NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "lustre",
}
LITTLE_SPACE = 1 << 30
LARGE_TAIL = 512 << 20
IDLE_S = 3600.0
"""A segment that is held this long without a row is worth a word."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    about: str
    level: Literal["ok", "warning", "wrong"]
    said: str


def checks(path: str | None) -> Iterator[Finding]:
    """Check the machine, then the store, then each project in it."""
    yield python_and_system()
    yield packages()
    store = Store(locate(path))
    if not store.root.is_dir():
        yield Finding("store", "ok", f"{store.root} is not there yet; the first row makes it")
        return
    of_store: tuple[Callable[[Store], Finding], ...] = (
        writable,
        private,
        file_system,
        space,
        worker,
    )
    for check in of_store:
        yield check(store)
    for project in store.projects():
        yield spool(project)
        yield held_segments(project)
        yield quarantined(project)
        yield erasure(project)


def python_and_system() -> Finding:
    said = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    if sys.platform == "win32":
        return Finding(
            "system", "wrong", f"{said}: llmwatch records on Linux and macOS only; use WSL"
        )
    return Finding("system", "ok", said)


def packages() -> Finding:
    versions = {name: _version(name) for name in PACKAGES}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        return Finding(
            "packages",
            "wrong",
            f"missing: {', '.join(missing)}; pip install --force-reinstall llmwatch",
        )
    return Finding(
        "packages", "ok", ", ".join(f"{name} {version}" for name, version in versions.items())
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def writable(store: Store) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=store.root) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Finding(
            "store",
            "wrong",
            f"{store.root} cannot be written: {error.strerror}. Nothing is being recorded",
        )
    return Finding("store", "ok", f"{store.root} can be written")


def private(store: Store) -> Finding:
    about = store.root.stat()
    mode = stat.S_IMODE(about.st_mode)
    if about.st_uid != os.getuid():
        return Finding(
            "privacy", "warning", f"{store.root} belongs to user {about.st_uid}, not to you"
        )
    if mode & 0o077:
        return Finding(
            "privacy", "warning", f"others may read it (mode {mode:o}): chmod 700 {store.root}"
        )
    return Finding("privacy", "ok", "only you can read it")


def file_system(store: Store) -> Finding:
    kind = file_system_of(store.root, _mounts())
    if kind is None:
        return Finding("file system", "ok", "unknown here")
    if kind in NETWORK_FILE_SYSTEMS:
        return Finding(
            "file system",
            "warning",
            f"{kind} is a network file system: locks and appends may not hold there. Put the store on a local disk",
        )
    return Finding("file system", "ok", kind)


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def file_system_of(path: Path, mounts: str) -> str | None:
    """The type of the file system that holds a path, from the text of `/proc/self/mounts`."""
    held = [line.split()[1:3] for line in mounts.splitlines() if len(line.split()) > 2]
    fitting = [
        (len(point), number, kind)
        for number, (written, kind) in enumerate(held)
        if path.is_relative_to(point := written.replace("\\040", " "))
    ]
    return max(fitting)[2] if fitting else None


def space(store: Store) -> Finding:
    free = shutil.disk_usage(store.root).free
    if free < LITTLE_SPACE:
        return Finding("disk", "warning", f"only {size(free)} free; rows are lost when it is full")
    return Finding("disk", "ok", f"{size(free)} free")


def worker(store: Store) -> Finding:
    from llmwatch.worker import lock

    told = lock.describe(store)
    if told is None:
        return Finding("worker", "ok", "none is running; recording starts one, or `llmwatch up`")
    return Finding("worker", "ok", f"running as process {told.get('pid', '?')}")


def spool(project: Project) -> Finding:
    from llmwatch.stream.segments import list_segments

    tables = _tables(project)
    waiting = sum(
        segment.size() for table in tables for segment in list_segments(project.spool(table))
    )
    if waiting > LARGE_TAIL:
        return Finding(
            f"{project.id} spool",
            "warning",
            f"{size(waiting)} wait to be compacted, which slows every query: llmwatch compact {project.id}",
        )
    return Finding(f"{project.id} spool", "ok", f"{size(waiting)} in {len(tables)} tables")


def held_segments(project: Project) -> Finding:
    """A segment is held by its writer, or by a child that was forked from it and outlived it."""
    from llmwatch.stream.segments import is_sealed, list_segments

    idle = [
        segment
        for table in _tables(project)
        for segment in list_segments(project.spool(table))
        if not is_sealed(segment) and _age(segment.path) > IDLE_S
    ]
    about = f"{project.id} segments"
    if not idle:
        return Finding(about, "ok", "none is held by an idle process")
    oldest = max(_age(segment.path) for segment in idle) / 3600
    return Finding(
        about,
        "warning",
        f"{len(idle)} held by processes that wrote nothing for up to {oldest:.0f} h, and cannot be compacted until "
        f"they end or write; see which: fuser {idle[0].path}",
    )


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def quarantined(project: Project) -> Finding:
    files = [file for table in _tables(project) for file in project.quarantine(table).glob("*.bad")]
    if not files:
        return Finding(f"{project.id} quarantine", "ok", "empty")
    lines = sum(file.read_bytes().count(b"\n") for file in files)
    return Finding(
        f"{project.id} quarantine",
        "wrong",
        f"{lines} unreadable lines in {len(files)} files under {project.path / 'quarantine'}; look at them, then "
        "delete the files",
    )


def erasure(project: Project) -> Finding:
    from llmwatch.stream.erase import pending

    if pending(project):
        return Finding(
            f"{project.id} erasure",
            "wrong",
            "one was cut off half-way: run the same `llmwatch erase` again",
        )
    return Finding(f"{project.id} erasure", "ok", "none is half-done")


def _tables(project: Project) -> list[str]:
    from llmwatch.store import EVENTS

    return [*project.tables(), EVENTS]
