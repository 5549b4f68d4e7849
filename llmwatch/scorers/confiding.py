"""The ladder of a confidence: every rung that a row has, and the first of them as the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from llmwatch.scorers import agreement, logprobs, stated, support, texts
from llmwatch.scorers.agreement import Alike
from llmwatch.scorers.protocol import Row

RUNGS = ("logprobs", "samples", "support", "stated")


class _Parts(TypedDict, total=False):
    raw_score: float
    calibration: str
    reason: str
    n_tokens: int
    logprob_score: float
    logprob_mean: float
    logprob_min: float
    perplexity: float
    lowest_span: str
    lowest_span_logprob: float
    samples: int
    agreement: float
    entropy: float
    clusters: int
    support: float
    sentences: int
    unsupported_sentences: int
    unsupported: str
    unsupported_numbers: str
    unsupported_names: str
    stated: float


class ConfidenceResult(_Parts):
    """What Confidence says of a row.

    `score` is from 0 to 1 by `method`, the first rung that the row has; None when it has none, and `reason` says why.
    Parts of every rung that the row has stand beside it. `calibrated`: the score is the share of right answers that labels
    showed at such a score, by the calibration named; `raw_score` is the score before.
    """

    score: float | None
    method: str | None
    calibrated: bool


Calibrate = Callable[[str, float], "float | None"]
"""The calibrated score of a method's raw one; None where there is no calibration for that method."""


def score(
    row: Row,
    *,
    rungs: Sequence[str] = RUNGS,
    alike: Alike | None = None,
    calibrate: Calibrate | None = None,
    calibration: str = "",
) -> ConfidenceResult | None:
    """The confidence of a row's answer; None for a row that is no answer of a model."""
    if not _is_answer(row):
        return None
    found = {name: _RUNG[name](row, alike) for name in rungs}
    parts: dict[str, Any] = {}
    for rung in found.values():
        parts |= rung[1] if rung else {}
    first = next(((name, rung[0]) for name, rung in found.items() if rung), None)
    if first is None:
        reason = _reason(row, rungs)
        return {"score": None, "method": None, "calibrated": False, "reason": reason}
    method, raw = first
    fitted = calibrate(method, raw) if calibrate else None
    result: ConfidenceResult = {
        "score": raw if fitted is None else fitted,
        "method": method,
        "calibrated": fitted is not None,
        **parts,  # type: ignore[typeddict-item]
    }
    if fitted is not None:
        result["raw_score"], result["calibration"] = raw, calibration
    return result


def _is_answer(row: Row) -> bool:
    """A generation that is whole; a row of no kind when its output is that of a model."""
    if row.get("status") in ("error", "running"):
        return False
    output = row.get("output")
    if row.get("kind") is None:
        return isinstance(output, Mapping) and isinstance(output.get("choices"), list)
    return row.get("kind") in ("generation", "llm") and bool(texts.answers_of(output))


Rung = tuple[float, dict[str, Any]]


def _logprobs(row: Row, _alike: Alike | None) -> Rung | None:
    found = logprobs.sureness(logprobs.of_output(row.get("output")))
    if found is None:
        return None
    return found.probability, {
        "n_tokens": found.n_tokens,
        "logprob_score": found.probability,
        "logprob_mean": found.mean,
        "logprob_min": found.minimum,
        "perplexity": found.perplexity,
        "lowest_span": found.span[:200],
        "lowest_span_logprob": found.span_mean,
    }


def _samples(row: Row, alike: Alike | None) -> Rung | None:
    found = agreement.agreement(texts.answers_of(row.get("output")), alike)
    if found is None:
        return None
    return found.share, {
        "samples": found.samples,
        "agreement": found.share,
        "entropy": found.entropy,
        "clusters": found.clusters,
    }


def _support(row: Row, _alike: Alike | None) -> Rung | None:
    answers = texts.answers_of(row.get("output"))
    if not answers:
        return None
    found = support.support(answers[0], support.context_of(row), texts.question_of(row))
    return None if found is None else (found.score, support.as_parts(found))


def _stated(row: Row, _alike: Alike | None) -> Rung | None:
    answers = texts.answers_of(row.get("output"))
    found = stated.stated(row.get("output"), answers[0] if answers else "")
    return None if found is None else (found, {"stated": found})


_RUNG: Mapping[str, Callable[[Row, Alike | None], Rung | None]] = {
    "logprobs": _logprobs,
    "samples": _samples,
    "support": _support,
    "stated": _stated,
}


def _reason(row: Row, rungs: Sequence[str]) -> str:
    if not texts.answer_of(row).strip():
        return "the answer has no text"
    lacks = {
        "logprobs": "no log-probabilities (ask for logprobs=True)",
        "samples": "one answer only (ask for n=3)",
        "support": "no context among the inputs",
        "stated": "no stated confidence",
    }
    return "; ".join(lacks[name] for name in rungs)
