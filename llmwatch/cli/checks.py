"""What `llmwatch doctor` asks of a store and of each project in it, each of one thing that has gone wrong somewhere."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.cli.findings import Finding, found_by
from llmwatch.cli.output import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmwatch.store import Project, Store

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
MOST_LOOKED_AT = 10_000
_ELSEWHERE = "say where else with LLMWATCH_STORE or `store` in llmwatch.toml"
IDLE_S = 3600.0
"""A segment that is held this long without a row is worth a word."""


def checks(store: Store) -> Iterator[Finding]:
    """Check the store, then each project in it."""
    if not store.root.exists():
        yield can_be_made(store)
        return
    yield writable(store)
    if not (store.root.is_dir() and os.access(store.root, os.R_OK | os.X_OK)):
        return
    of_store: tuple[Callable[[Store], Finding], ...]
    of_store = (private, owned, file_system, space, worker)
    for check in of_store:
        yield found_by(check, store)
    of_project: tuple[Callable[[Project], Finding], ...]
    of_project = (spool, segments, quarantine, erasure, sending)
    for project in store.projects():
        for look in of_project:
            yield found_by(look, project, project.id)


def can_be_made(store: Store) -> Finding:
    above = next(path for path in store.root.parents if path.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        return Finding(
            "store",
            "wrong",
            f"{store.root} is not there, and this user cannot make it in {above}: {_ELSEWHERE}",
        )
    return Finding("store", "ok", f"{store.root} is not there yet; the first row makes it")


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
            f"{store.root} cannot be written: {error.strerror}. Nothing is being recorded: mend that, or {_ELSEWHERE}",
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


def owned(store: Store) -> Finding:
    """A command that was run by root leaves directories into which the service can no longer write."""
    foreign = [path for path in _directories(store.root) if not os.access(path, os.W_OK | os.X_OK)]
    if foreign:
        return Finding(
            "permissions",
            "wrong",
            f"{len(foreign)} directories in it cannot be written by this user, {foreign[0]} first, so their rows are "
            f"lost: sudo chown -R $USER {store.root}",
        )
    return Finding("permissions", "ok", "every directory in it can be written")


def _directories(root: Path) -> list[Path]:
    """Those of a store in which something is written, without those of Delta's and of media: a bounded number."""
    found: list[Path] = []
    for path, inner, _ in os.walk(root):
        found.append(Path(path))
        inner[:] = [name for name in inner if name not in {"media", "values", "_delta_log"}]
        if len(found) >= MOST_LOOKED_AT:
            break
    return found


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
    import llmwatch
    from llmwatch.worker import lock

    told = lock.describe(store)
    if told is None:
        return _no_worker(store)
    process, version = told.get("pid"), told.get("version", llmwatch.__version__)
    if process is not None and not _lives(process):
        return Finding(
            "worker",
            "wrong",
            f"process {process} is gone, and something that it started still holds its lock, so no worker can begin: "
            f"end what `fuser {lock.lock_path(store)}` names",
        )
    if version != llmwatch.__version__:
        return Finding(
            "worker",
            "warning",
            f"process {process} runs llmwatch {version}, this is {llmwatch.__version__}: kill {process}, and recording "
            "starts a new one",
        )
    return Finding("worker", "ok", f"running as process {process or '?'}")


def _no_worker(store: Store) -> Finding:
    if (store.root / "worker.json").exists():
        return Finding(
            "worker",
            "warning",
            f"none is running, and the last one was killed or crashed; recording starts another. {store.root / 'worker.log'} "
            "may say why",
        )
    return Finding("worker", "ok", "none is running; recording starts one, or `llmwatch up`")


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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


def segments(project: Project) -> Finding:
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


def quarantine(project: Project) -> Finding:
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


def sending(project: Project) -> Finding:
    """Rows that are meant for W&B and do not get there."""
    from llmwatch import destination, settings
    from llmwatch.forward.status import status

    about = f"{project.id} W&B"
    if not destination.read(project).on:
        return Finding(about, "ok", "nothing is sent")
    found = status(project, settings.current())
    if found.problem or found.refused or found.standing.startswith("waits"):
        refused = f"; {found.refused} refused" if found.refused else ""
        return Finding(
            about, "warning", f"{found.problem or found.standing}{refused}. See: llmwatch forward"
        )
    return Finding(about, "ok", found.standing)


def _tables(project: Project) -> list[str]:
    from llmwatch.store import EVENTS

    return [*project.tables(), EVENTS]
