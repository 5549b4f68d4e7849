"""What goes into the run of each day, step by step: written down before it is sent, so that a restart sends it once.

A line of `positions/wandb/<day>.steps` is a step of that day's run and holds ids only; the values are read from the
store when the step is sent. What is not sent yet after a restart follows from the number of steps that W&B has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import clock
from llmwatch.store import ensure

if TYPE_CHECKING:
    from pathlib import Path

    from llmwatch.store import Project

NAME = "wandb"
DAY_US = 86_400_000_000
MOST_GROUPS = 50
"""Groups of one metric set that have lines in a run: each is a chart of its own there."""
KEPT_US = 14 * DAY_US
"""What is said of a window this long after it goes to no run any more."""

Step = Mapping[str, Any]
"""`{"metrics": [ids]}`, `{"drift": id}`, `{"requests": [ids], "table": name, "until": microseconds}`, or one of those
requests by itself: `{"request": id, "table": name}`."""


class Journal:
    """The steps of one project's daily runs."""

    def __init__(self, project: Project) -> None:
        self.directory = ensure(project.path / "positions" / NAME)
        self.days: dict[str, list[Step]] = {
            path.stem: list(_lines(path))
            for path in sorted(self.directory.glob("????-??-??.steps"))
        }
        self._ids = {i for steps in self.days.values() for step in steps for i in _ids_of(step)}

    def has(self, row_id: str) -> bool:
        return row_id in self._ids

    def add(self, day: str, steps: Sequence[Step]) -> None:
        """Append steps to a day, on the disk when this returns."""
        if not steps:
            return
        path = self.directory / f"{day}.steps"
        known = self.days.setdefault(day, [])
        _mend(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(b"".join(orjson.dumps(step) + b"\n" for step in steps))
            file.flush()
            os.fsync(file.fileno())
        known.extend(steps)
        for step in steps:
            self._ids.update(_ids_of(step))

    # --- what a run is called, and what its lines are --------------------------------------

    def identity(self) -> str:
        """Part of each run's id: two stores that log to one project at W&B have runs of their own."""
        return str(
            self._note("identity", lambda: {"id": clock.new_id().replace("-", "")[-12:]})["id"]
        )

    def sent(self, day: str) -> int:
        """How many steps are in runs that were finished."""
        return int(self._note(f"sent-{day}", lambda: {"steps": 0})["steps"])

    def set_sent(self, day: str, steps: int) -> None:
        self._write(f"sent-{day}", {"steps": steps})

    def owner(self, name: str, whose: str) -> str:
        """Which set's metric has the plain name: the first that told one, from then on."""
        owners = self._note("names", dict)
        if name not in owners:
            owners[name] = whose
            self._write("names", owners)
        return str(owners[name])

    def lets(self, whose: str, group: str) -> bool:
        """Whether a group has lines: so many of each set do, the first that came."""
        groups = self._note("groups", dict)
        known = groups.setdefault(whose, [])
        if group not in known and len(known) < MOST_GROUPS:
            known.append(group)
            self._write("groups", groups)
        return group in known

    def forget(self, before: str) -> None:
        """Drop the journals of days that are long over."""
        for day in [day for day in self.days if day < before]:
            for name in (f"{day}.steps", f"sent-{day}.json"):
                (self.directory / name).unlink(missing_ok=True)
            self._ids.difference_update(*map(_ids_of, self.days.pop(day)))

    def _note(self, name: str, make: Any) -> dict[str, Any]:
        path = self.directory / f"{name}.json"
        with suppress(OSError, ValueError):
            found = orjson.loads(path.read_bytes())
            if isinstance(found, dict):
                return found
        made: dict[str, Any] = make()
        if made:
            self._write(name, made)
        return made

    def _write(self, name: str, told: Mapping[str, Any]) -> None:
        path = self.directory / f"{name}.json"
        draft = path.with_suffix(".tmp")
        draft.write_bytes(orjson.dumps(told))
        draft.chmod(0o600)
        draft.replace(path)


def day_of(at_us: int) -> str:
    """The day (UTC) of a time.

    >>> day_of(0)
    '1970-01-01'
    """
    return datetime.fromtimestamp(at_us // 1_000_000, timezone.utc).strftime("%Y-%m-%d")


def _ids_of(step: Step) -> tuple[str, ...]:
    run = (step["drift"],) if "drift" in step else ()
    return (*step.get("metrics", ()), *step.get("requests", ()), *run)


def _lines(path: Path) -> Iterator[Step]:
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # a torn last line was not sent: what it held comes again
            yield orjson.loads(line)


def _mend(path: Path) -> None:
    """Cut a torn last line off before another is written behind it."""
    with suppress(FileNotFoundError):
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)
