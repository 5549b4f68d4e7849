"""What `changed` answers: outcomes that moved, and columns ranked by what they have to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from llmwatch.slices.accounts import Behaviour

_FIRST = (
    0.1,
    0.05,
    0.0,
)  # by `Facet.order`: what was configured comes before who asked, that before what they asked
_OF_EFFECT = 0.25


@dataclass(frozen=True)
class Part:
    """One level of a column: the share of rows that are of it, before and after."""

    label: str
    before: float
    after: float
    p: float
    where: str | None = None
    """The same rows as SQL; None where no SQL says it."""


@dataclass(frozen=True)
class Change:
    """One column, and what became of it."""

    name: str
    effect: float
    """The share of rows that would have to be others for both sides to be alike, less what chance does."""
    p: float
    """Adjusted for the columns that were looked at; None where nothing could be tested."""
    changed: bool
    parts: tuple[Part, ...] = ()
    """The levels that moved most."""
    medians: tuple[float | None, float | None] = (None, None)
    explains: Mapping[str, float] = field(default_factory=dict)
    """For each outcome that changed, the share of its change that comes with this column's having moved."""
    behaviour: Behaviour | None = None
    """Rows of one level that went worse or better than the others did."""
    score: float = 0.0
    order: int = 0

    @property
    def rank(self) -> tuple[bool, float, str]:
        return (
            not (self.changed or self.behaviour is not None),
            -self.score - _FIRST[self.order],
            self.name,
        )


@dataclass(frozen=True)
class Outcome:
    """How it went, before and after."""

    name: str
    unit: str
    before: float | None
    after: float | None
    """Means; a mean of what is 0 or 1 is a share."""
    medians: tuple[float | None, float | None]
    rows: tuple[int, int]
    """Rows that have a value."""
    effect: float
    """Standard deviations that it moved: of ranks, where it is not 0 or 1."""
    p: float
    changed: bool
    verdict: str
    """`worse`, `better`, `no change` or `not enough data`."""


@dataclass(frozen=True)
class Changes:
    """The answer; `print(changes)` shows it, a notebook too, and `to_json` has all of it."""

    project: str
    table: str
    selections: tuple[str, str]
    rows: tuple[int, int]
    causes: tuple[Change, ...]
    """Every column that was looked at, the likeliest cause first."""
    outcomes: tuple[Outcome, ...]
    by: str = "rows"
    alpha: float = 0.05
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def found(self) -> tuple[Change, ...]:
        """The columns that changed, or of which one level behaves otherwise."""
        return tuple(one for one in self.causes if one.changed or one.behaviour is not None)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        said = asdict(self)
        for cause, one in zip(said["causes"], self.causes, strict=True):
            cause["found"] = one.changed or one.behaviour is not None
            cause["says"] = _words().says(one)
        return said

    def __str__(self) -> str:
        from llmwatch.slices.show.terminal import changes_text

        return changes_text(self)

    def _repr_html_(self) -> str:
        from llmwatch.slices.show.page import changes_fragment

        return changes_fragment(self)


def score_of(
    effect: float,
    explains: Mapping[str, float],
    weights: Mapping[str, float],
    behaviour: Behaviour | None,
) -> float:
    """How much a column has to do with what changed; where no outcome did, how far it moved."""
    if not weights:
        return effect
    total = sum(weights.values()) or 1.0
    explained = sum(explains.get(name, 0.0) * weight for name, weight in weights.items()) / total
    concentrated = (
        behaviour.concentration * weights.get(behaviour.metric, 0.0) / total if behaviour else 0.0
    )
    return max(explained, concentrated) + _OF_EFFECT * effect


def _words() -> Any:
    from llmwatch.slices.show import words

    return words
