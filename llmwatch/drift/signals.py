"""What is compared, and what is said of it: a signal in, a judged signal out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmwatch.drift.finding import Finding

Kind = Literal["number", "category", "embedding"]
Verdict = Literal["drift", "no drift", "insufficient data"]


@dataclass(frozen=True)
class Signal:
    """One column on both sides: a sequence of values, or an array of rows by dimensions.

    The groups name what each row belongs to (its session, its user, its ten minutes; see
    `llmwatch.drift.blocks.chosen`). Without groups every row is taken as independent of the others:
    right for one question a session, wrong for conversations.
    """

    name: str
    kind: Kind
    reference: Any
    window: Any
    groups_reference: Sequence[Any] | None = None
    groups_window: Sequence[Any] | None = None


@dataclass(frozen=True)
class Judged:
    """A signal's finding, its p-value adjusted for the other signals of the run, and the verdict."""

    signal: str
    finding: Finding
    p_adjusted: float | None
    passed: tuple[str, ...]
    """The effects that are large enough to matter, in words: `p95 up 34%`."""
    verdict: Verdict
