"""What a text should not hold, and what was hidden in it: PII, secrets, injections, coarse words.

`llmwatch.scorers.safety.guard.guard` is a guardrail of patterns and numpy alone; `Safety` the same as a
`weave.Scorer`, on rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmwatch.scorers.safety.scorer import Safety

__all__ = ["Safety"]


def __getattr__(name: str) -> Any:
    if name == "Safety":  # Weave takes a second to import
        from llmwatch.scorers.safety.scorer import Safety

        return Safety
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
