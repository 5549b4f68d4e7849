"""`llmwatch.score`: past rows scored now, with the report of what came of it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.errors import LlmwatchError, NotFound
from llmwatch.names import parse_table
from llmwatch.scoring import registered, results
from llmwatch.scoring.live import score as score_in
from llmwatch.scoring.pool import Pool
from llmwatch.scoring.results import Failure, Outcome
from llmwatch.scoring.spec import Spec, named
from llmwatch.store import open_store
from llmwatch.stream.follow import RecordedReader, rows_of

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.rows import When

BATCH = 2048
MOST_FAILURES = 1_000_000
Progress = Callable[[int], None]


@dataclass
class Scored:
    """What scoring past rows did."""

    scorer: str
    version: str
    rows: int = 0
    """Rows that were chosen."""
    scored: int = 0
    nothing_to_say: int = 0
    there_already: int = 0
    not_wanted: int = 0
    """By the scorer's own filters: kinds, ops, sample."""
    failed: int = 0
    error: str | None = None
    """Of the last row that failed."""
    seconds: float = 0.0


def score(
    scorer: Any,
    table: str = "traces",
    *,
    since: When | None = None,
    until: When | None = None,
    where: str | None = None,
    again: bool = False,
    failed_only: bool = False,
    processes: int = 2,
    store: str | Path | None = None,
    progress: Progress = lambda _: None,
    **options: Any,
) -> Scored:
    """Score rows that were recorded before: `llmwatch.score("safety", "bot/traces", since=timedelta(days=7))`.

    scorer: the name of a built-in one, `"module:object"`, a function or a `weave.Scorer`. What another process can
    import runs in processes of its own, so that one that hangs or dies fails only its row; a function of a notebook
    or script runs here.
    where: an SQL condition over the table's columns. since, until: when rows were recorded.
    again: score rows that have a score of this scorer's version, too. failed_only: only rows it failed on.
    options: what `[[scorers]]` takes: sample, kinds, ops, settings, timeout_s, ...
    """
    from llmwatch.stream.table import StreamTable

    name = parse_table(table)
    project = open_store(store).project(name.entity, name.project)
    if name.table not in project.tables():
        raise NotFound(f"there is no table {name} in {project.store.root}")
    spec, local = spec_of(scorer, options)
    if again:
        spec = replace(spec, revision=f"{spec.revision}@{clock.now_us()}")
    with StreamTable(str(name), store=project.store.root) as rows_in:
        chosen = rows_in.rows()
        chosen = chosen if since is None else chosen.since(since)
        chosen = chosen if until is None else chosen.until(until)
        chosen = chosen if where is None else chosen.filter(where)
        ids = chosen.ids()
    past = _Past(project, name.table, spec, local, processes)
    try:
        return past.run(ids, failed_only, progress)
    finally:
        past.close()


def spec_of(scorer: Any, options: Mapping[str, Any]) -> tuple[Spec, Any]:
    """The spec of whatever was given as a scorer, and the thing itself where only this process has it."""
    if isinstance(scorer, Spec):
        return scorer, None
    if isinstance(scorer, str):
        return named(scorer, **{"paths": [str(Path.cwd())], **options}), None
    told = registered.place_of(scorer)
    if told is not None:
        return Spec.read({**told, **options}, "the arguments"), None
    from llmwatch.scorers.protocol import name_of

    where = (
        f"{type(scorer).__module__}:{getattr(scorer, '__qualname__', type(scorer).__qualname__)}"
    )
    return Spec.read({"use": where, "name": name_of(scorer), **options}, "the arguments"), scorer


class _Past:
    """One scorer over chosen rows of one table."""

    def __init__(
        self, project: Project, table: str, spec: Spec, local: Any, processes: int
    ) -> None:
        self._project, self._table, self._spec = project, table, spec
        self._reader = RecordedReader(project)
        self._pool = Pool(processes) if local is None else None
        self._local = local
        self._done = Scored(spec.name, spec.version)

    def close(self) -> None:
        self._reader.close()
        if self._pool is not None:
            self._pool.close()

    def run(self, ids: Sequence[str], failed_only: bool, progress: Progress) -> Scored:
        began = time.monotonic()
        found = results.failures(self._reader, self._spec.name, most=MOST_FAILURES)
        failures = {f.row_id: f for f in found}
        if failed_only:
            ids = [row_id for row_id in ids if row_id in failures]
        self._done.rows = len(ids)
        for part in _parts(ids, BATCH):
            self._score(part, failures, failed_only)
            progress(len(part))
        self._done.seconds = time.monotonic() - began
        return self._done

    def _score(
        self, ids: Sequence[str], failures: Mapping[str, Failure], failed_only: bool
    ) -> None:
        spec, done = self._spec, self._done
        found = rows_of(self._reader, self._table, ids)
        wanted = [row for row in found if failed_only or spec.wants(row, self._table)]
        there = {row_id for row_id, _ in results.scores_there(self._reader, ids, [spec])}
        rows = [row for row in wanted if row["id"] not in there]
        done.not_wanted += len(ids) - len(wanted)
        done.there_already += len(wanted) - len(rows)
        for n, outcome in self._outcomes(rows):
            row_id = rows[n]["id"]
            results.write(self._project, self._table, row_id, spec, outcome, failures.get(row_id))
            self._count(outcome)

    def _count(self, outcome: Outcome) -> None:
        done = self._done
        if outcome.error is not None:
            done.failed += 1
            done.error = outcome.error
        elif outcome.value is None:
            done.nothing_to_say += 1
        else:
            done.scored += 1

    def _outcomes(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Outcome]]:
        """Each row's outcome as soon as it is known."""
        if self._pool is None:
            yield from enumerate(_score_here(self._local, rows))
            return
        spec, every = self._spec, [list(range(len(rows)))]
        for done in score_in(self._pool, self._project, [spec], rows, every, spec.batch):
            for why in done.unusable.values():
                raise LlmwatchError(f"scorer {spec.name} ({spec.use}) cannot be used: {why}")
            for (_, n), outcome in done.outcomes.items():
                yield n, outcome


def _score_here(scorer: Any, rows: Sequence[Mapping[str, Any]]) -> Iterable[Outcome]:
    """In this process: for a function that no other one can import."""
    from llmwatch.scorers import protocol

    for row in rows:
        try:
            result = protocol.score_one(scorer, protocol.parsed(row))
            if inspect.isawaitable(result):
                import asyncio

                result = asyncio.run(_awaited(result))
            yield Outcome(result)
        except Exception as error:  # noqa: BLE001 - a person's scorer: the row's failure is recorded
            yield Outcome(error=f"{type(error).__name__}: {error}")


async def _awaited(result: Any) -> Any:
    return await result


def _parts(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
