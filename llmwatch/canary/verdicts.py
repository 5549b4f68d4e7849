"""From pillars to a verdict: promote, roll back or keep going, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["promote", "roll back", "keep going"]
Standing = Literal["no worse", "worse", "better", "open", "not enough data"]
PROMOTE, ROLL_BACK, KEEP_GOING = "promote", "roll back", "keep going"
EXIT_CODES = {PROMOTE: 0, ROLL_BACK: 4, KEEP_GOING: 5}


@dataclass(frozen=True)
class Side:
    """What one version did by one metric."""

    rows: int
    users: int
    mean: float | None
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class Judged:
    """One pillar: both versions, the harm that is left possible at this and all other looks, and how it stands."""

    name: str
    unit: str
    scale: str
    old: Side
    new: Side
    harm: float | None
    """How much worse the new version is: a part of the old one's (latency, cost), else a difference."""
    low: float | None
    high: float | None
    """Between which the harm is; each end holds at all looks together, but for a chance of alpha."""
    margin: float
    standing: Standing
    required: bool
    """Whether it has to be no worse before the version is promoted; what few rows have is only watched."""
    more_rows: int | None
    """About how many more rows of the new version would tell that it is no worse, if it is as good; None where unknown."""


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side; `print(comparison)` shows it, a notebook too, and `to_json` has all of it."""

    project: str
    table: str
    old: str
    new: str
    since: str
    rows: tuple[int, int]
    users: tuple[int, int]
    by: str
    pillars: tuple[Judged, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    alpha: float = 0.05

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    def pillar(self, name: str) -> Judged:
        """The pillar of that name."""
        return next(one for one in self.pillars if one.name == name)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        from llmwatch.canary.show import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from llmwatch.canary.show import fragment

        return fragment(self)


def verdict_of(
    pillars: Sequence[Judged], doubts: tuple[str, ...] = ()
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on all pillars: one that is worse is enough to roll back, and every required one has to be no worse.

    With doubts about who got which version nothing is promoted.
    """
    worse = [one for one in pillars if one.standing == "worse"]
    if worse:
        said = (f"{one.name} is worse by {_between(one)}" for one in worse)
        return "roll back", (*said, *doubts)
    required = [one for one in pillars if one.required]
    left = [one for one in required if one.standing not in {"no worse", "better"}]
    if required and not left and not doubts:
        return "promote", (*(_fine(one) for one in required), *_unseen(pillars))
    if not required:
        return "keep going", ("nothing is measured of enough rows of both versions yet", *doubts)
    return "keep going", (*doubts, *(_open(one) for one in left))


def _fine(one: Judged) -> str:
    said = "better" if one.standing == "better" else "no worse"
    return f"{one.name} is {said}: the harm is at most {_told(one, one.high)}, and {_told(one, one.margin)} is allowed"


def _open(one: Judged) -> str:
    more = (
        ""
        if one.more_rows is None
        else f"; about {one.more_rows:,} more rows of the new version would tell, if it is as good"
    )
    if one.standing == "not enough data":
        return f"{one.name} has too few rows or users of a version to tell{more}"
    return f"{one.name} may still be worse by {_told(one, one.high)}, and {_told(one, one.margin)} is allowed{more}"


def _unseen(pillars: Sequence[Judged]) -> Iterator[str]:
    for one in pillars:
        if not one.required and one.standing not in {"no worse", "better"}:
            yield f"{one.name} is known of too few rows to say that it is no worse; nothing says that it is worse"


def _between(one: Judged) -> str:
    return f"{_told(one, one.low)} to {_told(one, one.high)}"


def _told(one: Judged, value: float | None) -> str:
    """A harm in its own measure: `12%` of a ratio, `1.2 points` of a share, else the number."""
    if value is None:
        return "anything"
    if one.scale in {"log", "ratio"}:
        return f"{value:.1%}"
    return f"{100 * value:.2g} points" if one.scale == "rate" else f"{value:.3g}"
