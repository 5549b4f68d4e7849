"""What the checks report: a span of text, of which check and kind, how sure, and the text masked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypedDict

Check = Literal["pii", "secrets", "injection", "insult"]
CHECKS: tuple[Check, ...] = ("pii", "secrets", "injection", "insult")

Role = Literal["input", "document", "output", "system"]


class SpanDict(TypedDict):
    """A span as it is recorded."""

    check: str
    kind: str
    score: float
    where: str
    start: int
    end: int
    masked: str


@dataclass(frozen=True, slots=True)
class Span:
    """Something found, by its offsets in the text that was given; `masked` never holds it whole."""

    check: Check
    kind: str
    start: int
    end: int
    score: float
    masked: str
    where: str = ""

    def as_dict(self) -> SpanDict:
        return asdict(self)  # type: ignore[return-value]


def masked(kind: str, value: str, *, first: int = 0, last: int = 0) -> str:
    """A mask that says the kind and length, and shows only what gives nothing away.

    >>> masked("aws_key", "AKIAIOSFODNN7EXAMPLE", first=4)
    '[aws_key AKIA… of 20]'
    """
    shown = f"{value[:first]}…" if first else ""
    shown += f"…{value[-last:]}" if last else ""
    return f"[{kind} {shown} of {len(value)}]" if shown else f"[{kind} of {len(value)}]"
