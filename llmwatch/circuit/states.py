"""The states of a breaker: closed (calls are made), open (they are not), half open (a few are, as probes).

Nothing of the user's runs in here, so its lock is held for microseconds.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

from llmwatch import clock
from llmwatch.circuit.limits import Limits
from llmwatch.circuit.window import Counts, Window

State = Literal["closed", "open", "half_open"]
Outcome = Literal["fine", "failed", "slow", "unknown"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """The leave to make one call. What it comes to counts only in the same spell of the same state."""

    spell: int
    began: float
    probe: bool


@dataclass(frozen=True, slots=True)
class Change:
    """From one state to another, and why."""

    state: State
    was: State
    reason: str
    said: str
    at_us: int
    lasted_s: float
    """How long the state before it lasted."""
    refused: int
    """Calls that were not made in it."""
    counts: Counts


class Circuit:
    """One breaker's state, for all threads of a process."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.state: State = "closed"
        self.changes: list[Change] = []
        """What is still to be recorded; taken by `taken`."""
        self._lock = threading.Lock()
        self._window = Window(limits.window_s)
        self._spell = 0
        self._since = now()
        self._refused = 0
        self._passed = 0
        self._probing: list[float] = []

    def admit(self) -> Ticket | None:
        """Leave to make a call; None when it is not to be made."""
        with self._lock:
            if self.state == "closed":
                return Ticket(self._spell, now(), probe=False)
            at = now()
            if self.state == "open" and at - self._since >= self.limits.rest_s:
                self._enter("half_open", "rest", f"after {self.limits.rest_s:g} s", at)
            if self.state == "half_open" and self._may_probe(at):
                self._probing.append(at)
                return Ticket(self._spell, at, probe=True)
            self._refused += 1
            return None

    def done(self, ticket: Ticket, outcome: Outcome) -> None:
        """What the call came to."""
        with self._lock:
            if ticket.spell != self._spell:
                return
            if ticket.probe:
                self._probed(ticket, outcome)
            elif outcome != "unknown":
                self._count(outcome)

    def outcome(self, error: BaseException | None, took_s: float) -> Outcome:
        """A call that was cancelled, or failed by what is ignored, says nothing, unless it was slow."""
        limits = self.limits
        if self.is_failure(error):
            return "failed"
        if limits.slow_ms is not None and took_s * 1000 >= limits.slow_ms:
            return "slow"
        return "fine" if error is None else "unknown"

    def is_failure(self, error: BaseException | None) -> bool:
        return isinstance(error, Exception) and not isinstance(error, self.limits.ignore)

    def trip(self, reason: str, said: str) -> None:
        """Open it, whatever was counted."""
        with self._lock:
            if self.state != "open":
                self._enter("open", reason, said, now())

    def reset(self) -> None:
        """Close it."""
        with self._lock:
            if self.state != "closed":
                self._enter("closed", "by hand", "closed by hand", now())

    def counts(self) -> Counts:
        with self._lock:
            return self._window.counts(now())

    def retry_after_s(self) -> float:
        """How long it stays open at least."""
        with self._lock:
            if self.state != "open":
                return 0.0
            return max(0.0, self._since + self.limits.rest_s - now())

    def taken(self) -> list[Change]:
        """The changes that nobody recorded yet, once."""
        if not self.changes:
            return []
        with self._lock:
            found, self.changes = self.changes, []
            return found

    def fresh_lock(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._probing.clear()

    # --- under the lock ----------------------------------------------------------------

    def _count(self, outcome: Outcome) -> None:
        at, limits = now(), self.limits
        self._window.add(at, failed=outcome == "failed", slow=outcome == "slow")
        if outcome == "fine":
            return
        counts = self._window.counts(at)
        if counts.calls < limits.min_calls:
            return
        if limits.error_rate is not None and counts.failed >= limits.error_rate * counts.calls:
            self._enter("open", "errors", f"{counts.failed} of {counts.calls} calls failed", at)
        elif limits.slow_ms is not None and counts.slow >= limits.slow_rate * counts.calls:
            said = f"{counts.slow} of {counts.calls} calls took {limits.slow_ms:g} ms or more"
            self._enter("open", "slow", said, at)

    def _may_probe(self, at: float) -> bool:
        """A probe that nobody heard of for a whole rest is given up: it may hang for ever."""
        self._probing = [began for began in self._probing if at - began < self.limits.rest_s]
        return self._passed + len(self._probing) < self.limits.probes

    def _probed(self, ticket: Ticket, outcome: Outcome) -> None:
        if ticket.began in self._probing:
            self._probing.remove(ticket.began)
        if outcome in ("failed", "slow"):
            self._enter("open", "probe", f"a probe {_SAID[outcome]}", now())
        elif outcome == "fine":
            self._passed += 1
            if self._passed >= self.limits.probes:
                probes = "the probe" if self._passed == 1 else f"{self._passed} probes"
                self._enter("closed", "recovered", f"{probes} went well", now())

    def _enter(self, state: State, reason: str, said: str, at: float) -> None:
        counts = self._window.counts(at)
        lasted, refused = at - self._since, self._refused
        self.changes.append(
            Change(state, self.state, reason, said, clock.now_us(), lasted, refused, counts)
        )
        self.state, self._since = state, at
        self._spell += 1
        self._refused = self._passed = 0
        self._probing = []
        self._window.clear()


_SAID = {"failed": "failed", "slow": "was slow"}


def now() -> float:
    """Seconds on a clock that nobody sets; in a test that sets the time, that time."""
    return time.monotonic() if clock._replaced_now is None else clock.now_us() / 1e6
