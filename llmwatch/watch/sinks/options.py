"""How the sinks are asked for: the tables `[watch.wandb]` and `[watch.system]` of the settings files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from llmwatch import settings
from llmwatch.errors import InvalidName, SettingsError
from llmwatch.names import check_name

MODES = ("online", "offline")
COLUMNS = ("query", "image", "prediction", "confidence", "tokens", "latency_ms", "timestamp")
"""Columns of `production/requests`."""


@dataclass(frozen=True)
class WandbOptions:
    """`[watch.wandb]`: nothing goes to a run unless this says `mode`."""

    mode: Literal["online", "offline"]
    project: str | None = None
    """The project at W&B; else the one of the store."""
    entity: str | None = None
    directory: str | None = None
    """Where offline runs lie: `wandb/` in it. Else in the store's project."""
    tags: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    """Metric sets that go there; none named: all."""
    tables: tuple[str, ...] = ("traces",)
    """Tables whose requests are sampled; `tables = []`: no request leaves."""
    sample: int = 20
    """Requests of each `every_s` that are shown, at most."""
    every_s: float = 300
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Where `query`, `image`, `prediction` and `confidence` are, as `inputs.question`; else they are found."""


@dataclass(frozen=True)
class SystemOptions:
    """`[watch.system]`: in which project, and how often the worker looks."""

    project: str = settings.Settings.project
    every_s: float = 15


Options = TypeVar("Options", WandbOptions, SystemOptions)


def wandb() -> WandbOptions | None:
    """What `[watch.wandb]` says; None where nobody asked for a run."""
    told, where = _told("wandb")
    if told is None:
        return None
    if told.get("mode") not in MODES:
        raise SettingsError(f'mode in [watch.wandb] ({where}) is "online" or "offline"')
    columns = told.get("columns", {})
    if not isinstance(columns, Mapping) or set(columns) - set(COLUMNS[:4]):
        raise SettingsError(
            f"columns in [watch.wandb] ({where}) says where {', '.join(COLUMNS[:4])} are"
        )
    return _made(WandbOptions, told, f"[watch.wandb] ({where})")


def system() -> SystemOptions | None:
    """What `[watch.system]` says; None where nobody asked for it."""
    told, where = _told("system")
    if told is None:
        return None
    given = {"project": settings.current().project, **told}
    return _made(SystemOptions, given, f"[watch.system] ({where})")


def _told(name: str) -> tuple[dict[str, Any] | None, str]:
    section, where = settings.section("watch")
    told = section.get(name)
    if told is None or told is False:
        return None, where
    if told is True:
        told = {}
    if not isinstance(told, dict):
        raise SettingsError(f"{name} in {where} is a table: write [watch.{name}]")
    return told, where


def _made(kind: type[Options], told: Mapping[str, Any], where: str) -> Options:
    known = {each.name: each for each in fields(kind)}
    if unknown := set(told) - set(known):
        raise SettingsError(f"there is no {', '.join(sorted(unknown))} in {where}")
    return kind(**{name: _checked(name, value, where) for name, value in told.items()})


def _checked(name: str, value: Any, where: str) -> Any:
    if name in {"tags", "sets", "tables"}:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise SettingsError(f"{name} in {where} is a list of names")
        return tuple(value)
    if name in {"sample", "every_s"}:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1:
            raise SettingsError(f"{name} in {where} is a number of at least 1, not {value!r}")
        return int(value) if name == "sample" else float(value)
    if name in {"project", "entity"}:
        try:
            return check_name(value, name)
        except InvalidName as error:
            raise SettingsError(f"{name} in {where}: {error}") from error
    return value
