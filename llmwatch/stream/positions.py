"""How far a subscriber has come in a table, kept in one small file that is replaced as a whole."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from llmwatch.errors import StoreError
from llmwatch.names import check_name
from llmwatch.store import ensure

if TYPE_CHECKING:
    from llmwatch.store import Project

FORMAT = 1
MOST_WAITING = 20_000
"""Calls that began and have not ended are remembered up to this many, the newest."""


@dataclass
class Position:
    """For each writer the next line's number; with it, what cannot be told by numbers."""

    marks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Writer -> (the next `seq`, the time of the line before it)."""
    waiting: dict[str, None] = field(default_factory=dict)
    """Ids of calls of which a half was seen: they are given when the other is there."""
    offsets: dict[str, int] = field(default_factory=dict)
    """Segment name -> bytes read: where to go on without reading it again."""
    lake_version: int = -1
    """Every row of this commit of the lake was given."""
    since: int = 0
    """Rows recorded before this time are none of the subscriber's."""

    def passed(self, writer: str, seq: int) -> bool:
        mark = self.marks.get(writer)
        return mark is not None and seq < mark[0]

    def advance(self, writer: str, seq: int, ts: int) -> None:
        self.marks[writer] = (seq + 1, ts)

    def wait_for(self, row_id: str) -> None:
        self.waiting[row_id] = None
        while len(self.waiting) > MOST_WAITING:
            del self.waiting[next(iter(self.waiting))]

    def save(self, path: Path) -> None:
        """Written beside, synced and renamed: after a crash it is the one before or this one."""
        ensure(path.parent)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        told = {
            "v": FORMAT,
            "lake": self.lake_version,
            "since": self.since,
            "marks": self.marks,
            "waiting": list(self.waiting),
            "offsets": self.offsets,
        }
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(orjson.dumps(told))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Position | None:
        """The position in `path`; None when there is none yet."""
        try:
            told = orjson.loads(path.read_bytes())
            if told["v"] != FORMAT:
                raise StoreError(f"{path} was written by a newer llmwatch; upgrade this one")
            marks = {writer: (int(seq), int(ts)) for writer, (seq, ts) in told["marks"].items()}
            waiting = dict.fromkeys(told["waiting"])
            return cls(
                marks, waiting, told["offsets"], int(told["lake"]), int(told.get("since", 0))
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path} is not a position of llmwatch's ({error}); remove it to begin again"
            ) from error


def path_of(project: Project, name: str, table: str) -> Path:
    """Where the position of the subscriber `name` in `table` lies."""
    return project.path / "positions" / check_name(name, "subscriber") / f"{table}.json"
