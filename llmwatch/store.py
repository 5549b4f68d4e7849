"""The store: one private directory, and where everything in it lies."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from llmwatch import settings
from llmwatch.errors import InvalidName, StoreError
from llmwatch.names import check_name

EVENTS = "_events"
VECTORS = "_vectors"
BASELINES = "_baselines"
PARTS = "_parts"
DERIVED = (BASELINES, VECTORS)
"""Tables of what was made from rows, then from those; a line's `parent_id` is what it was made from, so that erasing
the row erases it."""
PRIVATE_DIRECTORY = 0o700


@dataclass(frozen=True)
class Store:
    """A directory that holds projects. Open one with `open_store`."""

    root: Path

    def project(self, entity: str, name: str) -> Project:
        return Project(self, check_name(entity, "entity"), check_name(name, "project"))

    def projects(self) -> list[Project]:
        """The projects that have something recorded, by name."""
        return [
            Project(self, entity, name)
            for entity in _named_directories(self.root)
            for name in _named_directories(self.root / entity)
        ]


@dataclass(frozen=True)
class Project:
    """One project of a store. The paths are where things lie; asking for one creates nothing."""

    store: Store
    entity: str
    name: str

    @property
    def id(self) -> str:
        return f"{self.entity}/{self.name}"

    @property
    def path(self) -> Path:
        return self.store.root / self.entity / self.name

    @property
    def media(self) -> Path:
        return self.path / "media"

    @property
    def objects(self) -> Path:
        return self.path / "objects"

    @property
    def temporary(self) -> Path:
        """Where DuckDB puts what does not fit in memory; emptied by vacuum and erase."""
        return self.path / "tmp"

    def spool(self, table: str) -> Path:
        return self.path / "spool" / _table(table)

    def lake(self, table: str) -> Path:
        return self.path / "events" if table == EVENTS else self.path / "tables" / _table(table)

    def quarantine(self, table: str) -> Path:
        return self.path / "quarantine" / _table(table)

    def lock(self, name: str) -> Path:
        return self.path / "locks" / f"{name}.lock"

    def task_lock(self, task: str) -> Path:
        """The lock of a background task. No table has a name like it: a task must not hold up a table of its name."""
        return self.lock(f"@{task}")

    def tables(self) -> list[str]:
        """The tables that have a spool or a lake, by name; the events are not one of them."""
        spooled = _named_directories(self.path / "spool")
        return sorted({*spooled, *_named_directories(self.path / "tables")})

    def all_tables(self) -> list[str]:
        """`tables`, the events, and the tables that llmwatch keeps for itself (`_objects`, ...)."""
        spooled = _directories(self.path / "spool")
        internal = {
            name for name in (*spooled, *_directories(self.path / "tables")) if is_internal(name)
        }
        if self.lake(EVENTS).is_dir() or self.spool(EVENTS).is_dir():
            internal.add(EVENTS)
        return [*self.tables(), *sorted(internal)]


def open_store(path: str | Path | None = None) -> Store:
    """Open the store at `path`, or the one the settings name; it is made, for its owner only, when it is not there.

    >>> import tempfile
    >>> open_store(tempfile.mkdtemp()).projects()
    []
    """
    if sys.platform == "win32":
        raise StoreError(
            "llmwatch records on Linux and macOS only: its spool needs flock and pwrite. On Windows, run it in WSL"
        )
    root, in_project = _chosen(path)
    try:
        ensure(root)
        if in_project:
            _keep_out_of_git(root)
    except OSError as error:
        raise StoreError(
            f"cannot make the store {root}: {error.strerror or error}. Give another with LLMWATCH_STORE"
        ) from error
    return Store(root)


def locate(path: str | Path | None = None) -> Path:
    """Where `open_store` would open one, without making it."""
    return _chosen(path)[0]


def ensure(directory: Path) -> Path:
    """Make a directory and the missing ones above it, each open to its owner only."""
    if directory.is_dir():
        return directory
    if directory.parent != directory:
        ensure(directory.parent)
    directory.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    return directory


def default_root() -> tuple[Path, bool]:
    """Where the store is when nobody says, and whether that is inside a project."""
    root = settings.project_root()
    if root is not None:
        return root / ".llmwatch", True
    return _user_data() / "llmwatch", False


def _chosen(path: str | Path | None) -> tuple[Path, bool]:
    given = path if path is not None else settings.current().store
    if given is None:
        return default_root()
    if "://" in str(given):
        raise StoreError(f"the store is a directory of this machine; {given} is not one")
    return Path(os.path.abspath(Path(given).expanduser())), False  # noqa: PTH100 - links are kept as given


def _user_data() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _keep_out_of_git(root: Path) -> None:
    ignore = root / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def is_internal(table: str) -> bool:
    """Whether llmwatch keeps this table for itself; a user's table cannot have such a name."""
    return re.fullmatch(r"_[a-z]{1,40}", table) is not None


def _table(table: str) -> str:
    return table if is_internal(table) else check_name(table, "table")


def _directories(directory: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _named_directories(directory: Path) -> list[str]:
    return [name for name in _directories(directory) if _is_name(name)]


def _is_name(text: str) -> bool:
    try:
        check_name(text, "directory")
    except InvalidName:
        return False
    return True
