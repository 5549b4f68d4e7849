"""How forwarding stands: where to, how far, what waits and why, what was refused or dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch import clock, destination
from llmwatch.forward import options
from llmwatch.forward import state as state_module
from llmwatch.forward.state import State
from llmwatch.stream import deletions, holds

if TYPE_CHECKING:
    from llmwatch.destination import Wanted
    from llmwatch.settings import Settings
    from llmwatch.store import Project

MOST_REFUSED = 20


@dataclass
class Status:
    """One project's, as `llmwatch forward --status` shows it."""

    project: str
    destination: str
    standing: str
    sent: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    problem: str | None = None
    next_try_in_s: float | None = None
    last_success: int | None = None
    refused: int = 0
    refused_latest: list[dict[str, Any]] = field(default_factory=list)
    dropped_rows: int = 0
    sampling: dict[str, Any] | None = None


def status(project: Project, settings: Settings) -> Status:
    """Reads only what is here: W&B is not asked."""
    wanted = destination.read(project)
    found = Status(project.id, _place(wanted), "")
    if wanted.periods and state_module.path_of(project).exists():
        state = State(project)
        try:
            _fill(found, project, wanted, state)
        finally:
            state.close()
    if wanted.on:
        found.waiting |= _behind(project, settings)
    found.standing = _standing(wanted, found)
    return found


def _place(wanted: Wanted) -> str:
    if not wanted.periods:
        return "none"
    return f"{wanted.entity or '<your default entity>'}/{wanted.project} at {wanted.base_url}"


def _fill(found: Status, project: Project, wanted: Wanted, state: State) -> None:
    notes = state.notes()
    known = json.loads(notes.get("project", "{}"))
    if known.get("id"):
        found.destination = f"{known['id']} at {wanted.base_url}"
    found.sent = {name: int(value) for name, value in state.counts().items()}
    found.problem = notes.get("problem")
    if "next try" in notes and found.problem:
        found.next_try_in_s = max(int(notes["next try"]) - clock.now_us(), 0) / 1e6
    found.last_success = int(notes["worked at"]) if "worked at" in notes else None
    dead = state.dead()
    found.refused = len(dead)
    names = ("kind", "id", "source", "status", "reason", "at")
    found.refused_latest = [dict(zip(names, one, strict=True)) for one in dead[-MOST_REFUSED:]]
    found.waiting["events whose row is not sent yet"] = state.run("SELECT count(*) FROM waiting")[
        0
    ][0]
    found.waiting["deletions"] = len(deletions.waiting(project))
    found.dropped_rows = holds.dropped(project)
    if wanted.sampler is not None:
        found.sampling = _sampling(state)


def _sampling(state: State) -> dict[str, Any]:
    there = state.run("SELECT name FROM sqlite_master WHERE name = 'units'")
    if not there:
        return {}
    states = dict(state.run("SELECT state, count(*) FROM units GROUP BY state"))
    weights = state.run("SELECT sum(weight) FROM units WHERE state IN ('keep', 'kept')")[0][0]
    return {
        "sent": states.get("kept", 0),
        "to be sent": states.get("keep", 0),
        "left out": states.get("dropped", 0),
        "undecided": sum(states.get(name, 0) for name in ("open", "whole", "pool")),
        "standing for": weights or 0.0,
    }


def _behind(project: Project, settings: Settings) -> dict[str, int]:
    """About how many rows of each table no pass has taken."""
    from llmwatch.backend.objects import TABLE as OBJECTS
    from llmwatch.store import EVENTS
    from llmwatch.stream.follow import Follower, RecordedReader

    reader = RecordedReader(project, settings)
    found = {}
    try:
        for table in [*options.tables_of(project), OBJECTS, EVENTS]:
            follower = Follower(project, table, options.NAME, settings, reader=reader)
            found[table] = follower.lag()
            follower.close()
    finally:
        reader.close()
    return found


def _standing(wanted: Wanted, found: Status) -> str:
    if not wanted.periods:
        return "nothing is sent: init(destination='wandb') has what is recorded from then on sent"
    if not wanted.on:
        return "no longer sent, since init(destination='local')"
    if wanted.paused:
        return (
            f"waits for the end of {wanted.paused}; `llmwatch forward --once` sends what there is"
        )
    if destination.credentials(wanted.base_url) is None:
        return f"waits: nobody is logged in to {wanted.base_url} (`wandb login`, or WANDB_API_KEY for the worker)"
    if found.problem:
        return "waits and tries again"
    return "sends" if any(found.waiting.values()) else "everything is sent"
