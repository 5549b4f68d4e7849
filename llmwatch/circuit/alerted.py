"""Whether a rule's alert fires: looked up beside the calls, never in their way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from llmwatch import faults
from llmwatch.circuit.states import now

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.marks import Mark
    from llmwatch.watch.history import Alert

EVERY_S = 10.0


class Lookout:
    """Calls `trip` once for each alert of the rule, and once more when it begins again.

    An alert that goes on does not keep a breaker open: with nothing called, its metric might never be known again.
    """

    def __init__(self, rule: str, trip: Callable[[str, str], None]) -> None:
        self._rule, self._trip = rule, trip
        self._looked = float("-inf")
        self._looking = threading.Lock()
        self._mark: tuple[str, Mark] | None = None
        self._seen: set[tuple[str, int]] = set()

    def glance(self) -> None:
        """Start a look when it is time for one; returns at once."""
        if now() - self._looked < EVERY_S or not self._looking.acquire(blocking=False):
            return
        self._looked = now()
        try:
            threading.Thread(
                target=self._look_and_let_go, name="llmwatch-alert", daemon=True
            ).start()
        except RuntimeError:  # no thread is to be had: at interpreter exit, or past a limit
            self._looking.release()

    def fresh_lock(self) -> None:
        self._looking = threading.Lock()

    def _look_and_let_go(self) -> None:
        try:
            with faults.contained(f"the alerts of {self._rule!r} could not be read for a breaker"):
                self.look()
        finally:
            self._looking.release()

    def look(self) -> None:
        """Look now."""
        from llmwatch.stream import marks
        from llmwatch.tracing import recorder
        from llmwatch.watch.history import TABLE

        active = recorder.active()
        if active is None:
            return
        mark = (active.project.id, marks.mark(active.project, TABLE))
        if mark == self._mark:
            return
        for alert in _firing(active.project, self._rule):
            once = (alert.id, alert.reopened)
            if once not in self._seen:
                self._seen.add(once)
                self._trip("alert", f"{alert.severity} {alert.rule}: {alert.said}")
        self._mark = mark


def _firing(project: Project, rule: str) -> list[Alert]:
    from llmwatch.stream.query import Reader
    from llmwatch.watch import history

    reader = Reader(project)
    try:
        alerts = history.alerts(reader)
    finally:
        reader.close()
    return [each for each in alerts if each.state == "firing" and fnmatchcase(each.rule, rule)]
