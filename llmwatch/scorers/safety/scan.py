"""All checks over one text, in bounded time: what is not scanned is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from llmwatch import credentials
from llmwatch.scorers.safety import injection, insults, pii
from llmwatch.scorers.safety.findings import Check, Role, Span, masked
from llmwatch.scorers.safety.plain import Plain, plain
from llmwatch.scorers.safety.policy import POLICIES, Policy

LONGEST = (
    100_000  # characters of one text that are scanned; of a longer one its beginning and its end
)


@dataclass(frozen=True, slots=True)
class Scan:
    """The highest score of each check that was made, the spans from its threshold up, and how much was read."""

    scores: Mapping[Check, float]
    spans: tuple[Span, ...]
    scanned: int
    not_scanned: int


def scan(
    text: str,
    *,
    role: Role = "output",
    policy: Policy = POLICIES["balanced"],
    longest: int = LONGEST,
) -> Scan:
    """What the checks find in a text; injection is looked for where text comes from outside."""
    scores: dict[Check, float] = {}
    spans: list[Span] = []
    for offset, part in _parts(text, longest):
        for check, score, found in _checked(part, role, policy):
            scores[check] = max(score, scores.get(check, 0.0))
            spans += [replace(s, start=s.start + offset, end=s.end + offset) for s in found]
    read = min(len(text), longest)
    return Scan(scores, tuple(sorted(spans, key=lambda s: s.start)), read, len(text) - read)


def _parts(text: str, longest: int) -> list[tuple[int, str]]:
    if len(text) <= longest:
        return [(0, text)]
    head = longest * 4 // 5
    tail = len(text) - (longest - head)
    return [(0, text[:head]), (tail, text[tail:])]


def _checked(text: str, role: Role, policy: Policy) -> list[tuple[Check, float, list[Span]]]:
    shown = plain(text)
    found: list[tuple[Check, float, list[Span]]] = []
    if "secrets" in policy.checks:
        found.append(_secrets(shown.text, policy.thresholds["secrets"]))
    if "pii" in policy.checks:
        found.append(("pii", *pii.find(shown.text, threshold=policy.thresholds["pii"])))
    if "insult" in policy.checks:
        found.append(("insult", *insults.find(shown.text, threshold=policy.thresholds["insult"])))
    if "injection" in policy.checks and role in ("input", "document"):
        found.append(
            ("injection", *injection.find(shown.text, threshold=policy.thresholds["injection"]))
        )
    return [(check, score, [_placed(s, shown) for s in spans]) for check, score, spans in found]


def _secrets(text: str, threshold: float) -> tuple[Check, float, list[Span]]:
    spans = [
        Span(
            "secrets",
            f.kind,
            f.start,
            f.end,
            f.score,
            masked(f.kind, text[f.start : f.end], first=f.shown),
        )
        for f in credentials.find(text)
    ]
    score = max((span.score for span in spans), default=0.0)
    return "secrets", score, [span for span in spans if span.score >= threshold]


def _placed(span: Span, shown: Plain) -> Span:
    if not shown.hidden:
        return span
    return replace(span, start=shown.place(span.start), end=shown.place(span.end - 1) + 1)
