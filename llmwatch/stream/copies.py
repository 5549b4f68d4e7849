"""Offline run directories in the store: what they hold of rows goes when rows are erased, and is written anew without."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from llmwatch.store import Project

CLOSED = "closed"
"""A file in a directory that is complete: the first step that it holds."""


def directories(place: Path, run_id: str = "*") -> list[Path]:
    """The offline directories of a run, the oldest first."""
    return sorted((place / "wandb").glob(f"offline-run-*-{run_id}"))


def close(directory: Path, first: int) -> None:
    """Say that a directory is complete."""
    with suppress(OSError):  # erased meanwhile
        (directory / CLOSED).write_text(str(first), encoding="utf-8")


def is_closed(directory: Path) -> bool:
    return (directory / CLOSED).exists()


def is_uploaded(directory: Path) -> bool:
    return any(directory.glob("*.synced"))


def forget(project: Project) -> int:
    """Delete the offline directories in the store; how many. Days that were not uploaded are written again by the sink,
    of what is still there."""
    again: dict[str, int] = {}
    found = directories(project.path)
    for directory in found:
        day = directory.name[-8:]
        if is_closed(directory) and not is_uploaded(directory):
            first = int((directory / CLOSED).read_text(encoding="utf-8") or 0)
            again[day] = min(first, again.get(day, first))
        shutil.rmtree(directory, ignore_errors=True)
    for day, first in again.items():
        note = project.path / "positions" / "wandb" / f"sent-{day[:4]}-{day[4:6]}-{day[6:]}.json"
        if note.exists():
            note.write_bytes(orjson.dumps({"steps": first}))
    return len(found)
