"""The watch: metrics over windows of rows, rules on metrics, alerts, and where they go."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmwatch.watch.compute import measure
    from llmwatch.watch.declared import declared
    from llmwatch.watch.sets import (
        Baseline,
        Check,
        Cost,
        Errors,
        Health,
        Kpi,
        Latency,
        MetricSet,
        Predictions,
        Quality,
        Throughput,
    )

_SETS = "llmwatch.watch.sets"
_WHERE = {
    "Baseline": _SETS,
    "Check": _SETS,
    "Cost": _SETS,
    "Errors": _SETS,
    "Health": _SETS,
    "Kpi": _SETS,
    "Latency": _SETS,
    "MetricSet": _SETS,
    "Predictions": _SETS,
    "Quality": _SETS,
    "Throughput": _SETS,
    "declared": "llmwatch.watch.declared",
    "measure": "llmwatch.watch.compute",
}
__all__ = [
    "Baseline",
    "Check",
    "Cost",
    "Errors",
    "Health",
    "Kpi",
    "Latency",
    "MetricSet",
    "Predictions",
    "Quality",
    "Throughput",
    "declared",
    "measure",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value
