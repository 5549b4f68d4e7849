"""Lanes for `weave.Monitor` objects that are active: their scorers, on the calls they ask for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from llmwatch.scoring.live import Lane
from llmwatch.scoring.spec import BUILT_IN, Spec

if TYPE_CHECKING:
    from llmwatch.backend.monitors import Monitor
    from llmwatch.settings import Settings
    from llmwatch.store import Project

logger = logging.getLogger("llmwatch")

_CLASSES = {place.rpartition(":")[2]: place for place in BUILT_IN.values()}
_NOT_SETTINGS = frozenset({"name", "description", "ref", "column_map"})


def lanes_of(project: Project, settings: Settings) -> Iterator[Lane]:
    """One lane a monitor. A scorer that is stored code is not run: it is told of, with what to do instead."""
    if not (project.objects / "values").is_dir():
        return  # nothing was ever published
    from llmwatch.backend import monitors

    for monitor in monitors.active(project, settings):
        specs = [
            spec for ref in monitor.scorers if (spec := _spec(project, settings, monitor, ref))
        ]
        if specs:
            yield Lane(f"monitor.{monitor.name}", tuple(specs), only=project.id, monitor=monitor)


def _spec(project: Project, settings: Settings, monitor: Monitor, ref: str) -> Spec | None:
    value = _published(project, settings, ref)
    place = _CLASSES.get(str(value.get("_class_name")))
    if place is None:
        _tell(monitor.name, ref)
        return None
    fields = {
        name: each
        for name, each in value.items()
        if not name.startswith("_") and name not in _NOT_SETTINGS and each is not None
        and not (isinstance(each, str) and each.startswith("weave:///"))
    }  # fmt: skip
    name = str(value.get("name") or "")
    return Spec(place, name=name, settings=fields, tables=("traces",), ref=ref)


def _published(project: Project, settings: Settings, ref: str) -> Mapping[str, Any]:
    from llmwatch.backend.objects import Objects
    from llmwatch.stream.query import Reader

    def none() -> Reader:
        raise AssertionError("a value is found by its digest alone")

    value = Objects(project, settings, none).value(ref.rpartition(":")[2])
    return value if isinstance(value, Mapping) else {}


@cache
def _tell(monitor: str, ref: str) -> None:
    logger.warning(
        "monitor %s: scorer %s is code of its own, which is not run from the store; name it under [[scorers]] "
        "in llmwatch.toml with use = 'module:object'",
        monitor,
        ref,
    )
