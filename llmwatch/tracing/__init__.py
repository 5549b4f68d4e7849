"""Recording what functions do: `traced`, the row of a call, and the context around it."""

from __future__ import annotations

from llmwatch.tracing.context import context
from llmwatch.tracing.decorator import Traced, traced
from llmwatch.tracing.guardrails import GuardrailBlocked
from llmwatch.tracing.record import Record
from llmwatch.tracing.recorder import current_row
from llmwatch.tracing.row import Row
from llmwatch.tracing.threads import Thread, ThreadPoolExecutor

__all__ = [
    "GuardrailBlocked",
    "Record",
    "Row",
    "Thread",
    "ThreadPoolExecutor",
    "Traced",
    "context",
    "current_row",
    "traced",
]
