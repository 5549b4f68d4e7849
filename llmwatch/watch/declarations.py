"""Metric sets as the settings files declare them: each `[[watch.metrics]]`.

[[watch.metrics]]
name = "checkout"
table = "shop/traces"
window = "5m"
by = ["model", ["op", "version"]]
latency = true
errors = { categories = { OutOfStock = "invalid_input" } }
kpi = [{ name = "resolved", value = "label.resolved" }]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from llmwatch import settings
from llmwatch.errors import LlmwatchError, SettingsError
from llmwatch.names import parse_table
from llmwatch.watch import entries, own_code
from llmwatch.watch.sets import (
    Api,
    Baseline,
    Check,
    Cost,
    Errors,
    Family,
    Health,
    Kpi,
    Latency,
    MetricSet,
    Outputs,
    Predictions,
    Quality,
    Throughput,
)

_FAMILIES: Mapping[str, type[Any]] = {
    "latency": Latency,
    "throughput": Throughput,
    "errors": Errors,
    "api": Api,
    "cost": Cost,
    "outputs": Outputs,
    "predictions": Predictions,
    "health": Health,
    "quality": Quality,
    "kpi": Kpi,
}
_OWN = {field.name for field in fields(MetricSet)} - {"metrics"}


def declared() -> list[MetricSet]:
    """The metric sets of the settings files and of modules that they name; `SettingsError` for one that cannot be."""
    return entries.all_of(_read())


def usable(wrong: entries.Wrong = entries.say) -> list[MetricSet]:
    """Those of them that can be; `wrong` is told of each other one."""
    return entries.good(_read(), wrong)


def _read() -> list[MetricSet | SettingsError]:
    told, where = settings.section("watch")
    found = entries.read(told.get("metrics", []), "metrics", where, metric_set)
    found += own_code.of_kind(MetricSet)
    return entries.once(found, lambda one: one.name, "metric sets")


def metric_set(told: Mapping[str, Any], where: str) -> MetricSet:
    """One metric set out of its table in a settings file."""
    name = told.get("name", "?")
    if unknown := told.keys() - _OWN - _FAMILIES.keys():
        raise SettingsError(
            f"metric set {name} in {where} has no {', '.join(sorted(unknown))}; families are {', '.join(_FAMILIES)}"
        )
    try:
        return _metric_set(told, where)
    except (LlmwatchError, TypeError, ValueError, AttributeError) as error:
        said = str(error).removeprefix(f"metric set {name} ").removeprefix(f"in {where}: ")
        raise SettingsError(f"metric set {name} in {where}: {said}") from error


def _metric_set(told: Mapping[str, Any], where: str) -> MetricSet:
    families = [one for key in _FAMILIES if key in told for one in _families(key, told[key], where)]
    given = {key: value for key, value in told.items() if key in _OWN}
    if families:
        given["metrics"] = families
    made = MetricSet(**given)
    parse_table(made.table)
    return made


def _families(key: str, told: Any, where: str) -> list[Family]:
    if told is False:
        return []
    each = told if isinstance(told, list) else [{} if told is True else told]
    if key == "health" and isinstance(told, list):
        each = [{"checks": told}]
    return [_family(key, one, where) for one in each]


def _family(key: str, told: Any, where: str) -> Family:
    if not isinstance(told, dict):
        raise SettingsError(f"{key} in {where} is true or a table, not {told!r}")
    options = {name: _option(name, value) for name, value in told.items()}
    try:
        return _FAMILIES[key](**options)  # type: ignore[no-any-return]
    except TypeError as error:
        raise SettingsError(f"{key} in {where}: {_plain(error)}") from error


def _option(name: str, value: Any) -> Any:
    if name == "baseline" and isinstance(value, dict):
        return Baseline(**value)
    if name == "checks":
        return tuple(Check(**_as_tuples(one)) for one in value)
    return tuple(value) if isinstance(value, list) else value


def _as_tuples(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in told.items()}


def _plain(error: TypeError) -> str:
    return str(error).partition("__init__() ")[2] or str(error)
