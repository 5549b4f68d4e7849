"""What Safety says of a row: flat, with a score, a flag and the spans of each check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypedDict

from llmwatch.scorers.safety.findings import CHECKS, Check, Span, SpanDict
from llmwatch.scorers.safety.parts import Part
from llmwatch.scorers.safety.policy import Policy
from llmwatch.scorers.safety.scan import Scan

MOST_SPANS = 100


class SafetyResult(TypedDict, total=False):
    """Scores are 0 to 1; a score and a flag are None where a check was not made (no text from outside: no injection).

    `reasons` are `check: kind` of what is flagged. `injection_in` says whether it came with the `input` or a `document`.
    What moderation says is left out unless it is configured. `spans` are the first 100 by score, masked.
    """

    flagged: bool
    reasons: list[str]
    policy: str
    pii_score: float | None
    pii_flag: bool | None
    secrets_score: float | None
    secrets_flag: bool | None
    injection_score: float | None
    injection_flag: bool | None
    injection_in: str | None
    insult_score: float | None
    insult_flag: bool | None
    moderation_score: float | None
    moderation_flag: bool | None
    moderation_categories: list[str]
    moderation_error: str | None
    spans: list[SpanDict]
    spans_left_out: int
    chars_scanned: int
    chars_not_scanned: int


def result_of(scans: Iterable[tuple[Part, Scan]], policy: Policy) -> SafetyResult | None:
    """The result for the scanned texts of a row; None when it has no text."""
    made = list(scans)
    if not made:
        return None
    spans = [replace(s, where=part.where) for part, scan in made for s in scan.spans]
    spans.sort(key=lambda span: -span.score)
    result: dict[str, Any] = {
        "flagged": bool(spans),
        "reasons": list(dict.fromkeys(f"{span.check}: {span.kind}" for span in spans)),
        "policy": policy.name,
    }
    for check in CHECKS:
        result |= _of_check(check, made, policy)
    result["injection_in"] = _origin(made)
    result["spans"] = [span.as_dict() for span in spans[:MOST_SPANS]]
    result["spans_left_out"] = max(0, len(spans) - MOST_SPANS)
    result["chars_scanned"] = sum(scan.scanned for _, scan in made)
    result["chars_not_scanned"] = sum(scan.not_scanned for _, scan in made)
    return result  # type: ignore[return-value]


def _of_check(check: Check, made: list[tuple[Part, Scan]], policy: Policy) -> dict[str, Any]:
    scores = [scan.scores[check] for _, scan in made if check in scan.scores]
    score = max(scores, default=None)
    return {
        f"{check}_score": None if score is None else round(score, 4),
        f"{check}_flag": None if score is None else policy.flags(check, score),
    }


def _origin(made: list[tuple[Part, Scan]]) -> str | None:
    found: list[tuple[Span, str]] = [
        (span, part.role) for part, scan in made for span in scan.spans if span.check == "injection"
    ]
    return max(found, key=lambda each: each[0].score)[1] if found else None
