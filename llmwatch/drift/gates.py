"""Effect gates: how large a change must be before anybody is woken for it.

With enough rows any change has a tiny p-value, so an alert needs both: a p-value that says the change
is no accident, and an effect that says it matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmwatch.drift.finding import Finding


@dataclass(frozen=True)
class Gates:
    """An effect passes when it is at least this far from no change."""

    superiority: float = 0.05
    """Numbers: distance of P(window > reference) from one half."""
    p95: float = 0.20
    """Numbers: relative change of the 95th percentile."""
    p99: float = 0.50
    """Numbers: relative change of the 99th percentile: a few rows that are much longer move nothing else."""
    mean_shift: float = 0.20
    """Numbers against given statistics: standard deviations that the mean moved at least."""
    total_variation: float = 0.05
    """Categories: the share of rows that would have to change level."""
    auc: float = 0.55
    """Embeddings: how well a classifier tells the window from the reference, cross-fitted."""
    new_share: float = 0.03
    """Embeddings: the share of the window of a kind that the reference has hardly any of."""


def passed(finding: Finding, gates: Gates) -> tuple[str, ...]:
    """The effects of a finding that pass, in words; empty when none does."""
    return tuple(
        said(value)
        for name, (far, said) in _GATES.items()
        if (value := finding.effects.get(name)) is not None and far(value, gates)
    )


def _at_least(value: float, gate: float) -> bool:
    return abs(value) >= gate - 1e-12  # 0.55 - 0.5 is a hair under 0.05


def _moved(name: str) -> Callable[[float], str]:
    return lambda value: f"{name} {'up' if value > 0 else 'down'} {abs(value):.0%}"


_GATES: dict[str, tuple[Callable[[float, Gates], bool], Callable[[float], str]]] = {
    "superiority": (
        lambda value, gates: _at_least(value - 0.5, gates.superiority),
        lambda value: f"P(window > reference) {value:.2f}",
    ),
    "p95_change": (lambda value, gates: _at_least(value, gates.p95), _moved("p95")),
    "p99_change": (lambda value, gates: _at_least(value, gates.p99), _moved("p99")),
    "mean_shift": (
        lambda value, gates: _at_least(value, gates.mean_shift),
        lambda value: (
            f"mean {'up' if value > 0 else 'down'} by at least {abs(value):.2f} standard deviations"
        ),
    ),
    "total_variation": (
        lambda value, gates: _at_least(value, gates.total_variation),
        lambda value: f"{value:.0%} of rows changed level",
    ),
    "auc": (
        lambda value, gates: value >= gates.auc,
        lambda value: f"told apart with AUC {value:.2f}",
    ),
    "new_share": (
        lambda value, gates: value >= gates.new_share,
        lambda value: f"about {value:.0%} of the window is new",
    ),
}
