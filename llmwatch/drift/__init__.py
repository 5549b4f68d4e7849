"""Drift: whether the prompts of a window differ from a baseline, by how much, and which ones are new.

report = llmwatch.drift.run("support-bot/traces", window="1h")
print(report)            # a table; `report` alone shows itself in a notebook
report.to_html("drift.html")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmwatch.drift.baselines import Baseline
    from llmwatch.drift.gates import Gates
    from llmwatch.drift.job import run
    from llmwatch.drift.report import Report
    from llmwatch.drift.saving import delete_baseline, save_baseline, saved_baselines

_WHERE = {
    "Baseline": "llmwatch.drift.baselines",
    "Gates": "llmwatch.drift.gates",
    "Report": "llmwatch.drift.report",
    "delete_baseline": "llmwatch.drift.saving",
    "run": "llmwatch.drift.job",
    "save_baseline": "llmwatch.drift.saving",
    "saved_baselines": "llmwatch.drift.saving",
}
__all__ = [
    "Baseline",
    "Gates",
    "Report",
    "delete_baseline",
    "run",
    "save_baseline",
    "saved_baselines",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value
