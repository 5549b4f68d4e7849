"""A report as text."""

from __future__ import annotations

from llmwatch.drift.report import Report


def as_text(report: Report) -> str:
    return report.verdict
