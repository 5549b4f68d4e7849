"""The metric set that there is when nobody declared one of the table `traces`: what the default rules look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmwatch import settings
from llmwatch.errors import SettingsError
from llmwatch.names import parse_table
from llmwatch.watch.sets import Cost, Errors, Latency, MetricSet, Outputs, Predictions, Throughput

if TYPE_CHECKING:
    from llmwatch.store import Project

NAME, TABLE = "default", "traces"


def default(project: str) -> MetricSet:
    """Of the requests of a project, each minute.

    >>> default("local/shop").table
    'local/shop/traces'
    """
    families = (Latency(), Throughput(), Errors(), Cost(), Outputs(), Predictions())
    return MetricSet(NAME, f"{project}/{TABLE}", families)


def wanted() -> bool:
    """Unless `default_metrics = false` is under `[watch]`."""
    told, where = settings.section("watch")
    found = told.get("default_metrics", True)
    if not isinstance(found, bool):
        raise SettingsError(f"default_metrics in {where} is true or false, not {found!r}")
    return found


def of_project(project: Project, declared: Sequence[MetricSet]) -> list[MetricSet]:
    """The declared sets of the tables that a project has, and the default one when none is of its `traces`."""
    there = project.tables()
    sets = [one for one in declared if _is_of(one, project) and _table(one) in there]
    free = all(_table(one) != TABLE and one.name != NAME for one in sets)
    return [*sets, default(project.id)] if free and TABLE in there and wanted() else sets


def _table(told: MetricSet) -> str:
    return parse_table(told.table).table


def _is_of(told: MetricSet, project: Project) -> bool:
    table = parse_table(told.table)
    return project.id == f"{table.entity}/{table.project}"
