"""How sure a check must be before it says so, and which of them may stop an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmwatch.scorers.safety.findings import CHECKS, Check


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds a check (from there up it is flagged), and the checks whose flags stop an answer."""

    name: str
    thresholds: Mapping[Check, float]
    stops: frozenset[Check]
    checks: tuple[Check, ...] = field(default=CHECKS)

    def flags(self, check: Check, score: float) -> bool:
        return check in self.checks and score >= self.thresholds[check]

    def changed(
        self,
        *,
        thresholds: Mapping[str, float] | None = None,
        checks: tuple[str, ...] | None = None,
        block_injection_at: float | None = None,
    ) -> Policy:
        """This policy with some thresholds of one's own; blocking on injection is only had this way."""
        known = set(CHECKS)
        for name in (*(thresholds or {}), *(checks or ())):
            if name not in known:
                raise ValueError(f"there is no check {name!r}; there are {', '.join(CHECKS)}")
        limits: dict[Any, float] = {**self.thresholds, **(thresholds or {})}
        stops: set[Check] = set(self.stops)
        if block_injection_at is not None:
            limits["injection"] = block_injection_at
            stops.add("injection")
        if any(not 0 < limit <= 1 for limit in limits.values()):
            raise ValueError(f"thresholds lie above 0 and up to 1, not {limits}")
        chosen = CHECKS if checks is None else tuple(c for c in CHECKS if c in checks)
        return Policy(self.name, limits, frozenset(stops), chosen)


def _policy(
    name: str, pii: float, secrets: float, injection: float, insult: float, stops: str
) -> Policy:
    limits: dict[Check, float] = {
        "pii": pii,
        "secrets": secrets,
        "injection": injection,
        "insult": insult,
    }
    return Policy(name, limits, frozenset(stops.split()))  # type: ignore[arg-type]


# The injection threshold of `balanced` is where the model flags 1% of ordinary text; see safety_train.py.
POLICIES = {
    policy.name: policy
    for policy in (
        _policy("strict", 0.5, 0.5, 0.3, 0.5, "pii secrets insult"),
        _policy("balanced", 0.6, 0.75, 0.5, 0.7, "pii secrets"),
        _policy("lenient", 0.85, 0.9, 0.8, 0.85, "secrets"),
    )
}


def policy_of(name: str) -> Policy:
    """A policy by name."""
    if name not in POLICIES:
        raise ValueError(f"there is no policy {name!r}; there are {', '.join(POLICIES)}")
    return POLICIES[name]
