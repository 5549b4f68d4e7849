"""Group fsync: what writers appended reaches the disk about a second later, off their path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmwatch import faults
from llmwatch.store import EVENTS
from llmwatch.stream import segments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmwatch.settings import Settings
    from llmwatch.store import Store


def spools(store: Store) -> Iterator[Path]:
    """The spool directories of every table and of the events of every project."""
    for project in store.projects():
        for table in (*project.tables(), EVENTS):
            yield project.spool(table)


class Durability:
    """Syncs the segments that grew. An fsync of a file works from any process that opens it."""

    name = "durability"

    def __init__(self) -> None:
        self._sizes: dict[Path, int] = {}

    def tick(self, store: Store, settings: Settings) -> bool:
        sizes: dict[Path, int] = {}
        for directory in spools(store):
            sizes.update({s.path: s.size() for s in segments.list_segments(directory)})
            segments.remove_leftovers(directory)
        grown = [path for path, size in sizes.items() if size > self._sizes.get(path, 0)]
        if settings.fsync == "group":
            self._sync(grown)
        self._sizes = sizes
        return bool(grown)

    def _sync(self, grown: list[Path]) -> None:
        for path in grown:
            _sync_file(path)
        # A new name lives in its directory, which is a file to be synced like any other.
        for directory in {path.parent for path in grown if path not in self._sizes}:
            _sync_file(directory)


def _sync_file(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # compacted meanwhile
    try:
        with faults.contained(f"{path} could not be made safe against power loss"):
            os.fsync(fd)
    finally:
        os.close(fd)
