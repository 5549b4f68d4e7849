"""Safety as a guardrail: a verdict on one text, at once, with nothing but patterns and numpy.

>>> verdict = guard("Your key is AKIAIOSFODNN7EXAMPLE.", role="output")
>>> verdict.ok, verdict.reasons
(False, ('secrets: aws_key',))
>>> verdict.redacted_text
'Your key is [aws_key AKIA… of 20].'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmwatch.scorers.safety.findings import Check, Role, Span
from llmwatch.scorers.safety.policy import Policy, policy_of
from llmwatch.scorers.safety.scan import LONGEST, Scan, scan


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a text may pass, why not, what was found where, and the text without what must not pass.

    `flagged` names what was found and does not stop the text (by default: injection). When `not_scanned` is not 0,
    so many characters of the middle were not read, and `redacted_text` has them as they were.
    """

    ok: bool
    reasons: tuple[str, ...]
    spans: tuple[Span, ...]
    redacted_text: str
    flagged: tuple[str, ...]
    scores: Mapping[Check, float]
    not_scanned: int = 0


def guard(
    text: str,
    *,
    role: Role = "output",
    policy: Policy | str = "balanced",
    longest: int = LONGEST,
) -> Verdict:
    """Check one text: `role` is `input`, `document` (retrieved, or of a tool) or `output`."""
    chosen = policy_of(policy) if isinstance(policy, str) else policy
    found = scan(text, role=role, policy=chosen, longest=longest)
    stopping = [span for span in found.spans if span.check in chosen.stops]
    flagged = [span for span in found.spans if span.check not in chosen.stops]
    return Verdict(
        ok=not stopping,
        reasons=_named(stopping),
        spans=found.spans,
        redacted_text=_without(text, stopping),
        flagged=_named(flagged),
        scores=_rounded(found),
        not_scanned=found.not_scanned,
    )


def _named(spans: list[Span]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{span.check}: {span.kind}" for span in spans))


def _without(text: str, spans: list[Span]) -> str:
    pieces, position = [], 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.end <= position:
            continue
        start = max(span.start, position)
        pieces += [text[position:start], span.masked]
        position = span.end
    return "".join([*pieces, text[position:]])


def _rounded(found: Scan) -> dict[Check, float]:
    return {check: round(score, 4) for check, score in found.scores.items()}
