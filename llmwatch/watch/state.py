"""What the watch remembers between turns: which time each metric set's cells cover, and which minutes it has still to make."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from llmwatch.errors import StoreError
from llmwatch.store import ensure

if TYPE_CHECKING:
    from llmwatch.store import Project

FORMAT = 1
MOST_STRAYS = 4000
"""Hours of which some row was recorded at another time are remembered up to this many (more than five months)."""


@dataclass
class State:
    """All of it is small: it does not grow with rows."""

    turn: int = 0
    """Counts up: cells of a later turn replace those of an earlier one."""
    spans: dict[str, list[int]] = field(default_factory=dict)
    """Key of a set's cells -> [from, to): minutes in it were made, or had no rows."""
    touched: dict[str, set[int]] = field(default_factory=dict)
    """Key -> minutes to make when their time is over."""
    hours: dict[str, set[int]] = field(default_factory=dict)
    """Key -> hours to put together."""
    strays: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    """Table -> hour -> [first, last] time when rows of that hour were recorded, where that is far from it."""
    lasting: dict[str, set[int]] = field(default_factory=dict)
    """Name of a set -> starts of windows that have rows and are not over."""
    told: dict[str, int] = field(default_factory=dict)
    """Name of a set -> up to when its windows were told."""

    def covered(self, key: str) -> tuple[int, int] | None:
        span = self.spans.get(key)
        return None if span is None else (span[0], span[1])

    def stray(self, table: str, hour_us: int, recorded_us: int) -> None:
        hours = self.strays.setdefault(table, {})
        known = hours.setdefault(hour_us, [recorded_us, recorded_us])
        known[:] = [min(known[0], recorded_us), max(known[1], recorded_us)]
        while len(hours) > MOST_STRAYS:
            del hours[min(hours)]

    def save(self, project: Project) -> None:
        """Written beside and renamed: after a crash it is the one before or this one."""
        path = _path(project)
        ensure(path.parent)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        told = {
            "v": FORMAT,
            "turn": self.turn,
            "spans": self.spans,
            "touched": {key: sorted(minutes) for key, minutes in self.touched.items() if minutes},
            "hours": {key: sorted(hours) for key, hours in self.hours.items() if hours},
            "strays": {
                table: [[hour, *span] for hour, span in hours.items()]
                for table, hours in self.strays.items()
            },
            "lasting": {name: sorted(starts) for name, starts in self.lasting.items() if starts},
            "told": self.told,
        }
        draft.write_bytes(orjson.dumps(told))
        draft.chmod(0o600)
        draft.replace(path)

    @classmethod
    def load(cls, project: Project) -> State:
        path = _path(project)
        try:
            told = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except orjson.JSONDecodeError as error:
            raise StoreError(
                f"{path} cannot be read ({error}); remove it and the watch begins again"
            ) from error
        if told.get("v") != FORMAT:
            raise StoreError(f"{path} was written by another llmwatch; upgrade, or remove it")
        return cls(
            told["turn"],
            told["spans"],
            {key: set(minutes) for key, minutes in told["touched"].items()},
            {key: set(hours) for key, hours in told["hours"].items()},
            {
                table: {hour: [first, last] for hour, first, last in hours}
                for table, hours in told["strays"].items()
            },
            {name: set(starts) for name, starts in told["lasting"].items()},
            told["told"],
        )


def _path(project: Project) -> Path:
    return project.path / "watch" / "state.json"
