"""What retention has to leave because somebody still needs it: rows that wait to be sent elsewhere, up to a bound."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.store import ensure

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.snapshot import DataFile

Newest = Callable[["DataFile"], float]
"""When the newest row of a file was written, in seconds."""


@dataclass(frozen=True)
class Needed:
    """From when on each table's rows are needed, in seconds, and how many bytes of files that may hold back."""

    since: Mapping[str, float] = field(default_factory=dict)
    others_since: float = float("inf")
    most_bytes: float = 0.0

    def of(self, table: str) -> float:
        return self.since.get(table, self.others_since)


def path_of(project: Project) -> Path:
    return project.path / "forward" / "needed.json"


def note(project: Project, needed: Needed) -> None:
    """Say what is needed from now on; retention reads it before it removes anything."""
    told = {
        "since": dict(needed.since),
        "others_since": needed.others_since,
        "most_bytes": needed.most_bytes,
    }
    _write(path_of(project), told)


def nothing_needed(project: Project) -> None:
    """Nobody waits for rows of the project any more: retention is free to remove them."""
    path_of(project).unlink(missing_ok=True)


def needed(project: Project) -> Needed:
    told = _read(path_of(project))
    if not told:
        return Needed()
    return Needed(told["since"], float(told["others_since"]), float(told["most_bytes"]))


def held(project: Project, files: Iterable[tuple[str, DataFile]], newest: Newest) -> set[Path]:
    """Of a project's files (each with its table), those that retention leaves: the newest first, up to the bound."""
    wanted = needed(project)
    waiting = [(newest(file), file) for table, file in files if newest(file) >= wanted.of(table)]
    kept: set[Path] = set()
    left = wanted.most_bytes
    for _, file in sorted(waiting, key=lambda entry: entry[0], reverse=True):
        left -= file.size
        if left < 0:
            break
        kept.add(file.path)
    return kept


def note_dropped(project: Project, rows: int) -> None:
    """Rows that were needed and are gone all the same: the bound, or the cap of the store, was reached."""
    path = path_of(project).with_name("dropped.json")
    _write(path, {"rows": dropped(project) + rows})


def dropped(project: Project) -> int:
    return int(_read(path_of(project).with_name("dropped.json")).get("rows", 0))


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _write(path: Path, told: object) -> None:
    ensure(path.parent)
    fd, draft = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(told, file)
    Path(draft).replace(path)
