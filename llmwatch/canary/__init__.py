"""A canary: a few get the new version, and rows tell whether it may have the rest.

with llmwatch.canary.choose(user_id, share=.05, old="v1", new="v2") as choice:
    answer(question, prompt=PROMPTS[choice.version])

print(llmwatch.canary.compare("support-bot", "traces", old="v1", new="v2"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch import lazily

if TYPE_CHECKING:
    from llmwatch.canary.choosing import Choice, choose, place
    from llmwatch.canary.comparing import compare
    from llmwatch.canary.verdicts import Comparison

_WHERE = {
    "Choice": "llmwatch.canary.choosing",
    "Comparison": "llmwatch.canary.verdicts",
    "choose": "llmwatch.canary.choosing",
    "compare": "llmwatch.canary.comparing",
    "place": "llmwatch.canary.choosing",
}
__all__ = ["Choice", "Comparison", "choose", "compare", "place"]


__getattr__, __dir__ = lazily.names(__name__, _WHERE)
