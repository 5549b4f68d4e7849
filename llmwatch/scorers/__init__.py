"""Scorers: what rows cost, how sure an answer was, whether it was safe, and your own.

A class here is a `weave.Scorer`, imported when it is first asked for (Weave takes a second to import).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch import lazily

if TYPE_CHECKING:
    from llmwatch.scorers.budgets import Budget, standings
    from llmwatch.scorers.confidence import Confidence
    from llmwatch.scorers.cost import TokenCost
    from llmwatch.scorers.judge import Judge
    from llmwatch.scorers.rollups import costs
    from llmwatch.scorers.safety.scorer import Safety

__all__ = ["Budget", "Confidence", "Judge", "Safety", "TokenCost", "costs", "standings"]

# One line a scorer; the modules below that these build on do not import Weave.
_WHERE = {
    "Budget": "llmwatch.scorers.budgets",
    "Confidence": "llmwatch.scorers.confidence",
    "Judge": "llmwatch.scorers.judge",
    "Safety": "llmwatch.scorers.safety.scorer",
    "TokenCost": "llmwatch.scorers.cost",
    "costs": "llmwatch.scorers.rollups",
    "standings": "llmwatch.scorers.budgets",
}


__getattr__, __dir__ = lazily.names(__name__, _WHERE)
