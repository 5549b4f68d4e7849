"""Which scorers live rows get: the settings files, and those that traced functions name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmwatch import faults, settings
from llmwatch.errors import SettingsError
from llmwatch.scoring import monitored, registered
from llmwatch.scoring.live import Lane
from llmwatch.scoring.spec import BUILT_IN, Spec
from llmwatch.store import Project, Store

_OF_THE_RUN = {"builtin", "processes"}
DEFAULT = ("token_cost",)
"""Built-in scorers that work without being asked for."""
PROCESSES = 2


def lanes(store: Store) -> list[Lane]:
    """Every lane that the store's rows are scored by: one for the built-in scorers, one for each other."""
    specs = declared()
    run, _ = settings.section("scoring")
    together = tuple(spec for spec in specs if spec.built_in)
    made = [Lane("builtin", together, int(run.get("processes", PROCESSES)))] if together else []
    made += [Lane(spec.name, (spec,), spec.processes) for spec in specs if not spec.built_in]
    for project in store.projects():
        made += _registered(project)
        with faults.contained(f"the monitors of {project.id} could not be read"):
            made += monitored.lanes_of(project, settings.current())
    return _distinct(made)


def declared() -> list[Spec]:
    """The scorers that the settings files name, and the built-in ones; `SettingsError` for one that cannot be."""
    run, where = settings.section("scoring")
    if unknown := run.keys() - _OF_THE_RUN:
        raise SettingsError(f"[scoring] in {where} has no setting {', '.join(sorted(unknown))}")
    return _from_files(run.get("builtin", DEFAULT))


def _registered(project: Project) -> list[Lane]:
    """A lane for each name: two ops may have scorers of one name with settings of their own."""
    named: dict[str, list[Spec]] = {}
    for spec in registered.read(project):
        named.setdefault(spec.name, []).append(spec)
    return [
        Lane(name, tuple(specs), max(spec.processes for spec in specs), only=project.id)
        for name, specs in named.items()
    ]


def _from_files(builtin: Any) -> list[Spec]:
    told, where = settings.listed("scorers")
    root = str(Path(where).parent) if where else ""
    specs = [Spec.read(_with_path(each, root), where) for each in told]
    there = {spec.use for spec in specs}
    for name in builtin:
        if name not in BUILT_IN:
            raise SettingsError(
                f"builtin under [scoring] names {', '.join(BUILT_IN)}; not {name!r}"
            )
        if BUILT_IN[name] not in there:
            specs.append(Spec(BUILT_IN[name], name=name, batch=256))
    return specs


def _with_path(told: dict[str, Any], root: str) -> dict[str, Any]:
    """A module of the person's is found beside their settings file."""
    return {**told, "paths": [*told.get("paths", ()), root]} if root else told


def _distinct(made: list[Lane]) -> list[Lane]:
    """Of lanes with one name for a project the first: the settings files win."""
    seen: set[tuple[str, str | None]] = set()
    kept = []
    for lane in made:
        if (lane.name, None) not in seen and (lane.name, lane.only) not in seen:
            seen.add((lane.name, lane.only))
            kept.append(lane)
    return kept
