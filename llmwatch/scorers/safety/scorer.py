"""Safety: what texts of a row should not hold, as a `weave.Scorer` and as a guardrail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import weave
from pydantic import PrivateAttr

from llmwatch.scorers.protocol import Row
from llmwatch.scorers.safety.findings import Role, Span
from llmwatch.scorers.safety.guard import Verdict, guard
from llmwatch.scorers.safety.moderation import Judgement, Moderation
from llmwatch.scorers.safety.parts import Part, parts_of
from llmwatch.scorers.safety.policy import Policy, policy_of
from llmwatch.scorers.safety.presidio import Presidio
from llmwatch.scorers.safety.result import SafetyResult, result_of
from llmwatch.scorers.safety.scan import LONGEST, Scan, scan

MOST_TEXTS, MOST_CHARACTERS = 2_000, 300_000  # of one row; what is left is counted as not scanned

MOST_MODERATED = 20  # texts of one row that are sent to moderation


class Safety(weave.Scorer):
    """Personal data, secrets, prompt injections and coarse words in what was asked, retrieved and answered.

    policy: `strict`, `balanced` or `lenient`: thresholds a check, and the checks that stop an answer as a guardrail.
    checks: only these of `pii`, `secrets`, `injection`, `insult`.
    thresholds: one's own, by check.
    block_injection_at: as a guardrail, stop at an injection from this score up. Without it an injection is only flagged:
        at 0.5 that is 97% and 89% of held-out attacks of two kinds it was trained on, 25% to 83% of a kind it was
        not, 1% of ordinary text and 7% of harmless talk of prompts (docs/how-to/check-safety.md has the curve).
    moderation: a moderation model of OpenAI. Texts are then sent there; without it nothing leaves the machine.
    presidio: also ask Microsoft Presidio (`pip install "llmwatch[presidio]"`), which knows names with a language model.
    """

    name: str | None = "safety"
    policy: str = "balanced"
    checks: list[str] | None = None
    thresholds: dict[str, float] | None = None
    block_injection_at: float | None = None
    moderation: str | None = None
    moderation_base_url: str | None = None
    presidio: bool = False
    _policy: Policy = PrivateAttr()
    _moderation: Moderation | None = PrivateAttr(default=None)
    _presidio: Presidio | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._policy = policy_of(self.policy).changed(
            thresholds=self.thresholds,
            checks=None if self.checks is None else tuple(self.checks),
            block_injection_at=self.block_injection_at,
        )
        if self.moderation:
            self._moderation = Moderation(self.moderation, base_url=self.moderation_base_url)
        if self.presidio:
            self._presidio = Presidio()

    def guard(self, text: str, *, role: Role = "output") -> Verdict:
        """A verdict on one text, of the local checks alone."""
        return guard(text, role=role, policy=self._policy)

    def score_rows(self, rows: Sequence[Row]) -> list[SafetyResult | None]:
        parts = [list(parts_of(row)) for row in rows]
        results = [result_of(self._scanned(own), self._policy) for own in parts]
        if self._moderation is not None:
            self._moderate(self._moderation, parts, results)
        return results

    def score_row(self, row: Row) -> SafetyResult | None:
        return self.score_rows([row])[0]

    @weave.op
    def score(self, *, output: Any, **inputs: Any) -> Any:
        found = self.score_row({"inputs": inputs, "output": output})
        # a mapping in any case: Weave's summary of an evaluation takes no None among them
        return found or {"flagged": False, "reasons": [], "policy": self._policy.name}

    def _scanned(self, parts: Sequence[Part]) -> Iterator[tuple[Part, Scan]]:
        left, texts = MOST_CHARACTERS, MOST_TEXTS
        for part in parts:
            if left <= 0 or texts <= 0:
                yield part, Scan({}, (), 0, len(part.text))
                continue
            found = self._scan(part, min(LONGEST, left))
            left, texts = left - found.scanned, texts - 1
            yield part, found

    def _scan(self, part: Part, longest: int) -> Scan:
        found = scan(part.text, role=part.role, policy=self._policy, longest=longest)
        if self._presidio is None or "pii" not in self._policy.checks:
            return found
        return _with_presidio(found, self._presidio.find(part.text), self._policy)

    def _moderate(
        self,
        moderation: Moderation,
        parts: list[list[Part]],
        results: list[SafetyResult | None],
    ) -> None:
        texts = [
            [p.text for p in own if p.role in ("input", "output")][:MOST_MODERATED] for own in parts
        ]
        judged = iter(moderation.judge([text for own in texts for text in own]))
        for own, result in zip(texts, results, strict=True):
            mine = [next(judged) for _ in own]
            if result is not None:
                _tell_moderation(result, mine)


def _with_presidio(found: Scan, spans: list[Span], policy: Policy) -> Scan:
    scores = dict(found.scores)
    scores["pii"] = max([scores.get("pii", 0.0), *(span.score for span in spans)])
    kept = [s for s in spans if policy.flags("pii", s.score) and not _covered(s, found.spans)]
    together = tuple(sorted((*found.spans, *kept), key=lambda span: span.start))
    return Scan(scores, together, found.scanned, found.not_scanned)


def _covered(span: Span, by: Sequence[Span]) -> bool:
    return any(
        other.start < span.end and span.start < other.end for other in by if other.check == "pii"
    )


def _tell_moderation(result: SafetyResult, judged: list[Judgement]) -> None:
    errors = [j.error for j in judged if j.error]
    known = [j for j in judged if j.error is None]
    flagged = any(j.flagged for j in known)
    categories = sorted({name for j in known for name in j.categories})
    result["moderation_score"] = max((j.score for j in known if j.score is not None), default=None)
    # True is certain from one text; False needs all of them
    result["moderation_flag"] = True if flagged else None if errors or not known else False
    result["moderation_categories"] = categories
    result["moderation_error"] = errors[0] if errors else None
    if flagged:
        result["flagged"] = True
        result["reasons"] = [*result["reasons"], *(f"moderation: {name}" for name in categories)]
