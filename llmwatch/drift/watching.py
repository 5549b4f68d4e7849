"""The worker's part of drift: detectors that are fed each finished row as it comes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llmwatch import faults

if TYPE_CHECKING:
    from llmwatch.drift.feed import Feed
    from llmwatch.drift.watches import Watch
    from llmwatch.settings import Settings
    from llmwatch.store import Project, Store

_LOOK_EVERY_S = 5.0


class Watching:
    """Watches the tables that the settings files name; an alarm becomes a row of the table `drift`."""

    name = "drift"

    def __init__(self) -> None:
        self._feeds: dict[tuple[Project, Watch], Feed] = {}
        self._next = 0.0

    def tick(self, store: Store, settings: Settings) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _LOOK_EVERY_S
        return self._turn(store, settings)

    def finish(self, store: Store, settings: Settings) -> None:
        """Everything that is due, now: for a worker that runs once."""
        self._turn(store, settings)
        self.stop()

    def stop(self) -> None:
        """Let go of what is held in memory; what the detectors know is kept."""
        feeds, self._feeds = self._feeds, {}
        for feed in feeds.values():
            feed.close()

    def _turn(self, store: Store, settings: Settings) -> bool:
        from llmwatch.drift.watches import configured

        wanted = {
            (project, watch)
            for watch in configured()
            for project in store.projects()
            if _has(project, watch)
        }
        for gone in self._feeds.keys() - wanted:
            self._feeds.pop(gone).close()
        worked = [self._fed(project, watch, settings) for project, watch in wanted]
        return any(worked)

    def _fed(self, project: Project, watch: Watch, settings: Settings) -> bool:
        from llmwatch.drift.feed import Feed
        from llmwatch.stream.table import StreamTable

        said = []
        feed = self._feeds.pop((project, watch), None)
        with faults.contained(
            f"drift of {watch.table} could not be watched; its rows are tried again"
        ):
            feed = feed or Feed(project, watch, settings)
            said = feed.turn()
            self._feeds[project, watch] = feed  # one that failed begins anew where it last stood
        if said:
            with StreamTable(f"{project.id}/drift", store=project.store.root) as results:
                for row in said:
                    results.log(row)
        return bool(said)


def _has(project: Project, watch: Watch) -> bool:
    table = watch.table
    return project.id == f"{table.entity}/{table.project}" and table.table in project.tables()
