"""What the watch makes of the copy: scores of what was changed, metrics, drift runs, and the rules over them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.errors import LlmwatchError
from llmwatch.watch import backtest, default_sets, rules, untold
from llmwatch.watch.alerts import Track
from llmwatch.watch.conditions import parts
from llmwatch.watch.declarations import declared
from llmwatch.watch.judging import follow, keys
from llmwatch.watch.messages import place

if TYPE_CHECKING:
    from llmwatch.gameday.plan import Plan
    from llmwatch.scoring.spec import Spec
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader
    from llmwatch.watch.rules import Rule
    from llmwatch.watch.series import Known

_MOST_RUNS = 40
_BATCH = 2048


@dataclass(frozen=True)
class Alert:
    """That a rule began to fire."""

    rule: str
    severity: str
    metric: str
    where: str
    said: str
    at_us: int


# --- scores ------------------------------------------------------------------------------


def score(project: Project, table: str, ids: Sequence[str], specs: Iterable[Spec]) -> None:
    """Score rows by these scorers, in this process."""
    from llmwatch.scorers import protocol
    from llmwatch.scoring import results
    from llmwatch.scoring.child import in_project, loaded
    from llmwatch.stream.follow import RecordedReader, rows_of

    where = (str(project.store.root), *project.id.split("/"))
    reader = RecordedReader(project)
    try:
        for spec in specs:
            for start in range(0, len(ids), _BATCH):
                found = rows_of(reader, table, ids[start : start + _BATCH])
                rows = [protocol.parsed(row) for row in found if spec.wants(row, table)]
                if not rows:
                    continue
                scorer = in_project(loaded(spec), where)
                for row, value in zip(rows, protocol.score_many(scorer, rows), strict=True):
                    results.write(project, table, row["id"], spec, results.Outcome(value))
    finally:
        reader.close()


# --- drift -------------------------------------------------------------------------------


@contextmanager
def drift_runs(project: Project, table: str, plan: Plan) -> Iterator[Callable[[], int]]:
    """The drift jobs of the table beside what is inside; `finished` waits for them and gives how many there were."""
    told = _jobs(project, table, plan)
    if not told:
        yield lambda: 0
        return
    with subprocess.Popen(
        [sys.executable, "-m", "llmwatch.gameday.drift_runs", str(project.store.root)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip

        def finished() -> int:
            _, said = process.communicate()
            if process.returncode:
                raise LlmwatchError(f"the drift job failed: {said.decode()[-2000:]}")
            return sum(len(one["at"]) for one in told)

        try:
            assert process.stdin is not None
            process.stdin.write(orjson.dumps(told))
            process.stdin.close()
            process.stdin = None
            yield finished
        finally:
            process.kill()


def _jobs(project: Project, table: str, plan: Plan) -> list[dict[str, Any]]:
    from llmwatch.drift.schedule import jobs

    mine = f"{project.id}/{table}"
    return [
        {
            "table": mine, "arguments": job.arguments, "at": _moments(job.every_us, plan),
            "from": plan.start_us, "clean": plan.clean_until_us,
        }
        for job in jobs()
        if str(job.table) == mine
    ]  # fmt: skip


def _moments(every_us: int, plan: Plan) -> list[int]:
    """When a job runs after the clean part; of very many runs all that may be about shifted prompts, and some others."""
    first = -(-plan.clean_until_us // every_us) * every_us
    every = [*range(first, plan.end_us, every_us)]
    shifted = [slot for slot in plan.slots if "drift/" in slot.fault.shows]
    wanted = [at for at in every if any(s.start_us < at <= s.until_us for s in shifted)]
    others = [at for at in every if at not in set(wanted)]
    room = max(0, _MOST_RUNS - len(wanted))
    step = max(1, -(-len(others) // room)) if room else len(others) + 1
    return sorted({*wanted[:_MOST_RUNS], *others[::step]})


# --- rules -------------------------------------------------------------------------------


def measured(reader: Reader, plan: Plan, progress: backtest.Progress) -> Known:
    """The metrics of the time, by metric sets as they are declared, or by default."""
    sets = untold.of_project(default_sets.of_project(reader.project, declared()), reader)
    return backtest.known_of(reader, rules.declared(), plan.start_us, plan.end_us, sets, progress)


def judged(reader: Reader, plan: Plan, known: Known) -> tuple[list[Alert], Known, list[Rule]]:
    """Every alert of the time, by these metrics and the drift runs that are recorded by now."""
    wanted = rules.declared()
    runs = backtest.known_of(reader, wanted, plan.start_us, plan.end_us)
    known.series.update(runs.series)
    found = [
        alert
        for rule, key in keys(reader.project.id, wanted, known)
        for alert in _alerts(rule, key, known, plan)
    ]
    return sorted(found, key=lambda one: one.at_us), known, wanted


def _alerts(rule: Rule, key: Any, known: Known, plan: Plan) -> Iterator[Alert]:
    minutes = (plan.end_us - plan.start_us) // 60_000_000 + 1
    track = Track(seen_us=plan.start_us)
    for one in follow(rule, key, known, track, plan.end_us, minutes):
        if one.change.state == "firing":
            metric = key.metric if "*" not in key.metric else rule.when.metric
            yield Alert(
                rule.name, rule.severity, metric, place(key), one.change.said, one.change.at_us
            )


def looking(wanted: Sequence[Rule], known: Known, seen: Callable[[str], bool]) -> list[str]:
    """Names of the rules that look at such metrics, with why each had nothing to look at where it had not."""
    mine = [rule for rule in wanted if any(seen(one.metric) for one in parts(rule.when))]
    return [_looked(rule, known) for rule in mine]


def _looked(rule: Rule, known: Known) -> str:
    sources = known.sources(rule.when.metric, rule.when.set, rule.table, rule.by)
    if not sources:
        return f"{rule.name} (nothing told {rule.when.metric})"
    fewest = max((getattr(one, "min_rows", 0) for one in parts(rule.when)), default=0)
    rows = sorted(n for source in sources for n in known.series[source].rows if n)
    enough = sum(n >= fewest for n in rows)
    if rows and enough < len(rows) / 10:
        return f"{rule.name} (its windows need {fewest} rows; half have at most {rows[len(rows) // 2]})"
    return rule.name
