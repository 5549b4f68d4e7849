"""The worker's part of the watch: metric sets that are kept up to date as rows and labels come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmwatch import faults

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project, Store
    from llmwatch.watch.keeper import Keeper
    from llmwatch.watch.sets import MetricSet

_LOOK_EVERY_S = 5.0


class Watch:
    """Keeps the metric sets that are declared, and the default one; results become rows of the table `metrics`."""

    name = "watch"

    def __init__(
        self,
        declared: Sequence[MetricSet] | None = None,
        passed: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`declared`: these, and not what the settings files declare by then. `passed` hears of minutes that are made."""
        self._declared, self._passed = declared, passed
        self._keepers: dict[Project, Keeper] = {}
        self._next = 0.0

    def tick(self, store: Store, settings: Settings) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _LOOK_EVERY_S
        return self._turn(store, settings)

    def finish(self, store: Store, settings: Settings) -> None:
        """Everything that is due, now: for a worker that runs once."""
        while self._turn(store, settings):
            pass
        self.stop()

    def stop(self) -> None:
        """Let go of what is held in memory; what is kept is in the store."""
        keepers, self._keepers = self._keepers, {}
        for keeper in keepers.values():
            keeper.close()

    def _turn(self, store: Store, settings: Settings) -> bool:
        wanted = self._wanted(store)
        for gone in self._keepers.keys() - wanted.keys():
            self._keepers.pop(gone).close()
        worked = [self._kept(project, sets, settings) for project, sets in wanted.items()]
        return any(worked)

    def _kept(self, project: Project, sets: tuple[MetricSet, ...], settings: Settings) -> bool:
        from llmwatch.watch.keeper import Keeper

        worked = False
        keeper = self._keepers.pop(project, None)
        if keeper is not None and keeper.sets != sets:
            keeper.close()
            keeper = None
        with faults.contained(
            f"metrics of {project.id} could not be brought up to date; the same rows are tried again"
        ):
            keeper = keeper or Keeper(project, sets, settings, self._passed)
            worked = keeper.turn()
            self._keepers[project] = keeper  # one that failed begins anew where it last stood
        return worked

    def _wanted(self, store: Store) -> dict[Project, tuple[MetricSet, ...]]:
        """The sets of each project that has the table."""
        from llmwatch.watch.declarations import usable
        from llmwatch.watch.default_sets import of_project

        declared = usable() if self._declared is None else self._declared
        found = {project: tuple(of_project(project, declared)) for project in store.projects()}
        return {project: sets for project, sets in found.items() if sets}
