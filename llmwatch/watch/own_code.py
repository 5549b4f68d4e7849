"""Metric sets and rules of a person's own module: `python = "shop.watching:WATCH"` under `[watch]`.

The settings file names the module, which is imported from beside that file. Nothing that lies in a store is ever run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from llmwatch import settings
from llmwatch.errors import SettingsError

T = TypeVar("T")


def of_kind(kind: type[T]) -> Iterator[T | SettingsError]:
    """What the named modules declare of a kind; an error for each place where there is no such thing."""
    told, where = settings.section("watch")
    named = told.get("python", [])
    for place in [named] if isinstance(named, str) else named:
        try:
            found = _at(place, where)
        except SettingsError as error:
            yield error
        else:
            yield from (one for one in found if isinstance(one, kind))


def _at(place: Any, where: str) -> list[Any]:
    from llmwatch.watch.rules import Rule
    from llmwatch.watch.sets import MetricSet

    root = str(Path(where).parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    module, _, name = str(place).partition(":")
    try:
        given = getattr(import_module(module), name)
        found = [given] if isinstance(given, (Rule, MetricSet)) else list(given)
    except Exception as error:  # a module of theirs may raise anything
        raise SettingsError(f"{_said(place, where)}; {type(error).__name__}: {error}") from error
    if strange := [one for one in found if not isinstance(one, (Rule, MetricSet))]:
        raise SettingsError(f"{_said(place, where)}; it has {strange[0]!r:.80}")
    return found


def _said(place: Any, where: str) -> str:
    return f"python in {where} names rules and metric sets as module:name, not {place!r}"
