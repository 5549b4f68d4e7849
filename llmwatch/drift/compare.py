"""One run of the drift tests: each signal by its kind, Holm over the signals, then the gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from llmwatch.drift import categories, embeddings, numbers
from llmwatch.drift.finding import Finding
from llmwatch.drift.gates import Gates, passed
from llmwatch.drift.multiple import benjamini_hochberg, holm
from llmwatch.drift.signals import Judged, Kind, Signal, Verdict

ALPHA = 0.01
_TESTS: Mapping[Kind, Callable[..., Finding]] = {
    "number": numbers.compare,
    "category": categories.compare,
    "embedding": embeddings.compare,
}


def find(signal: Signal, *, seed: int = 0) -> Finding:
    """The finding of one signal, by the tests for its kind."""
    return _TESTS[signal.kind](
        signal.reference,
        signal.window,
        groups_reference=signal.groups_reference,
        groups_window=signal.groups_window,
        seed=seed,
    )


def compare(
    signals: Sequence[Signal], *, alpha: float = ALPHA, gates: Gates | None = None, seed: int = 0
) -> list[Judged]:
    """Compare the signals of one run.

    The chance that any of them says "drift" when none moved is at most `alpha`.
    """
    return judge([(signal.name, find(signal, seed=seed)) for signal in signals], alpha, gates)


def judge(
    findings: Sequence[tuple[str, Finding]], alpha: float = ALPHA, gates: Gates | None = None
) -> list[Judged]:
    """Verdicts on findings that belong to one run."""
    adjusted = holm([finding.p for _, finding in findings])
    return [
        _judged(name, finding, p, alpha, gates or Gates())
        for (name, finding), p in zip(findings, adjusted, strict=True)
    ]


def compare_slices(
    slices: Mapping[str, Sequence[Signal]],
    *,
    alpha: float = ALPHA,
    gates: Gates | None = None,
    seed: int = 0,
) -> dict[str, list[Judged]]:
    """Compare each slice by itself: Holm over its signals, Benjamini-Hochberg over the slices.

    Among the slices of which drift is said, at most a share of `alpha` did not move.
    """
    judged = {
        name: compare(signals, alpha=alpha, gates=gates, seed=seed)
        for name, signals in slices.items()
    }
    over_slices = benjamini_hochberg([_smallest(run) for run in judged.values()])
    return {
        name: [_again(one, p, alpha) for one in run]
        for (name, run), p in zip(judged.items(), over_slices, strict=True)
    }


def _smallest(run: Sequence[Judged]) -> float | None:
    return min((one.p_adjusted for one in run if one.p_adjusted is not None), default=None)


def _again(one: Judged, p_slice: float | None, alpha: float) -> Judged:
    """A signal of a slice counts no more than its slice does among the others."""
    if one.p_adjusted is None or p_slice is None:
        return one
    p = max(one.p_adjusted, p_slice)
    return replace(one, p_adjusted=p, verdict=_verdict(p, one.passed, alpha))


def _judged(name: str, finding: Finding, p: float | None, alpha: float, gates: Gates) -> Judged:
    effects = passed(finding, gates)
    return Judged(name, finding, p, effects, _verdict(p, effects, alpha))


def _verdict(p: float | None, effects: tuple[str, ...], alpha: float) -> Verdict:
    if p is None:
        return "insufficient data"
    return "drift" if p < alpha and effects else "no drift"
