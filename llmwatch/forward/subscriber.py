"""The forwarder as a subscriber of the worker: a thread of its own, so that a slow network holds nothing up."""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from llmwatch import destination, faults
from llmwatch.stream import fork, holds

if TYPE_CHECKING:

    from llmwatch.destination import Wanted
    from llmwatch.forward.forwarder import Forwarder
    from llmwatch.settings import Settings
    from llmwatch.store import Project, Store

_LOOK_EVERY_S = 1.0
_LAST_REQUEST_S = 10.0
_KEEPS_WORKER_S = 3600.0
"""How long an outage keeps an otherwise idle worker alive; after that, the next one goes on."""


class Forwarding:
    """Runs a pass over every project that is meant for W&B, again and again."""

    name = "forwarding"

    def __init__(self) -> None:
        self._forwarders: dict[str, tuple[Wanted, Forwarder]] = {}
        self._thread: threading.Thread | None = None
        self._next = 0.0
        self._worked = True  # until a first pass has looked, there may be something
        self._worked_at = time.monotonic()
        self._stopping = False
        atexit.register(self._stop)

    def close(self) -> None:
        """End the pass that runs, and let go of what is held."""
        atexit.unregister(self._stop)
        self._stop()
        for _, forwarder in self._forwarders.values():
            forwarder.close()

    def _stop(self) -> None:
        """Before the interpreter goes: its databases must not be taken from under a pass."""
        self._stopping = True
        for _, forwarder in list(self._forwarders.values()):
            forwarder.stop()
        if self._thread is not None:
            self._thread.join(_LAST_REQUEST_S)

    def tick(self, store: Store, settings: Settings) -> bool:
        """Start a pass unless one runs; whether there is something to do, as far as is known."""
        if self._thread is not None and self._thread.is_alive():
            return self._is_recent()
        if time.monotonic() >= self._next:
            wanted = _wanted(store)
            if not wanted:
                return False
            self._next = time.monotonic() + _LOOK_EVERY_S
            self._thread = threading.Thread(
                target=self._run, args=(wanted, settings), name="llmwatch-forward", daemon=True
            )
            self._thread.start()
        return self._worked and self._is_recent()

    def _is_recent(self) -> bool:
        """Whether anything was sent lately: an outage does not keep a worker for ever."""
        return time.monotonic() - self._worked_at < _KEEPS_WORKER_S

    def _run(self, projects: list[Project], settings: Settings) -> None:
        worked = False
        for project in projects:
            if self._stopping:
                return
            with faults.contained(
                f"{project.id} could not be forwarded to W&B. Nothing is lost, rows wait; "
                "`llmwatch forward --status` says more"
            ):
                worked |= self._pass(project, settings)
        self._worked = worked

    def _pass(self, project: Project, settings: Settings) -> bool:
        with alone(project) as free:
            if not free:
                return False
            forwarder = self._forwarder(project, settings)
            before = forwarder.progress
            worked = forwarder.run()
            if forwarder.progress != before:
                self._worked_at = time.monotonic()
            return worked

    def _forwarder(self, project: Project, settings: Settings) -> Forwarder:
        from llmwatch.forward.forwarder import Forwarder

        wanted = destination.read(project)
        known = self._forwarders.get(project.id)
        if known is not None and known[0] == wanted:
            return known[1]
        if known is not None:
            known[1].close()
        made = Forwarder(project, settings, wanted)
        self._forwarders[project.id] = (wanted, made)
        return made


def _wanted(store: Store) -> list[Project]:
    """The projects that are sent. What another one held back for W&B is held back no longer."""
    on = []
    for project in store.projects():
        if destination.read(project).on:
            on.append(project)
        else:
            holds.nothing_needed(project)
    return on


def alone(project: Project) -> AbstractContextManager[bool]:
    """Whether this process may forward the project now: another may be at it."""
    return fork.alone(project.task_lock("forward"))
