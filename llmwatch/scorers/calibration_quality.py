"""How well scores are calibrated and how well they tell right answers from wrong ones, with how sure that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BINS = 10
RESAMPLES = 1000
_Z = 1.959964


@dataclass(frozen=True)
class Bin:
    """Answers of like score: their mean score, the share of them that was right, and the 95% interval of that share."""

    score: float
    right: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Quality:
    """`ece` is the mean distance between score and share of right answers over bins of equal size, `ece_low` and `ece_high`
    its 95% interval, and `ece_floor` what perfectly calibrated scores would show with so few labels. `brier` is
    `reliability` - `resolution` + `uncertainty` (to within what bins cannot tell). `auroc` is None when all answers
    were right, or all wrong. `aurc` is the mean share of wrong answers when only the surest are kept.
    """

    n: int
    base_rate: float
    ece: float
    ece_low: float
    ece_high: float
    ece_floor: float
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    auroc: float | None
    auroc_low: float | None
    auroc_high: float | None
    aurc: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def quality(
    scores: Sequence[float] | Floats,
    labels: Sequence[int] | Floats,
    *,
    bins: int = BINS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Quality:
    """Everything about scores (0 to 1) of answers that were right (1) or wrong (0)."""
    import numpy as np

    x, y = np.asarray(scores, dtype=float), np.asarray(labels, dtype=float)
    chance = np.random.default_rng(seed)
    resamples = min(
        resamples, max(100, 20_000_000 // len(x))
    )  # of many labels an interval is narrow anyway
    errors, areas = [], []
    for _ in range(resamples):
        pick = chance.integers(0, len(x), len(x))
        errors.append(ece(x[pick], y[pick], bins))
        areas += [area] if (area := auroc(x[pick], y[pick])) is not None else []
    ece_low, ece_high = _interval(errors)
    auroc_low, auroc_high = _interval(areas) if areas else (None, None)
    by_chance = [
        ece(x, (chance.random(len(x)) < x).astype(float), bins) for _ in range(min(resamples, 200))
    ]
    reliability, resolution, uncertainty = brier_parts(x, y, bins)
    return Quality(
        n=len(x),
        base_rate=float(y.mean()),
        ece=ece(x, y, bins),
        ece_low=ece_low,
        ece_high=ece_high,
        ece_floor=float(np.mean(by_chance)),
        brier=float(np.mean((x - y) ** 2)),
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        auroc=auroc(x, y),
        auroc_low=auroc_low,
        auroc_high=auroc_high,
        aurc=float(np.mean([risk for _, risk in risk_coverage(x, y)])),
    )


def ece(scores: Floats, labels: Floats, bins: int = BINS) -> float:
    """The expected calibration error over bins that hold as many answers each."""
    means = _by_bin(scores, labels, bins)
    return float(sum(n * abs(score - right) for score, right, n in means) / len(scores))


def brier_parts(scores: Floats, labels: Floats, bins: int = BINS) -> tuple[float, float, float]:
    """Reliability (lower is better), resolution (higher is), and the uncertainty of the labels themselves."""
    base, n = float(labels.mean()), len(scores)
    means = _by_bin(scores, labels, bins)
    reliability = sum(size * (score - right) ** 2 for score, right, size in means) / n
    resolution = sum(size * (right - base) ** 2 for _, right, size in means) / n
    return float(reliability), float(resolution), base * (1 - base)


def auroc(scores: Floats, labels: Floats) -> float | None:
    """How often a right answer has the higher score than a wrong one, ties counting half."""
    import numpy as np

    right = int(np.sum(labels))
    wrong = len(labels) - right
    if not right or not wrong:
        return None
    _, place, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    return float((ranks[np.asarray(labels) == 1].sum() - right * (right + 1) / 2) / (right * wrong))


def risk_coverage(scores: Floats, labels: Floats, points: int = 100) -> list[tuple[float, float]]:
    """(share of answers kept, share of those that are wrong), keeping the surest; of equal scores all or none."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    kept, risk = (
        np.arange(1, len(order) + 1),
        np.cumsum(1 - labels[order]) / np.arange(1, len(order) + 1),
    )
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, [True]))
    chosen = ends[np.unique(np.linspace(0, len(ends) - 1, min(points, len(ends))).astype(int))]
    return [(float(kept[n] / len(order)), float(risk[n])) for n in chosen]


def reliability_bins(
    scores: Sequence[float] | Floats, labels: Sequence[int] | Floats, bins: int = BINS
) -> list[Bin]:
    """The points of a reliability diagram: bins of equal size, each with a Wilson interval."""
    import numpy as np

    means = _by_bin(np.asarray(scores, dtype=float), np.asarray(labels, dtype=float), bins)
    return [Bin(score, right, *_wilson(right, n), n) for score, right, n in means]


def _by_bin(scores: Floats, labels: Floats, bins: int) -> list[tuple[float, float, int]]:
    """(mean score, share right, size) of each bin. Equal scores are never parted, or their order would matter."""
    import numpy as np

    order = np.argsort(scores, kind="stable")
    x, y = scores[order], labels[order]
    cuts = np.searchsorted(x, x[np.linspace(0, len(x), bins + 1)[1:-1].astype(int)], side="left")
    edges = np.unique(np.concatenate([[0], cuts]))
    sizes = np.diff(np.append(edges, len(x)))
    score, right = np.add.reduceat(x, edges) / sizes, np.add.reduceat(y, edges) / sizes
    return [(float(s), float(r), int(n)) for s, r, n in zip(score, right, sizes, strict=True)]


def _wilson(share: float, n: int) -> tuple[float, float]:
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * ((share * (1 - share) + _Z**2 / (4 * n)) / n) ** 0.5 / (1 + _Z**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
