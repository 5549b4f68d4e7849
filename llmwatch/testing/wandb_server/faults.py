"""What goes wrong with requests: by chance, by rule, and for how long."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Rule = Callable[[str, Any], "Trouble | None"]
"""Given the path and the parsed body of a request: what goes wrong with it, if anything."""


@dataclass(frozen=True)
class Trouble:
    """One request's fate: an error status, or a connection cut before or after the work was done."""

    status: int = 0
    retry_after: str | None = None
    cut: bool = False
    lost: bool = False
    delay_s: float = 0.0
    message: str = "the stand-in was told to fail"


FINE = Trouble()


class Faults:
    """Which requests fail; any thread may change it while the server runs."""

    def __init__(self, seed: int = 0) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._shares: dict[str, float] = {}
        self._rules: list[Rule] = []
        self._away_until = 0.0
        self._lock = threading.Lock()
        self.counts: dict[str, int] = {}
        self.retry_after: str | None = None

    def set(self, **shares: float) -> None:
        """The share of requests that fail: `status_429`, `status_500`, `cut` (nothing is done), `lost`
        (all is done and the answer is lost)."""
        known = {"status_429", "status_500", "status_503", "cut", "lost"}
        if not set(shares) <= known:
            raise ValueError(f"faults are {', '.join(sorted(known))}")
        with self._lock:
            self._shares = dict(shares)

    def add(self, rule: Rule) -> None:
        """Ask `rule` about each request, before chance is."""
        with self._lock:
            self._rules.append(rule)

    def go_away(self, seconds: float) -> None:
        """Cut every connection for so long, as when the service or the network is gone."""
        with self._lock:
            self._away_until = time.monotonic() + seconds

    def clear(self) -> None:
        with self._lock:
            self._shares, self._rules, self._away_until = {}, [], 0.0

    def strike(self, path: str, body: Any) -> Trouble:
        with self._lock:
            trouble = self._strike(path, body)
            if trouble is not FINE:
                name = "cut" if trouble.cut else "lost" if trouble.lost else str(trouble.status)
                self.counts[name] = self.counts.get(name, 0) + 1
            return trouble

    def _strike(self, path: str, body: Any) -> Trouble:
        if time.monotonic() < self._away_until:
            return Trouble(cut=True)
        for rule in self._rules:
            if (trouble := rule(path, body)) is not None:
                return trouble
        drawn = self._chance.random()
        for name, share in self._shares.items():
            if drawn < share:
                return self._named(name)
            drawn -= share
        return FINE

    def _named(self, name: str) -> Trouble:
        if name.startswith("status_"):
            return Trouble(status=int(name[7:]), retry_after=self.retry_after)
        return Trouble(cut=name == "cut", lost=name == "lost")
