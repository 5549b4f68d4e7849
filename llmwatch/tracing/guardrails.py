"""Checks that run before an answer is returned, and may stop it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llmwatch.errors import LlmwatchError


class GuardrailBlocked(LlmwatchError):
    """A guardrail refused an output; `guardrail` says which, `row_id` where it is recorded."""

    def __init__(self, guardrail: str, row_id: str) -> None:
        super().__init__(f"guardrail {guardrail!r} refused the output of row {row_id}")
        self.guardrail, self.row_id = guardrail, row_id


def check(guardrails: Sequence[Callable[..., Any]], output: Any, row_id: str) -> None:
    """Ask each guardrail; one that returns False, or raises, stops the output."""
    for guardrail in guardrails:
        if guardrail(output) is False:
            raise GuardrailBlocked(name_of(guardrail), row_id)


async def check_async(guardrails: Sequence[Callable[..., Any]], output: Any, row_id: str) -> None:
    """The same, for guardrails that may be async."""
    for guardrail in guardrails:
        verdict = guardrail(output)
        if hasattr(verdict, "__await__"):
            verdict = await verdict
        if verdict is False:
            raise GuardrailBlocked(name_of(guardrail), row_id)


def name_of(thing: Any) -> str:
    """What a scorer or guardrail is called in a row."""
    name = getattr(thing, "name", None) or getattr(thing, "__name__", None)
    return name if isinstance(name, str) else type(thing).__name__
