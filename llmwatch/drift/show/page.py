"""A report as HTML."""

from __future__ import annotations

from llmwatch.drift.report import Report


def page(report: Report) -> str:
    return fragment(report)


def fragment(report: Report) -> str:
    return report.verdict
