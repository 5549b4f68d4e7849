"""Making scores mean what they say: from labels, the share of right answers that a score has stood for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch.errors import LlmwatchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST, FEWEST_OF_EACH = 50, 10
"""Labels that a fit needs, and of right and of wrong answers each."""
MANY = 1000
"""From so many labels on the shape of the curve is taken from them; below, it is a line on the scale of log odds."""
FOLDS = 5
_EDGE = 1e-6


class TooFewLabels(LlmwatchError):
    """Not enough labels for a calibration to mean anything; the message says how many are missing."""


@dataclass(frozen=True)
class Fitted:
    """One method's curve: `platt` with (slope, intercept) on log odds, or `isotonic` through points."""

    kind: str
    parameters: tuple[float, ...]
    labels: int

    def apply(self, score: float) -> float:
        """The share of right answers at this score."""
        return float(self._curve([score])[0])

    def _curve(self, scores: Sequence[float] | Floats) -> Floats:
        import numpy as np

        if self.kind == "platt":
            slope, intercept = self.parameters
            return _sigmoid(slope * _log_odds(scores) + intercept)
        half = len(self.parameters) // 2
        return np.asarray(
            np.interp(scores, self.parameters[:half], self.parameters[half:]), dtype=float
        )


@dataclass(frozen=True)
class Calibration:
    """The curves of one scorer's methods, under a name; `version` counts from 1."""

    name: str
    version: int
    methods: Mapping[str, Fitted]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.name}:v{self.version}"

    def apply(self, method: str, score: float) -> float | None:
        """The calibrated score; None for a method that had too few labels."""
        fitted = self.methods.get(method)
        return None if fitted is None else fitted.apply(score)

    def as_record(self) -> dict[str, Any]:
        methods = {
            name: {"kind": f.kind, "parameters": list(f.parameters), "labels": f.labels}
            for name, f in self.methods.items()
        }
        return {
            "name": self.name,
            "version": self.version,
            "methods": methods,
            "about": dict(self.about),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Calibration:
        methods = {
            name: Fitted(said["kind"], tuple(said["parameters"]), said["labels"])
            for name, said in record["methods"].items()
        }
        return cls(record["name"], record["version"], methods, record.get("about") or {})


def enough(labels: Sequence[int] | Floats, what: str = "") -> None:
    """Raise `TooFewLabels` unless a fit can mean something."""
    n = len(labels)
    right = int(sum(labels))
    rarer = min(right, n - right)
    if n < FEWEST or rarer < FEWEST_OF_EACH:
        lacking = [f"{FEWEST - n} more"] if n < FEWEST else []
        if rarer < FEWEST_OF_EACH:
            lacking.append(
                f"{FEWEST_OF_EACH - rarer} more {'right' if right < n - right else 'wrong'} ones among them"
            )
        raise TooFewLabels(
            f"{n} labelled scores{what and f' of method {what}'} ({right} right, {n - right} wrong) are too few to calibrate: "
            f"it takes {FEWEST} with {FEWEST_OF_EACH} of each, so {', '.join(lacking)}"
        )


def fit(scores: Sequence[float], labels: Sequence[int], what: str = "") -> Fitted:
    """The curve through scores (0 to 1) and whether each answer was right (0 or 1)."""
    import numpy as np

    enough(labels, what)
    x, y = np.asarray(scores, dtype=float), np.asarray(labels, dtype=float)
    return _isotonic(x, y) if len(x) >= MANY else _platt(x, y)


def cross_fitted(scores: Sequence[float], labels: Sequence[int], *, seed: int = 0) -> Floats:
    """Each score as a curve has it that was fitted without its own label: what to judge a calibration by."""
    import numpy as np

    x, y = np.asarray(scores, dtype=float), np.asarray(labels, dtype=float)
    enough(y)
    order = np.random.default_rng(seed).permutation(len(x))
    made = np.empty(len(x))
    curve = _isotonic if len(x) >= MANY else _platt
    for held in np.array_split(order, FOLDS):
        rest = np.setdiff1d(order, held)
        made[held] = curve(x[rest], y[rest])._curve(x[held])
    return made


# --- the two curves ----------------------------------------------------------------------


def _platt(x: Floats, y: Floats) -> Fitted:
    """A line on log odds by Newton's method, with Platt's targets, which keep it finite where classes part cleanly."""
    import numpy as np

    z = _log_odds(x)
    right = y.sum()
    target = np.where(y == 1, (right + 1) / (right + 2), 1 / (len(y) - right + 2))
    design = np.column_stack([z, np.ones_like(z)])
    weights = np.array([0.0, math.log((right + 1) / (len(y) - right + 1))])
    ridge = np.diag([1e-3, 1e-9])
    for _ in range(100):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - target) + ridge @ weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + ridge
        step = np.linalg.solve(hessian, gradient)
        # a bounded step: where the curve is flat Newton's would overshoot
        weights = weights - step * min(1.0, 5 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    # a score that goes down with the share of right answers tells nothing: then every score is the same
    slope, intercept = (float(weights[0]), float(weights[1]))
    if slope < 0:
        slope, intercept = 0.0, math.log((right + 1) / (len(y) - right + 1))
    return Fitted("platt", (slope, intercept), len(y))


def _isotonic(x: Floats, y: Floats) -> Fitted:
    """The rising steps nearest to the labels, through the middle of each; never quite 0 or 1."""
    import numpy as np

    order = np.argsort(x, kind="stable")
    values, starts, counts = np.unique(x[order], return_index=True, return_counts=True)
    means = np.add.reduceat(y[order], starts) / counts
    blocks: list[list[float]] = []  # mean, weight, first and last score
    for value, mean, count in zip(values, means, counts, strict=True):
        blocks.append([mean, count, value, value])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean2, count2, _, last = blocks.pop()
            mean1, count1, first, _ = blocks.pop()
            both = count1 + count2
            blocks.append([(mean1 * count1 + mean2 * count2) / both, both, first, last])
    points: dict[float, float] = {}
    for mean, weight, first, last in blocks:
        level = (mean * weight + 1e-2) / (weight + 2e-2)
        points[first] = points[last] = level
    return Fitted("isotonic", (*points.keys(), *points.values()), len(y))


def _log_odds(scores: Sequence[float] | Floats) -> Floats:
    import numpy as np

    x = np.clip(np.asarray(scores, dtype=float), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(x / (1 - x)))


def _sigmoid(z: Floats) -> Floats:
    import numpy as np

    return np.asarray(1 / (1 + np.exp(-np.clip(z, -50, 50))))
