"""Scoring of live rows: a lane follows the tables of a store and has its scorers score what arrives."""

from __future__ import annotations

import hashlib
import heapq
import logging
import re
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch import clock, faults
from llmwatch.scoring import results
from llmwatch.scoring.pool import Done, Pool, Work
from llmwatch.scoring.results import Failure, Outcome
from llmwatch.scoring.spec import Spec
from llmwatch.stream.follow import Follower, RecordedReader, rows_of

if TYPE_CHECKING:
    from llmwatch.backend.monitors import Monitor
    from llmwatch.settings import Settings
    from llmwatch.store import Project, Store

logger = logging.getLogger("llmwatch.scoring")

MOST_ROWS = 2048
"""Rows in work at a time: what a lane holds in memory, and looks at once more when it was killed."""
BEFORE_S = 3600.0
"""A scorer that is new also gets the rows recorded so long before it was first seen."""
_REST_AFTER_S = 30.0
_UNUSABLE_S = 30.0
_RETRY_S, _LONGEST_RETRY_S = 5.0, 600.0

_PLAIN = re.compile(r"[A-Za-z0-9._-]{0,99}[A-Za-z0-9_-]")
_WORDS = re.compile(r"[A-Za-z0-9_]+")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Lane:
    """Scorers that go through the rows together, with a position of their own."""

    name: str
    specs: tuple[Spec, ...]
    processes: int = 1
    only: str | None = None
    """The project that these scorers are for; None for every one."""
    monitor: Monitor | None = None
    """A monitor of Weave's that says which calls are wanted."""

    @property
    def batch(self) -> int:
        """Rows for one process at a time."""
        return max(spec.batch for spec in self.specs)


class LaneRun:
    """One lane at work on a store. Not for several threads."""

    def __init__(self, lane: Lane, store: Store, settings: Settings) -> None:
        self.lane, self._store, self._settings = lane, store, settings
        self._pool = Pool(lane.processes)
        self._projects: dict[str, _InProject] = {}
        self._worked_at = time.monotonic()
        self._not_before = 0.0

    def turn(self) -> bool:
        """Score a batch of each table that has new rows, and what is to be tried again; True when there was any."""
        if time.monotonic() < self._not_before:
            return False
        worked = False
        for project in self._store.projects():
            if self.lane.only in (None, project.id):
                worked |= self._in(project).turn()
        if worked:
            self._worked_at = time.monotonic()
        elif time.monotonic() - self._worked_at > _REST_AFTER_S:
            self._pool.rest()
        return worked

    def interrupt(self) -> None:
        """From another thread: end the work under way, of which nothing is recorded."""
        self._pool.close()

    def start_over(self) -> None:
        """After a fault of ours: go back to what was committed, and not at once."""
        self._not_before = time.monotonic() + _UNUSABLE_S
        for project in self._projects.values():
            project.close()
        self._projects.clear()

    def close(self) -> None:
        self._pool.close()
        for project in self._projects.values():
            project.close()

    def _in(self, project: Project) -> _InProject:
        found = self._projects.get(project.id)
        if found is None:
            found = self._projects[project.id] = _InProject(self, project)
        return found

    def unusable(self, spec: Spec, why: str) -> None:
        """A scorer that cannot be had is no fault of the rows: they wait for it."""
        self._not_before = time.monotonic() + _UNUSABLE_S
        faults.report(f"scorer {spec.name} ({spec.use}) cannot be used, rows wait for it: {why}")


class _InProject:
    """A lane's work in one project."""

    def __init__(self, run: LaneRun, project: Project) -> None:
        self._run, self.project = run, project
        self._began_us = clock.now_us()
        self._reader = RecordedReader(project, run._settings)
        self._followers: dict[str, Follower] = {}
        self._retries = Retries()
        self._retries_known = False

    def close(self) -> None:
        for follower in self._followers.values():
            follower.close()
        self._reader.close()

    def turn(self) -> bool:
        worked = False
        for table in self.project.tables():
            worked |= self._table(table)
        if not self._retries_known:
            self._retries.know(results.failures(self._reader, waiting=True), self._run.lane.specs)
            self._retries_known = True
        return self._try_again() or worked

    def _table(self, table: str) -> bool:
        follower = self._follower(table)
        rows = follower.batch(min(MOST_ROWS, self._run.lane.batch * self._run.lane.processes * 8))
        if not rows:
            return False
        chosen = self._chosen(rows, table)
        if any(chosen) and not self._score_and_write(table, rows, chosen):
            follower.rewind()
            self._began_us = clock.now_us()  # some of these rows may be scored by now
            return False
        follower.commit()
        return True

    def _follower(self, table: str) -> Follower:
        found = self._followers.get(table)
        if found is None:
            found = self._followers[table] = Follower(
                self.project,
                table,
                position_name(self._run.lane.name),
                start=clock.now_us() - int(BEFORE_S * 1e6),
                reader=self._reader,
            )
        return found

    def _chosen(self, rows: Sequence[Row], table: str) -> list[list[int]]:
        """For each scorer the numbers of the rows it wants and has not scored."""
        specs = self._run.lane.specs
        asked = self._asked_by_monitor(rows, table)
        wanted = [
            [n for n, row in enumerate(rows) if n in asked and spec.wants(row, table)]
            for spec in specs
        ]
        # rows that were recorded since this run began were not scored by an earlier one
        older = {n for chosen in wanted for n in chosen if _recorded_us(rows[n]) <= self._began_us}
        if not older:
            return wanted
        there = results.scored_already(self._reader, [rows[n]["id"] for n in sorted(older)], specs)
        return [
            [n for n in chosen if (rows[n]["id"], spec.name) not in there]
            for spec, chosen in zip(specs, wanted, strict=True)
        ]

    def _asked_by_monitor(self, rows: Sequence[Row], table: str) -> Container[int]:
        """The numbers of the rows that the lane's monitor asks for; all of them without a monitor."""
        monitor = self._run.lane.monitor
        if monitor is None:
            return range(len(rows))
        if table != "traces":
            return ()
        ids = [row["id"] for row in rows]
        found = monitor.wanted(self._reader, self.project.id, ids)
        return {n for n, row_id in enumerate(ids) if row_id in found}

    def _score_and_write(
        self,
        table: str,
        rows: Sequence[Row],
        chosen: Sequence[Sequence[int]],
        before: Mapping[tuple[int, int], Failure] | None = None,
    ) -> bool:
        """False when a scorer cannot be had. What is known is written at once: a scorer may be slow, or cost money."""
        lane = self._run.lane
        usable = True
        for done in score(self._run._pool, self.project, lane.specs, rows, chosen, lane.batch):
            usable &= not self._has_unusable(done)
            self._write(table, rows, done, before)
        return usable

    def _has_unusable(self, done: Done) -> bool:
        for index, why in done.unusable.items():
            self._run.unusable(self._run.lane.specs[index], why)
        return bool(done.unusable)

    def _write(
        self,
        table: str,
        rows: Sequence[Row],
        done: Done,
        before: Mapping[tuple[int, int], Failure] | None,
    ) -> None:
        specs = self._run.lane.specs
        for (index, n), outcome in sorted(done.outcomes.items(), key=lambda each: each[0][::-1]):
            failure = (before or {}).get((index, n))
            results.write(self.project, table, rows[n]["id"], specs[index], outcome, failure)
            if outcome.error is not None:
                self._retries.add(
                    _failed(table, rows[n]["id"], specs[index], outcome, failure), specs[index]
                )

    # --- once more ---------------------------------------------------------------------

    def _try_again(self) -> bool:
        due = list(self._retries.due())
        for table in sorted({failure.table for failure in due}):
            self._again(table, [failure for failure in due if failure.table == table])
        return bool(due)

    def _again(self, table: str, due: Sequence[Failure]) -> None:
        specs = self._run.lane.specs
        rows = {row["id"]: row for row in rows_of(self._reader, table, [f.row_id for f in due])}
        there = results.scores_there(self._reader, rows, specs)
        work: dict[tuple[int, int], Failure] = {}
        listed = list(rows.values())
        for failure in due:
            if failure.row_id not in rows or (failure.row_id, failure.scorer) in there:
                results.forget(self.project, failure)
                continue
            row = rows[failure.row_id]
            work[self._number_of(failure, row), listed.index(row)] = failure
        chosen = [[n for index, n in work if index == i] for i in range(len(specs))]
        if not self._score_and_write(table, listed, chosen, work):
            for (index, _), failure in work.items():
                self._retries.add(failure, specs[index])

    def _number_of(self, failure: Failure, row: Row) -> int:
        """Which of the lane's scorers failed; of several with one name the one that wants the row."""
        specs = self._run.lane.specs
        named = [n for n, spec in enumerate(specs) if spec.name == failure.scorer]
        return next((n for n in named if specs[n].wants(row, failure.table)), named[0])


@dataclass
class Retries:
    """Failures to try again, each when its time has come. Those that were given up are not here."""

    _heap: list[tuple[float, int, Failure]] = field(default_factory=list)
    _count: int = 0

    def know(self, failures: Iterable[Failure], specs: Sequence[Spec]) -> None:
        """Those that an earlier worker left."""
        known = {spec.name: spec for spec in specs}
        for failure in failures:
            if failure.scorer in known and not failure.given_up:
                self.add(failure, known[failure.scorer])

    def add(self, failure: Failure, spec: Spec) -> None:
        if failure.attempts >= spec.attempts:
            return
        wait = min(_RETRY_S * 4 ** (failure.attempts - 1), _LONGEST_RETRY_S)
        self._count += 1
        heapq.heappush(self._heap, (time.monotonic() + wait, self._count, failure))

    def due(self, most: int = 256) -> Iterator[Failure]:
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now and most:
            most -= 1
            yield heapq.heappop(self._heap)[2]


def score(
    pool: Pool,
    project: Project,
    specs: Sequence[Spec],
    rows: Sequence[Row],
    chosen: Sequence[Sequence[int]],
    batch: int,
) -> Iterator[Done]:
    """Have the rows scored, `batch` of them by a process at a time; outcomes come as they are there."""
    wanted = sorted({n for each in chosen for n in each})
    parts = [wanted[start : start + batch] for start in range(0, len(wanted), batch)]
    where = str(project.store.root), project.entity, project.name
    pieces = []
    for part in parts:
        place = {n: at for at, n in enumerate(part)}
        theirs = [[place[n] for n in each if n in place] for each in chosen]
        pieces.append(Work(where, [rows[n] for n in part], specs, theirs))
    for part, done in zip(parts, pool.run(pieces), strict=True):
        outcomes = {(index, part[at]): told for (index, at), told in done.outcomes.items()}
        yield Done(outcomes, done.unusable)


def position_name(lane: str) -> str:
    """What the lane is called as a subscriber: its own name where a file can have it.

    >>> position_name("toxicity"), position_name("is it brief?")
    ('score.toxicity', 'score.is-it-brief-d67b0500')
    """
    if _PLAIN.fullmatch(lane):
        return f"score.{lane}"
    digest = hashlib.sha256(lane.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return "score." + "-".join([*_WORDS.findall(lane[:60]), digest])


def _recorded_us(row: Row) -> int:
    return int(row["ts"].timestamp() * 1_000_000)


def _failed(
    table: str, row_id: str, spec: Spec, outcome: Outcome, before: Failure | None
) -> Failure:
    attempts = before.attempts + 1 if before else 1
    identity = results.event_id(row_id, spec, results.FAILED, attempts)
    given_up = attempts >= spec.attempts
    return Failure(
        identity, row_id, table, spec.name, attempts, given_up, outcome.error or "", clock.now_us()
    )
