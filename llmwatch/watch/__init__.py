"""The watch: metrics over windows of rows, rules on metrics, alerts, and where they go."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmwatch.watch.alerting import check
    from llmwatch.watch.compute import measure
    from llmwatch.watch.conditions import (
        Absence,
        AllOf,
        AnyOf,
        Budget,
        Change,
        Drift,
        Threshold,
        Trend,
    )
    from llmwatch.watch.declarations import declared
    from llmwatch.watch.rules import Rule
    from llmwatch.watch.sets import (
        Api,
        Baseline,
        Check,
        Cost,
        Errors,
        Health,
        Kpi,
        Latency,
        MetricSet,
        Outputs,
        Predictions,
        Quality,
        Throughput,
    )

_CONDITIONS = "llmwatch.watch.conditions"
_SETS = "llmwatch.watch.sets"
_WHERE = {
    "Absence": _CONDITIONS,
    "AllOf": _CONDITIONS,
    "AnyOf": _CONDITIONS,
    "Api": _SETS,
    "Baseline": _SETS,
    "Budget": _CONDITIONS,
    "Change": _CONDITIONS,
    "Check": _SETS,
    "Cost": _SETS,
    "Drift": _CONDITIONS,
    "Errors": _SETS,
    "Health": _SETS,
    "Kpi": _SETS,
    "Latency": _SETS,
    "MetricSet": _SETS,
    "Outputs": _SETS,
    "Predictions": _SETS,
    "Quality": _SETS,
    "Rule": "llmwatch.watch.rules",
    "Threshold": _CONDITIONS,
    "Throughput": _SETS,
    "Trend": _CONDITIONS,
    "check": "llmwatch.watch.alerting",
    "declared": "llmwatch.watch.declarations",
    "measure": "llmwatch.watch.compute",
}
__all__ = [
    "Absence",
    "AllOf",
    "AnyOf",
    "Api",
    "Baseline",
    "Budget",
    "Change",
    "Check",
    "Cost",
    "Drift",
    "Errors",
    "Health",
    "Kpi",
    "Latency",
    "MetricSet",
    "Outputs",
    "Predictions",
    "Quality",
    "Rule",
    "Threshold",
    "Throughput",
    "Trend",
    "check",
    "declared",
    "measure",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value
