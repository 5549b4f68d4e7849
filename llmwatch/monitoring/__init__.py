"""The monitoring API that Weave removed, under its names: change the import, and old code runs."""

from __future__ import annotations

from llmwatch.monitoring.decorator import Monitored, monitor
from llmwatch.monitoring.record import MonitorRecord
from llmwatch.monitoring.spans import (
    Monitor,
    Span,
    default_monitor,
    deinit_monitor,
    init_monitor,
)
from llmwatch.monitoring.table import StreamTable

__all__ = [
    "Monitor",
    "MonitorRecord",
    "Monitored",
    "Span",
    "StreamTable",
    "default_monitor",
    "deinit_monitor",
    "init_monitor",
    "monitor",
]
