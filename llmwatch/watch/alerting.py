"""The worker's part of alerts: a round over every project when metrics came or a minute passed, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch import clock, faults
from llmwatch.names import parse_table
from llmwatch.store import open_store
from llmwatch.stream import fork
from llmwatch.stream.marks import mark

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project, Store
    from llmwatch.stream.query import Reader
    from llmwatch.watch.channels.protocol import Channel
    from llmwatch.watch.rounds import Round
    from llmwatch.watch.rules import Rule

_LOOK_EVERY_S = 5.0
_LAST_ROUND_S = 15.0
_TABLES = ("metrics", "drift", "alerts")


class Alerting:
    """Looks at the rules of every project that has metrics or drift runs, and sends what is due."""

    name = "alerts"

    def __init__(self) -> None:
        self._readers: dict[str, Reader] = {}
        self._seen: dict[str, object] = {}
        self._thread: threading.Thread | None = None
        self._next = 0.0
        self._worked = False
        self._stopping = False

    def tick(self, store: Store, settings: Settings) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return self._worked
        worked, self._worked = self._worked, False
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LOOK_EVERY_S
            watched = [project for project in store.projects() if is_watched(project)]
            if watched:
                self._thread = threading.Thread(
                    target=self._run,
                    args=(watched, store, settings),
                    name="llmwatch-alerts",
                    daemon=True,
                )
                self._thread.start()
        return worked

    def finish(self, store: Store, settings: Settings) -> None:
        """Everything that is due, now: for a worker that runs once."""
        self.stop()
        self._stopping = False
        self._run([one for one in store.projects() if is_watched(one)], store, settings, once=True)
        self.stop()

    def stop(self) -> None:
        """End the round that runs, and let go of what is held."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join(_LAST_ROUND_S)
        readers, self._readers = self._readers, {}
        for reader in readers.values():
            reader.close()

    def _run(
        self, projects: Sequence[Project], store: Store, settings: Settings, *, once: bool = False
    ) -> None:
        from llmwatch.watch import rules as rules_
        from llmwatch.watch.channels import configured

        with faults.contained("no rule is looked at: the settings of the watch are wrong"):
            rules, channels = rules_.usable(), configured.usable(store.root)
            for project in projects:
                if not self._stopping:
                    with faults.contained(f"the rules of {project.id} could not be looked at"):
                        self._round(project, rules, channels, settings, once=once)

    def _round(
        self,
        project: Project,
        rules: Sequence[Rule],
        channels: Sequence[Channel],
        settings: Settings,
        *,
        once: bool,
    ) -> None:
        from llmwatch.stream.query import Reader
        from llmwatch.watch import sending
        from llmwatch.watch.rounds import look

        with alone(project) as free:
            if not free:
                return
            before = self._signature(project)
            if once or before != self._seen.get(project.id):
                reader = self._readers.setdefault(project.id, Reader(project, settings))
                found = look(reader, rules, channels)
                self._worked |= bool(found.changed or found.messages)
                self._seen[project.id] = before
            sending.send(project, channels, once=once)

    def _signature(self, project: Project) -> object:
        """Changes when something was told, and every minute."""
        files = tuple(one for table in _TABLES for one in mark(project, table))
        return clock.now_us() // 60_000_000, files


def check(
    project: str,
    rules: Sequence[Rule] | None = None,
    channels: Sequence[Channel] | None = None,
    *,
    store: str | Path | None = None,
) -> Round:
    """One look at rules (those of the settings files, unless given), and everything sent that is due.

    `check("shop", [Rule("slow", Threshold("latency/p95_ms", above=2000))]).firing`
    """
    from llmwatch.stream.query import Reader
    from llmwatch.watch import sending
    from llmwatch.watch.channels.configured import configured
    from llmwatch.watch.rounds import Round, look
    from llmwatch.watch.rules import checked, declared

    opened = open_store(store)
    name = parse_table(f"{project}/{_TABLES[0]}")
    there = opened.project(name.entity, name.project)
    wanted = declared() if rules is None else checked(rules)
    through = configured(opened.root) if channels is None else channels
    reader = Reader(there)
    try:
        with alone(there) as free:
            if not free:
                return Round()
            found = look(reader, wanted, through)
            sending.send(there, through, once=True)
            return found
    finally:
        reader.close()


def is_watched(project: Project) -> bool:
    """Whether there is anything in it that rules look at."""
    return any(
        project.spool(table).is_dir() or project.lake(table).is_dir() for table in _TABLES[:2]
    )


def alone(project: Project) -> AbstractContextManager[bool]:
    """Whether this process may look at the project's rules now: another may be at it."""
    return fork.alone(project.task_lock("alerts"))
