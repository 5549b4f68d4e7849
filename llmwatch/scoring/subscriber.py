"""The worker's part of scoring: a thread for each lane, scorers in processes below it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from llmwatch import faults

if TYPE_CHECKING:
    from llmwatch.scoring.live import Lane, LaneRun
    from llmwatch.settings import Settings
    from llmwatch.store import Store

_LOOK_EVERY_S = 5.0
_PAUSE_S = 0.5
_BUSY_S = 1.0


class Scoring:
    """Keeps a thread going for every lane that is configured; the worker's other turns never wait for one."""

    name = "scoring"

    def __init__(self) -> None:
        self._threads: dict[str, _LaneThread] = {}
        self._next = 0.0

    def tick(self, store: Store, settings: Settings) -> bool:
        if time.monotonic() >= self._next and any(store.projects()):
            self._next = time.monotonic() + _LOOK_EVERY_S
            self._keep_up_with(_lanes(store), store, settings)
        worked = [thread.worked() for thread in self._threads.values()]  # each is asked
        return any(worked)

    def finish(self, store: Store, settings: Settings) -> None:
        """Everything that is due, now: for a worker that runs once."""
        from llmwatch.scoring.live import LaneRun

        self.stop()
        for lane in _lanes(store):
            run = LaneRun(lane, store, settings)
            try:
                while run.turn():
                    pass
            finally:
                run.close()

    def stop(self) -> None:
        """End the threads and the processes below them."""
        threads, self._threads = self._threads, {}
        for thread in threads.values():
            thread.stop()

    def _keep_up_with(self, lanes: list[Lane], store: Store, settings: Settings) -> None:
        from llmwatch.scoring.live import LaneRun

        wanted = {_identity(lane): lane for lane in lanes}
        for gone in self._threads.keys() - wanted.keys():
            self._threads.pop(gone).stop()
        for identity, lane in wanted.items():
            if identity not in self._threads:
                self._threads[identity] = _LaneThread(LaneRun(lane, store, settings))


class _LaneThread:
    def __init__(self, run: LaneRun) -> None:
        self._run = run
        self._stopped = threading.Event()
        self._worked = False
        self._busy_since: float | None = None
        name = f"llmwatch-scoring-{run.lane.name}"
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def worked(self) -> bool:
        """Whether there was anything to do since this was last asked, or is: a slow scorer takes long over a batch."""
        since = self._busy_since
        busy = since is not None and time.monotonic() - since > _BUSY_S
        worked, self._worked = self._worked or busy, False
        return worked

    def stop(self) -> None:
        self._stopped.set()
        self._run.interrupt()
        self._thread.join()

    def _live(self) -> None:
        while not self._stopped.is_set():
            if not self._turn():
                self._stopped.wait(_PAUSE_S)
        with faults.contained(f"scoring by {self._run.lane.name} did not end well"):
            self._run.close()

    def _turn(self) -> bool:
        from llmwatch.scoring.pool import Stopped

        worked = False
        with faults.contained(f"scoring by {self._run.lane.name} failed; its rows are tried again"):
            try:
                self._busy_since = time.monotonic()
                worked = self._run.turn()
            except Stopped:
                return False
            except BaseException:
                self._run.start_over()
                raise
            finally:
                self._busy_since = None
        self._worked |= worked
        return worked


def _lanes(store: Store) -> list[Lane]:
    from llmwatch.scoring.configured import lanes

    return lanes(store)


def _identity(lane: Lane) -> str:
    """Changes when the lane is to be made anew."""
    specs = [spec.told() for spec in lane.specs]
    return repr((lane.name, lane.only, lane.processes, specs, lane.monitor))
