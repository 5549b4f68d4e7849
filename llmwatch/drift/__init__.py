"""Drift: whether the prompts of a window differ from a baseline, by how much, and which ones are new.

report = llmwatch.drift.run("support-bot/traces", window="1h")
print(report)            # a table; `report` alone shows itself in a notebook
report.to_html("drift.html")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch import lazily

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


__getattr__, __dir__ = lazily.names(__name__, _WHERE)
