"""Whether the earlier windows differed from each other as much as the window differs from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from llmwatch.drift.finding import Finding
from llmwatch.drift.frames import Frame, together
from llmwatch.drift.gates import Gates, passed
from llmwatch.drift.sides import Side
from llmwatch.drift.signals import Judged

FEWEST = 3
"""With fewer earlier windows nothing can be said of how they differ."""
_NEUTRAL = {"superiority": 0.5, "auc": 0.5}
Find = Callable[[str, Side, Side], Finding]


@dataclass(frozen=True)
class Among:
    """How the window stands among the earlier ones, each of which was compared with the others of them."""

    windows: int
    as_large: int
    """Of those, how many differed as much as the window does."""


def among(name: str, finding: Finding, reference: Side, find: Find, gates: Gates) -> Among | None:
    """None when the reference is not made of at least `FEWEST` earlier windows with enough rows."""
    effects = _passing(finding, gates)
    past = []
    for n, part in enumerate(reference.parts):
        rest = [other for m, other in enumerate(reference.parts) if m != n]
        found = find(name, _pooled(rest), part)
        if not found.lacking:
            past.append(found)
    if len(past) < FEWEST or not effects:
        return None
    return Among(len(past), min(_as_large(effect, finding, past) for effect in effects))


def _passing(finding: Finding, gates: Gates) -> list[str]:
    """The effects that are large enough, for which it is asked whether they are unusual too."""
    return [
        effect
        for effect in finding.effects
        if passed(replace(finding, effects={effect: finding.effects[effect]}), gates)
    ]


def _as_large(effect: str, finding: Finding, past: Sequence[Finding]) -> int:
    size = _size(effect, finding)
    return sum(_size(effect, one) >= size for one in past)


def _size(effect: str, finding: Finding) -> float:
    value = finding.effects.get(effect)
    return 0.0 if value is None else abs(value - _NEUTRAL.get(effect, 0.0))


def _pooled(parts: Sequence[Side]) -> Side:
    samples: list[Frame] = [part.sample for part in parts if part.sample is not None]
    whole = together([part.whole for part in parts])
    return Side("earlier windows", whole.rows, whole, together(samples) if samples else None)


def confirmed(judged: Judged, among_: Among | None) -> Judged:
    """No drift when an earlier window, with nothing known to be wrong, differed as much."""
    if judged.verdict != "drift" or among_ is None or among_.as_large == 0:
        return judged
    return replace(judged, verdict="no drift")
