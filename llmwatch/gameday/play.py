"""A game day from beginning to end: in a temporary store, with the watch as it is declared."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch import clock, settings
from llmwatch.drift.windows import duration_us
from llmwatch.gameday import copying, demo, watching
from llmwatch.gameday.copying import Copy
from llmwatch.gameday.faults import FAULTS, Fault
from llmwatch.gameday.outcome import GameDay, outcomes
from llmwatch.gameday.plan import planned
from llmwatch.names import TableName, parse_table
from llmwatch.scoring.configured import lanes
from llmwatch.store import EVENTS, Store, open_store
from llmwatch.stream import spool
from llmwatch.stream.compact import compact
from llmwatch.stream.query import Reader

if TYPE_CHECKING:
    from llmwatch.demo.rehearsal import Takes
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.watch.backtest import Progress

_FOR_EVER_S = 1e12


@contextmanager
def _unseen(_what: str, _count: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


def on_demo(
    faults: Sequence[Fault] = FAULTS,
    *,
    seed: int = 0,
    lasting: str = "4h",
    end_us: int | None = None,
    progress: Progress = _unseen,
    takes: Takes | None = None,
) -> GameDay:
    """On the demo's traffic, with settings of its own; nothing of this machine's counts. `takes`: of an earlier rehearsal."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
        end = clock.now_us() if end_us is None else end_us
        place = Path(root) / "demo"
        with demo.recorded(place, end, seed, progress, takes) as here:
            found = _played(
                parse_table(demo.TABLE), here.store, Path(root) / "copy",
                faults, seed, lasting, 0, progress,
            )  # fmt: skip
    found.seconds = time.monotonic() - began
    return found


def on_table(
    table: str,
    faults: Sequence[Fault] = FAULTS,
    *,
    seed: int = 0,
    lasting: str = "4h",
    since_us: int = 0,
    every_scorer: bool = False,
    store: str | Path | None = None,
    progress: Progress = _unseen,
) -> GameDay:
    """On a copy of a table. The table is only read; scorers of a person's own run only when asked, as they may cost money."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
        found = _played(
            parse_table(table), open_store(store), Path(root) / "copy",
            faults, seed, lasting, since_us, progress, every_scorer=every_scorer,
        )  # fmt: skip
    found.seconds = time.monotonic() - began
    return found


def _played(
    table: TableName,
    source: Store,
    directory: Path,
    faults: Sequence[Fault],
    seed: int,
    lasting: str,
    since_us: int,
    progress: Progress,
    *,
    every_scorer: bool = False,
) -> GameDay:
    specs = [spec for lane in lanes(source) for spec in lane.specs if spec.built_in or every_scorer]
    reader = Reader(source.project(table.entity, table.project))
    project = Store(directory).project(table.entity, table.project)
    try:
        times = copying.times(reader, table.table, since_us)
        plan = planned(times, faults, duration_us(lasting), seed)
        copy = Copy(reader, table.table, plan, seed)
        with _settings_of(directory) as now:
            with progress("copying rows", copy.rows) as passed:
                copy.write(project, now, passed)
                _into_the_lake(project, table.table)
            with progress("scoring what went wrong", 0):
                watching.score(project, table.table, copy.changed_rows, specs)
                spool.close_all()
            day = GameDay(str(table), seed, copy.rows, len(times), plan)
            _watched(day, copy, project, table.table, progress)
    finally:
        reader.close()
    return day


@contextmanager
def _settings_of(directory: Path) -> Iterator[Settings]:
    """Nothing that is written in the block starts a worker or leaves the machine."""
    before = settings.current()
    now = replace(
        before, store=str(directory), worker=False, destination="local", segment_age_s=_FOR_EVER_S
    )
    settings.use(now)
    try:
        yield now
    finally:
        spool.close_all()
        settings.use(before)


def _into_the_lake(project: Project, table: str) -> None:
    for name in (table, EVENTS):
        compact(project, name, seal=True)


def _watched(day: GameDay, copy: Copy, project: Project, table: str, progress: Progress) -> None:
    """The drift jobs run while the metrics are made; the rules see both."""
    reader = Reader(project)
    try:
        with watching.drift_runs(project, table, day.plan) as finished:
            measured = watching.measured(reader, day.plan, progress)
            with progress("running drift jobs", 0):
                day.drift_runs = finished()
        reader.refresh(reader.project.tables())
        alerts, known, rules = watching.judged(reader, day.plan, measured)
    finally:
        reader.close()
    day.found, day.of_nothing = outcomes(day.plan, alerts, copy.changed, rules, known)
