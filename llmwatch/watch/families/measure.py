"""`Measure`: what every family of metrics can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame
    from llmwatch.watch.said import Joined, Said
    from llmwatch.watch.sets import Baseline

State = Any
"""Mergeable parts, as JSON holds them."""
Values = dict[str, float | int | None]


@dataclass(frozen=True)
class Usual:
    """What a baseline says: values by name, and the parts they were made of where rows were looked at."""

    values: Mapping[str, float | None] = field(default_factory=dict)
    features: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    state: State | None = None


@dataclass(frozen=True)
class Facts:
    """What a value may depend on beside the parts."""

    seconds: float
    """How much of the window's time has passed."""
    daily: bool = False
    usual: Usual | None = None


class Measure(Protocol):
    """One family. Everything that its state depends on is in its declaration and the rows."""

    baseline: Baseline | None
    every_call: bool
    """Whether calls inside of traces count, whatever the set counts (money is spent there)."""

    def columns(self, columns: Columns) -> dict[str, str]:
        """Alias -> SQL of what is read of a row; the same alias is the same SQL in every family of a set."""
        ...

    def said(self) -> Sequence[Said | Joined]:
        """What is said about rows later that it needs."""
        ...

    def part(self, frame: Frame) -> State:
        """The parts of these rows."""
        ...

    def merge(self, states: Sequence[State]) -> State:
        """The parts of all rows together."""
        ...

    def values(self, state: State, facts: Facts) -> Values:
        """The values by name; None where one is not known."""
        ...


class Plain:
    """What most families have in common."""

    baseline: Baseline | None = None
    every_call = False

    def said(self) -> Sequence[Said | Joined]:
        return ()


def share(count: float, of: float) -> float | None:
    """A share of what there is; of nothing, none is known."""
    return count / of if of else None
