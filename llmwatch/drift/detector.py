"""A detector that is fed row by row, and whose false alarms are as far apart as you choose.

Each new value is ranked among everything seen so far. While nothing moves, those ranks are independent
and uniform, whatever the column looks like (conformal prediction), so bets against that win nothing on
average. The detector adds up what bets begun at every moment have won (an e-detector): the sum grows
by one a row on average, hence it takes at least `run_length` rows on average to reach `run_length`.
That holds for rows that are independent; of a session only the first row counts, therefore.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmwatch.drift import bets
from llmwatch.drift.blocks import Floats
from llmwatch.drift.finding import MINIMUM_ROWS
from llmwatch.drift.usable import finite

RUN_LENGTH = 100_000
_BINS = 256
_SESSIONS = 4096  # remembered, so that later rows of theirs are passed over
_VERSION = 1


@dataclass(frozen=True)
class Alarm:
    """The detector has seen enough."""

    at: int
    """Rows that counted since the reference, this one included."""
    since: int
    """When it seems to have begun, in the same count."""
    what: str
    """What the bet that won most was on: `higher values`, `more in the top 1%`."""


class Detector:
    """Watches one column of numbers: length, latency, a score, or the distance of a vector to a centre.

    >>> detector = Detector(range(1000), run_length=10_000)
    >>> alarms = [detector.add(300 + 377 * n % 700) for n in range(1000)]
    >>> next(alarm.what for alarm in alarms if alarm)
    'higher values'
    """

    def __init__(
        self, reference: Sequence[Any] | Floats, *, run_length: int = RUN_LENGTH, seed: int = 0
    ) -> None:
        """Learn the reference; `run_length` is the mean number of rows between false alarms, at least."""
        values, _ = finite(reference, None)
        if len(values) < MINIMUM_ROWS:
            raise ValueError(
                f"a detector needs {MINIMUM_ROWS} numbers as its reference, and got {len(values)}"
            )
        if run_length < 1:
            raise ValueError(f"run_length is {run_length}; it is a number of rows, 1 or more")
        quantiles = np.linspace(0, 1, _BINS + 1)[1:-1]
        edges = np.unique(np.quantile(values, quantiles, method="inverted_cdf"))
        self._edges = edges
        self._counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        self._seen = int(self._counts.sum())
        self.run_length, self._seed = run_length, seed
        self.rows = 0
        self._sessions: dict[Hashable, None] = {}
        self._restart()

    def _restart(self) -> None:
        self._won = np.zeros(len(bets.ALL.names))
        self._best = np.ones(len(bets.ALL.names))  # of bets begun at the best moment
        self._begun = np.full(len(bets.ALL.names), self.rows)

    @property
    def evidence(self) -> float:
        """What the bets have won; an alarm is raised when it reaches `run_length`."""
        return float(self._won.mean())

    def add(self, value: Any, session: Hashable = None) -> Alarm | None:
        """Feed one row; an alarm when there is enough evidence, after which it begins anew.

        Values that are no finite numbers, and further rows of a session, are passed over.
        """
        number = _number(value)
        if number is None or self._known(session):
            return None
        paid = bets.ALL.pay(self._rank(number))
        self.rows += 1
        self._won = (1 + self._won) * paid
        anew = self._best <= 1
        self._begun = np.where(anew, self.rows, self._begun)
        self._best = np.where(anew, 1.0, self._best) * paid
        if self.evidence < self.run_length:
            return None
        which = int(self._won.argmax())
        alarm = Alarm(self.rows, int(self._begun[which]), bets.ALL.names[which])
        self._restart()
        return alarm

    def _known(self, session: Hashable) -> bool:
        if session is None:
            return False
        known = session in self._sessions
        self._sessions.pop(session, None)  # the one seen last is forgotten last
        self._sessions[session] = None
        if len(self._sessions) > _SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return known

    def _rank(self, number: float) -> float:
        """The rank among all so far, between 0 and 1; by chance among those in the same bin."""
        place = int(np.searchsorted(self._edges, number))
        self._counts[place] += 1
        self._seen += 1
        below = int(self._counts[:place].sum())
        return (below + _chance(self._seed, self._seen) * int(self._counts[place])) / self._seen

    def state(self) -> dict[str, Any]:
        """Everything it knows, as JSON can hold it."""
        return {
            "version": _VERSION,
            "run_length": self.run_length,
            "seed": self._seed,
            "rows": self.rows,
            "edges": self._edges.tolist(),
            "counts": self._counts.tolist(),
            "won": self._won.tolist(),
            "best": self._best.tolist(),
            "begun": self._begun.tolist(),
            "sessions": list(self._sessions),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Detector:
        """The detector that said so by `state`, to go on where it was."""
        if state.get("version") != _VERSION or len(state["won"]) != len(bets.ALL.names):
            raise ValueError(
                "this detector's state is of another version of llmwatch: start a new one"
            )
        self = cls.__new__(cls)
        self.run_length, self._seed, self.rows = state["run_length"], state["seed"], state["rows"]
        self._edges, self._counts = np.array(state["edges"]), np.array(state["counts"])
        self._seen = int(self._counts.sum())
        self._won, self._best = np.array(state["won"]), np.array(state["best"])
        self._begun = np.array(state["begun"])
        self._sessions = dict.fromkeys(state["sessions"])
        return self


def _number(value: Any) -> float | None:
    if not isinstance(value, float):
        found, _ = finite([value], None)
        return float(found[0]) if len(found) else None
    return value if math.isfinite(value) else None


def _chance(seed: int, count: int) -> float:
    """A number between 0 and 1 that depends on these two alone: no generator to keep in the state."""
    mixed = (seed * 0x9E3779B97F4A7C15 + count * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & 0xFFFFFFFFFFFFFFFF
    return ((mixed ^ (mixed >> 31)) >> 11) / 2**53
