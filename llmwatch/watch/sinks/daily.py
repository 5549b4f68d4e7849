"""One project's metrics and sampled requests, taken from the store into the journal and from there into daily runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.stream import copies
from llmwatch.stream.follow import Follower, RecordedReader
from llmwatch.stream.query import Reader
from llmwatch.watch.series import DRIFT
from llmwatch.watch.sinks.journal import DAY_US, KEPT_US, NAME, Journal, Step, day_of
from llmwatch.watch.sinks.metric_rows import TABLES, MetricRow, parsed_of
from llmwatch.watch.sinks.one_by_one import point_of
from llmwatch.watch.sinks.points import TIME, points_of, points_of_run
from llmwatch.watch.sinks.requests import Requests, Sample
from llmwatch.watch.sinks.wandb_run import DayRun

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.watch.sinks.options import WandbOptions

_BATCH = 2000
_OVER_US = 600_000_000
"""How long after its day a run is kept open for what comes late."""


class Daily:
    """Follows `metrics`, `drift` and the tables that requests are sampled from; `turn` sends what is new."""

    def __init__(self, project: Project, settings: Settings, options: WandbOptions) -> None:
        self.project, self.options = project, options
        self.journal = Journal(project)
        self._reader = Reader(project, settings)
        self._recorded = RecordedReader(project, settings)
        self._follow = {
            table: Follower(
                project, table, NAME, settings, start=_midnight(), reader=self._recorded
            )
            for table in dict.fromkeys((*TABLES, *options.tables))
        }
        self._samples = {table: Sample(options.sample) for table in options.tables}
        self._sample_until = time.monotonic() + options.every_s
        self._requests = Requests(project, self._reader, options.columns, settings.redact)
        self._runs: dict[str, DayRun] = {}
        self._erased_at = _erased_at(project)

    def turn(self, *, last: bool = False) -> bool:
        """Write down what is new, then send what is written down; whether there was anything."""
        self._write_anew_what_was_erased()
        worked = self._take_metrics()
        worked |= self._take_requests(last=last)
        worked |= self._send()
        return worked

    def _write_anew_what_was_erased(self) -> None:
        now = _erased_at(self.project)
        if now == self._erased_at or self.options.mode == "online":
            return
        self._erased_at = now
        for day, run in self._runs.items():
            run.finish()
            self.journal.set_sent(day, run.first_step)  # its directory may be gone already
        self._runs = {}
        copies.forget(self.project)

    def close(self) -> None:
        """Finish the runs; what was not sent is sent by the next one."""
        for run in self._runs.values():
            run.finish()
        self._runs = {}
        for follower in self._follow.values():
            follower.close()
        self._reader.close()
        self._recorded.close()

    # --- into the journal -----------------------------------------------------------------

    def _take_metrics(self) -> bool:
        worked = [self._take(table) for table in TABLES]
        return any(worked)

    def _take(self, table: str) -> bool:
        follower, steps_of = self._follow[table], _runs if table == DRIFT else _steps
        worked = False
        while rows := follower.batch(_BATCH):
            parsed = (_metric_row(table, row) for row in rows)
            found = [row for row in parsed if row is not None and self._wants(row)]
            for day, steps in steps_of(found).items():
                self.journal.add(day, steps)
            follower.commit()
            worked = True
        return worked

    def _wants(self, row: MetricRow) -> bool:
        asked = not self.options.sets or row.set in self.options.sets
        is_kept = row.at_us >= clock.now_us() - KEPT_US + DAY_US
        return asked and row.closed and is_kept and not self.journal.has(row.id)

    def _take_requests(self, *, last: bool) -> bool:
        for table, sample in self._samples.items():
            for _ in range(10):
                rows = self._follow[table].batch(_BATCH)
                for row in rows:
                    if row.get("parent_id") is None and not self.journal.has(row["id"]):
                        sample.add(row["id"])
                if not rows:
                    break
        if not last and time.monotonic() < self._sample_until:
            return False
        self._sample_until = time.monotonic() + self.options.every_s
        written = [self._write_down(table, sample) for table, sample in self._samples.items()]
        return any(written)

    def _write_down(self, table: str, sample: Sample) -> bool:
        ids, now = sample.take(), clock.now_us()
        if ids:
            each = ({"request": row_id, "table": table} for row_id in ids)
            together = {"requests": ids, "table": table, "until": now}
            self.journal.add(day_of(now), [*each, together])
        self._follow[table].commit()
        return bool(ids)

    # --- out of the journal ---------------------------------------------------------------

    def _send(self) -> bool:
        worked = False
        today = day_of(clock.now_us() - _OVER_US)
        for day, steps in list(self.journal.days.items()):
            if day in self._runs or self.journal.sent(day) < len(steps):
                worked |= self._send_day(day, steps)
            if day < today and day in self._runs:
                self._runs.pop(day).finish()
        self.journal.forget(before=day_of(clock.now_us() - KEPT_US))
        return worked

    def _send_day(self, day: str, steps: Sequence[Step]) -> bool:
        run = self._runs.get(day)
        if run is None:
            run = self._runs[day] = DayRun(self.project, self.options, self.journal, day)
        behind = len(steps) - run.next_step
        while run.next_step < len(steps):
            run.log(*self._values(steps[run.next_step]))
        return behind > 0

    def _values(self, step: Step) -> tuple[dict[str, Any], set[str]]:
        if "metrics" in step:
            return points_of(self._reader, step["metrics"], self.journal), set()
        if "drift" in step:
            return points_of_run(self._reader, step["drift"], self.journal), set()
        if "request" in step:
            one = next(self._requests.rows(step["table"], [step["request"]]), None)
            return {} if one is None else {TIME: one.at_s, **point_of(one)}, set()
        found = list(self._requests.rows(step["table"], step["requests"]))
        told = {
            TIME: step["until"] / 1_000_000,
            "production/requests": [one.values for one in found],
        }
        return told, {one.version for one in found if one.version}


def _erased_at(project: Project) -> int:
    """When rows were last erased from the project."""
    try:
        return (project.path / "erased").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _metric_row(table: str, row: Mapping[str, Any]) -> MetricRow | None:
    return parsed_of(table, row["id"], int(row["ts"].timestamp() * 1_000_000), row["data"])


def _steps(rows: Sequence[MetricRow]) -> dict[str, list[Step]]:
    """By day, one step for each window's beginning: what begins together is one line of the history."""
    windows: dict[int, list[str]] = {}
    for row in rows:
        windows.setdefault(row.window_start, []).append(row.id)
    days: dict[str, list[Step]] = {}
    for start, ids in sorted(windows.items()):
        days.setdefault(day_of(start), []).append({"metrics": ids})
    return days


def _runs(rows: Sequence[MetricRow]) -> dict[str, list[Step]]:
    """By day, a step for each run of the drift job."""
    days: dict[str, list[Step]] = {}
    for row in rows:
        days.setdefault(day_of(row.at_us), []).append({"drift": row.id})
    return days


def _midnight() -> int:
    return clock.now_us() // DAY_US * DAY_US


def every(projects: Sequence[Project]) -> Iterator[Project]:
    """Those of the projects that have metrics."""
    return (project for project in projects if set(TABLES) & set(project.tables()))
