"""`datasets.rerun`: a function called again on each row of a dataset, each call recorded, beside what was recorded then.

The calls are rows of the table `reruns`, with all that they call: tests are no traffic, so nothing that watches `traces`
counts them. A row's verdict is a label of it, what scorers say are scores.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import capture, clock, settings
from llmwatch.datasets import figures, judging, stored
from llmwatch.datasets.report import Rerun, RerunRow
from llmwatch.datasets.target import Target, inputs_of
from llmwatch.errors import SettingsError
from llmwatch.names import parse_table
from llmwatch.store import open_store

if TYPE_CHECKING:
    from llmwatch.store import Project

TABLE = "reruns"
PARALLEL = 4
MOST_PARALLEL = 64
Stage = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows that something long goes on, as `cli.output.progress` does."""


def rerun(
    dataset: str,
    against: Any,
    *,
    scorers: Sequence[Any] = (),
    parallel: int = PARALLEL,
    most: int | None = None,
    store: str | Path | None = None,
    stage: Stage | None = None,
) -> Rerun:
    """Call something on each row of a dataset: `datasets.rerun("bot/golden", "app.answers:answer")`.

    dataset: `name`, `project/name` or `entity/project/name`; `name:v3` is a version.
    against: a function (async too), an op or a `weave.Model`, or `"module:name"` of one. It is called with the inputs
        that it asks for by name. A row that raises is a result.
    scorers: built-in names, `"module:function"`, functions or `weave.Scorer`s, asked about the recorded and the new
        answer; one that says true or false decides which is right. Otherwise being what is expected does.
    parallel: calls at once. most: only the first so many rows. stage: shows how far it is.
    """
    if not 1 <= parallel <= MOST_PARALLEL:
        raise SettingsError(f"parallel is a number from 1 to {MOST_PARALLEL}, not {parallel}")
    began = time.monotonic()
    found, project, rows = _begun(dataset, against, most, store)
    target = Target(against)
    if rows:
        target.check(row.inputs for row in rows)
    judges = judging.Judges(project, scorers)
    figures.recorded(project, rows)
    caller = _caller(target, found, project.media)
    done = (
        _on_a_loop(caller, rows, parallel)
        if target.is_async
        else _on_threads(caller, rows, parallel)
    )
    with (stage or _unseen)("calling", len(rows)) as passed:
        for row in done:
            judges.judge(row, TABLE)
            found.rows.append(row)
            passed(1)
    order = {id(row): place for place, row in enumerate(rows)}
    found.rows.sort(key=lambda row: order[id(row)])
    figures.of_calls(project, TABLE, found.rows)
    found.seconds = time.monotonic() - began
    return found


def _begun(
    dataset: str, against: Any, most: int | None, store: str | Path | None
) -> tuple[Rerun, Project, list[RerunRow]]:
    """The run with nothing done yet, and the rows of the dataset; records from now on to the dataset's project."""
    import llmwatch
    from llmwatch.backend.server import LocalTraceServer

    path, _, name = dataset.rpartition("/")
    name, _, version = name.partition(":")
    where = parse_table(f"{path}/x" if path else "x")
    opened = open_store(store)
    project = opened.project(where.entity, where.project)
    server = LocalTraceServer(opened, settings.current())
    records = stored.rows(server, project, stored.checked(name), version or "latest")
    if not isinstance(against, str):
        against = Target(against).name
    llmwatch.init(f"{where.entity}/{where.project}", store=str(opened.root))
    run = Rerun(clock.new_id(), project.id, name, version or "latest", against)
    return run, project, [_row(one, project) for one in records[:most]]


def _row(record: Mapping[str, Any], project: Project) -> RerunRow:
    inputs = capture.decode(inputs_of(record), media=project.media)
    return RerunRow(record.get("row"), inputs, record.get("output"), record.get("expected"))


@contextmanager
def _unseen(_what: str, _count: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


# --- calling -----------------------------------------------------------------------------


def _caller(target: Target, run: Rerun, media: Path) -> Callable[[RerunRow], Any]:
    """Calls the target on a row, recorded with what it is a rerun of, and keeps what came of it in the row."""
    from llmwatch import context, current_row, traced

    recorded = traced(
        name="rerun", table=TABLE, enable_code_capture=False,
        postprocess_inputs=lambda given: dict(given["row"].inputs),
    )  # fmt: skip
    about = {"run": run.run, "dataset": run.dataset, "version": run.version, "against": run.against}

    def begin(row: RerunRow) -> Any:
        call = current_row()
        row.id = None if call is None else call.id
        return target(row.inputs)

    @recorded
    def at_once(row: RerunRow) -> Any:
        return begin(row)

    @recorded
    async def later(row: RerunRow) -> Any:
        return await begin(row)

    def call(row: RerunRow) -> None:
        with context(rerun={**about, "row": row.row}), _kept(row):
            row.after = _as_recorded(at_once(row), media)

    async def call_async(row: RerunRow) -> None:
        with context(rerun={**about, "row": row.row}), _kept(row):
            row.after = _as_recorded(await later(row), media)

    return call_async if target.is_async else call


@contextmanager
def _kept(row: RerunRow) -> Iterator[None]:
    """How long it took, and the exception where there was one: a row that raises does not end the run."""
    began = time.perf_counter()
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 - theirs may raise anything
        row.error = f"{type(error).__name__}: {error}"
    finally:
        row.after_ms = round(1000 * (time.perf_counter() - began), 3)


def _as_recorded(value: Any, media: Path) -> Any:
    """A new answer as recorded ones are: in JSON, with media in files."""
    return orjson.loads(capture.encode(value, media=media))


def _on_threads(
    call: Callable[[RerunRow], None], rows: Sequence[RerunRow], parallel: int
) -> Iterator[RerunRow]:
    """Each row as soon as it is done; what has not begun when somebody ends it never does."""
    with ThreadPoolExecutor(parallel, "llmwatch-rerun") as threads:
        waiting: dict[Future[None], RerunRow] = {threads.submit(call, row): row for row in rows}
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    yield waiting.pop(future)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _on_a_loop(
    call: Callable[[RerunRow], Any], rows: Sequence[RerunRow], parallel: int
) -> Iterator[RerunRow]:
    """The same on one event loop in a thread of its own: clients that belong to a loop stay with it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="llmwatch-rerun", daemon=True)
    thread.start()

    def awaited(row: RerunRow) -> None:
        asyncio.run_coroutine_threadsafe(call(row), loop).result()

    try:
        yield from _on_threads(awaited, rows, parallel)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
