"""The worker's part of recording resources: a row each time it looks, and means once a minute."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llmwatch import clock
from llmwatch.watch import names
from llmwatch.watch.sinks import options
from llmwatch.watch.sinks.resources import SET, TABLE, Resources, Values, means, typed

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Store
    from llmwatch.stream.table import StreamTable

_LOOK_AGAIN_S = 30.0
MINUTE_US = 60_000_000


class Recording:
    """Writes what `Resources` reads, where the settings files ask for it. A worker that does so does not end by itself:
    there is always something to compact."""

    name = "system resources"

    def __init__(self) -> None:
        self._next = 0.0
        self._recorder: Recorder | None = None

    def tick(self, store: Store, settings: Settings) -> bool:
        del settings
        if time.monotonic() < self._next:
            return False
        told = options.system()
        self._next = time.monotonic() + (_LOOK_AGAIN_S if told is None else told.every_s)
        if told is not None:
            self._recorder = self._recorder or Recorder(store, told.project)
            self._recorder.look()
        return False


class Recorder:
    """The tables `system` and `metrics` of one project."""

    def __init__(self, store: Store, project: str) -> None:
        self._resources = Resources(store.root)
        self._rows, self._metrics = (_table(store, project, name) for name in (TABLE, names.TABLE))
        self._minute = 0
        self._readings: list[Values] = []

    def look(self) -> None:
        """Read, write a row, and the means of the minute before once it is over."""
        now = clock.now_us()
        values = self._resources.read(time.monotonic())
        self._rows.log(typed(values))
        minute = now // MINUTE_US * MINUTE_US
        if minute != self._minute:
            self._tell()
            self._minute = minute
        self._readings.append(values)

    def _tell(self) -> None:
        readings, self._readings = self._readings, []
        if not readings:
            return
        self._metrics.log(
            {
                "set": SET,
                "table": TABLE,
                "window_start": self._minute,
                "window_s": 60,
                "group": "{}",
                "n": len(readings),
                "closed": True,
                **typed(means(readings)),
            }
        )


def _table(store: Store, project: str, name: str) -> StreamTable:
    from llmwatch.stream.table import StreamTable

    return StreamTable(name, project_name=project, store=store.root)
