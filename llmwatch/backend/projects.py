"""What the backend knows of each project of a store: its calls, objects, tables, files, feedback, costs."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from llmwatch.backend.call_stats import CallStats
from llmwatch.backend.calls import Calls
from llmwatch.backend.costs import Costs
from llmwatch.backend.evaluation_runs import EvaluationRuns
from llmwatch.backend.feedback import Feedback
from llmwatch.backend.feedback_stats import FeedbackStats
from llmwatch.backend.files import Files
from llmwatch.backend.kinds import Kinds
from llmwatch.backend.objects import Objects
from llmwatch.backend.tables import Tables
from llmwatch.backend.threads import Threads
from llmwatch.backend.usage import Usage
from llmwatch.store import Project, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from llmwatch.backend.costs import Price
    from llmwatch.settings import Settings
    from llmwatch.stream.query import Reader


def _price(llm_id: str, at: datetime) -> Price | None:
    """The built-in price; its table takes a while to load, and few processes ask for a cost."""
    from llmwatch.scorers.prices import default_price

    return default_price(llm_id, at)


class ProjectBackend:
    """The parts of one project; they share one reader."""

    def __init__(
        self, project: Project, settings: Settings, read_ref: Callable[[str], Any]
    ) -> None:
        self.project, self._settings = project, settings
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self.files = Files(project)
        self.tables = Tables(project)
        self.objects = Objects(project, settings, self.reader)
        self.feedback = Feedback(project, settings, self.reader, read_ref)
        self.costs = Costs(project, settings, self.reader, _price)
        include = (self.costs.include, self.feedback.include)
        self.calls = Calls(project, settings, self.reader, read_ref, include)
        self.call_stats = CallStats(self.reader, self.costs)
        self.feedback_stats = FeedbackStats(self.reader)
        self.threads = Threads(self.reader)
        self.usage = Usage(self.calls)
        self.kinds = Kinds(project, self.objects, self.tables, self.files)
        self.runs = EvaluationRuns(project, self.calls, self.kinds, self.feedback)

    def reader(self) -> Reader:
        """Made when something is first read: a process that only records needs no database."""
        with self._lock:
            if self._reader is None:
                from llmwatch.stream.query import Reader

                self._reader = Reader(self.project, self._settings)
            return self._reader

    def close(self) -> None:
        """Let go of the database; what is read later opens another."""
        with self._lock:
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


class Projects:
    """The projects of a store, each made when it is first asked for."""

    def __init__(self, store: Store, settings: Settings) -> None:
        from llmwatch.backend.refs import Refs

        self.store, self._settings = store, settings
        self.refs = Refs(self)
        self._start_afresh()
        _alive.add(self)

    def get(self, project_id: str) -> ProjectBackend:
        found = self._known.get(project_id)
        if found is None:
            entity, _, name = project_id.partition("/")
            project = self.store.project(entity, name)
            with self._lock:
                found = self._known.setdefault(
                    project_id, ProjectBackend(project, self._settings, self.refs.read_or_none)
                )
        return found

    def known(self) -> list[ProjectBackend]:
        return list(self._known.values())

    def _start_afresh(self) -> None:
        self._known: dict[str, ProjectBackend] = {}
        self._lock = threading.Lock()

    def _reset_in_child(self) -> None:
        # Kept, not closed: the parent's database has threads that are not here to be joined.
        _of_the_parent.append(self._known)
        self._start_afresh()


_alive: weakref.WeakSet[Projects] = weakref.WeakSet()
_of_the_parent: list[dict[str, ProjectBackend]] = []


def _reset_all_in_child() -> None:
    for projects in list(_alive):
        projects._reset_in_child()


def _close_all() -> None:
    for projects in list(_alive):
        for known in projects.known():
            known.close()


# A database still open when the interpreter is taken down complains about it on stderr.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all_in_child)
