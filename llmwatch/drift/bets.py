"""Bets against "nothing moved": each is a function of a uniform rank that pays 1 on average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Bets:
    """A stack of bets, and what each of them bets on."""

    names: tuple[str, ...]
    linear: npt.NDArray[np.float64]
    curved: npt.NDArray[np.float64]
    tails: tuple[tuple[int, float, float], ...]
    """(which bet, share of ranks it is on, what it pays there), the share negative at the bottom."""

    def pay(self, rank: float) -> npt.NDArray[Any]:
        """What each bet pays for a rank between 0 and 1, the highest value having rank 1."""
        paid: npt.NDArray[Any] = (
            1 + self.linear * (2 * rank - 1) + self.curved * (12 * (rank - 0.5) ** 2 - 1)
        )
        for which, share, pays in self.tails:
            inside = rank > 1 - share if share > 0 else rank < -share
            paid[which] = pays if inside else (1 - pays * abs(share)) / (1 - abs(share))
        return paid


def _stack() -> Bets:
    smooth = [
        *(("higher values", size, 0.0) for size in (0.3, 0.9)),
        *(("lower values", -size, 0.0) for size in (0.3, 0.9)),
        *(("a wider spread", 0.0, size) for size in (0.3, 0.9)),
        *(("a narrower spread", 0.0, -size) for size in (0.2, 0.45)),
    ]
    tails = [
        (f"more in the {end} {share:.0%}", share if end == "top" else -share, pays)
        for end in ("top", "bottom")
        for share in (0.05, 0.01)
        for pays in (2.0, 4.0)
    ]
    flat = [0.0] * len(tails)
    return Bets(
        tuple(name for name, *_ in [*smooth, *tails]),
        np.array([linear for _, linear, _ in smooth] + flat),
        np.array([curved for *_, curved in smooth] + flat),
        tuple((len(smooth) + n, share, pays) for n, (_, share, pays) in enumerate(tails)),
    )


ALL = _stack()
