"""Two weeks in seconds: what was asked and answered, what was measured, and what the watch told of it, each at its own time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import orjson

from llmwatch import clock, settings
from llmwatch.demo import history, rehearsal, traffic
from llmwatch.demo.rehearsal import TABLE, Takes
from llmwatch.demo.traffic import DAY_US, HOUR_US, Incident, Request
from llmwatch.errors import LlmwatchError
from llmwatch.store import EVENTS
from llmwatch.stream import spool
from llmwatch.stream.compact import compact

if TYPE_CHECKING:
    from llmwatch.demo.place import Place
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.watch.messages import Message

DAYS = 14
_LOOK_EVERY_US = 3 * HOUR_US
_DRIFT_EVERY_DAYS = 2
_FOR_EVER_S = 1e12

Stage = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows that something long goes on: what, and of how many."""


@dataclass(frozen=True)
class Plan:
    """Which two weeks: where they end, what goes wrong in them, and how much is asked a day."""

    end_us: int
    seed: int = 0
    a_day: float = 280.0
    incidents: Sequence[Incident] = ()

    @property
    def start_us(self) -> int:
        return self.end_us // DAY_US * DAY_US - DAYS * DAY_US

    def requests(self, from_us: int | None = None, until_us: int | None = None) -> list[Request]:
        found = traffic.requests(
            from_us or self.start_us, until_us or self.end_us,
            seed=self.seed, a_day=self.a_day, incidents=self.incidents,
        )  # fmt: skip
        return list(found)

    @property
    def drift_runs(self) -> list[int]:
        """Midnights at which the drift job ran; the first is the end of the week that it compares with."""
        today = self.end_us // DAY_US * DAY_US
        return [
            self.start_us + 7 * DAY_US,
            *range(today - 6 * DAY_US, today + 1, _DRIFT_EVERY_DAYS * DAY_US),
        ]


@dataclass
class Terminal:
    """A channel that keeps what it is told, for the story."""

    messages: list[Message] = field(default_factory=list)
    name: str = "terminal"
    severities: tuple[str, ...] = ("P0", "P1", "P2")
    resolved: bool = False

    def send(self, message: Message) -> None:
        self.messages.append(message)


def replay(plan: Plan, place: Place, stage: Stage, takes: Takes | None = None) -> list[Message]:
    """Everything that happened in the two weeks, into the store; gives the alerts' messages in order.

    `takes` are those of an earlier rehearsal, of everything that is asked."""
    requests, project = plan.requests(), place.project
    with _one_segment() as now:
        takes = takes or _rehearsed(requests, place, stage)
        _record(plan, project, requests, takes, now, stage)
        with _drift_job(plan, stage) as finished:
            _measure(plan, project, now, stage)
            finished()
        for table in ("metrics", "drift"):
            compact(project, table, seal=True)
        told = _watch(plan, project, stage)
        for table in project.tables():
            compact(project, table, seal=True)
    return told


@contextmanager
def _one_segment() -> Iterator[Settings]:
    """Settings by which a segment lasts, as two weeks pass in seconds."""
    before = settings.current()
    lasting = replace(before, segment_age_s=_FOR_EVER_S)
    settings.use(lasting)
    try:
        yield lasting
    finally:
        spool.close_all()
        settings.use(before)


def _rehearsed(requests: Sequence[Request], place: Place, stage: Stage) -> Takes:
    different = len({request.asked for request in requests})
    with stage(f"asked the help desk {different:,} different things, and scored its answers", 0):
        return rehearsal.rehearse(requests, place.store)


def _record(
    plan: Plan,
    project: Project,
    requests: Sequence[Request],
    takes: Takes,
    now: Settings,
    stage: Stage,
) -> None:
    people = len({request.user_id for request in requests})
    said = f"played {DAYS} days: {len(requests):,} questions of {people:,} people"
    with stage(said, len(requests)) as passed:
        history.play(requests, takes, project, now, plan.end_us, passed, plan.seed)
        for table in (TABLE, EVENTS):
            compact(project, table, seal=True)


@contextmanager
def _drift_job(plan: Plan, stage: Stage) -> Iterator[Callable[[], None]]:
    """Runs beside what is inside, until `finished` is called."""
    with subprocess.Popen(
        [sys.executable, "-m", "llmwatch.demo.drift_runs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:

        def finished() -> None:
            runs = len(plan.drift_runs) - 1
            with stage(f"compared what people ask {runs} times with the first week", 0):
                _, said = process.communicate()
            if process.returncode:
                raise LlmwatchError(f"the drift job failed: {said.decode()[-2000:]}")

        try:
            assert process.stdin is not None
            process.stdin.write(orjson.dumps(plan.drift_runs))
            process.stdin.close()
            process.stdin = None
            yield finished
        finally:
            process.kill()


def _measure(plan: Plan, project: Project, now: Settings, stage: Stage) -> None:
    from llmwatch.watch import past
    from llmwatch.watch.declarations import declared

    sets = declared()
    with stage(f"measured {len(sets)} sets of metrics, hour by hour", DAYS + 1) as passed:
        past.tell(project, sets, plan.start_us, plan.end_us, now, passed)


def _watch(plan: Plan, project: Project, stage: Stage) -> list[Message]:
    """Looks at the rules as time goes by, as the worker would have."""
    from llmwatch.stream.query import Reader
    from llmwatch.watch import rounds, sending
    from llmwatch.watch.rules import declared

    rules, terminal = declared(), Terminal()
    looks = range(plan.start_us + DAY_US, plan.end_us + 1, _LOOK_EVERY_US)
    reader = Reader(project)
    try:
        with stage(f"looked at {len(rules)} rules {len(looks)} times", len(looks)) as passed:
            for at_us in looks:
                with clock.use(now=lambda at=at_us: int(at)):  # type: ignore[misc]
                    rounds.look(reader, rules, [terminal])
                    sending.send(project, [terminal], once=True)
                passed(1)
    finally:
        reader.close()
    return terminal.messages
