"""Slices: where it goes worse than elsewhere, and what changed between two selections of rows.

changes = llmwatch.slices.changed("support-bot", "traces", after=("2026-01-05T09:00", None))
slices = llmwatch.slices.find("support-bot/traces", metric="latency")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch import lazily

if TYPE_CHECKING:
    from llmwatch.slices.changes import Change, Changes, Outcome
    from llmwatch.slices.comparison import changed
    from llmwatch.slices.finding import find
    from llmwatch.slices.found import Slice, Slices
    from llmwatch.slices.selection import Selection

_WHERE = {
    "Change": "llmwatch.slices.changes",
    "Changes": "llmwatch.slices.changes",
    "Outcome": "llmwatch.slices.changes",
    "Slice": "llmwatch.slices.found",
    "Slices": "llmwatch.slices.found",
    "Selection": "llmwatch.slices.selection",
    "changed": "llmwatch.slices.comparison",
    "find": "llmwatch.slices.finding",
}
__all__ = ["Change", "Changes", "Outcome", "Selection", "Slice", "Slices", "changed", "find"]


__getattr__, __dir__ = lazily.names(__name__, _WHERE)
