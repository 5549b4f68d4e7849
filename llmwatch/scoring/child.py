"""`python -m llmwatch.scoring.child IN OUT`: a process that runs scorers, and may hang or die with nobody else hurt."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import threading
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import orjson

from llmwatch import capture
from llmwatch.scorers import protocol
from llmwatch.scoring import wire
from llmwatch.scoring.spec import Spec

_SIGN_OF_LIFE_S = 0.25
_REFRESH_S = 60.0
_AT_ONCE = 16
"""Rows that an async scorer has in work at a time."""


@dataclass(frozen=True)
class Unreadable:
    """Stands for a row whose recorded JSON is none: it must not end the process over and over."""

    why: str


class Child:
    """Answers tasks until its parent is gone."""

    def __init__(self, tasks: int, answers: int) -> None:
        self._tasks, self._answers = tasks, answers
        self._scorers: dict[tuple[str, str], tuple[float, Any]] = {}
        self._told_at = 0.0

    def run(self) -> None:
        while True:
            task = wire.receive_task(self._tasks)
            rows = [_parsed(row) for row in task["rows"]]
            for piece in task["pieces"]:
                spec = task["specs"][piece.scorer]
                self._answer(self._answered(spec, task["project"], [rows[n] for n in piece.rows]))

    def _answer(self, answer: Any) -> None:
        self._told_at = time.monotonic()
        wire.send_answer(self._answers, answer)

    def _alive(self) -> None:
        """Between two rows: the parent counts a scorer's time from here."""
        if time.monotonic() - self._told_at > _SIGN_OF_LIFE_S:
            self._answer({"alive": True})

    def _answered(
        self, spec: Spec, project: tuple[str, ...], rows: Sequence[Any]
    ) -> dict[str, Any]:
        try:
            scorer = self._scorer(spec, project)
        except Exception as error:  # noqa: BLE001 - a person's module: said, not raised
            return {"done": [], "unusable": described(error)}
        self._answer({"ready": True})
        return {"done": self._score(scorer, spec, rows)}

    def _scorer(self, spec: Spec, project: tuple[str, ...]) -> Any:
        key = (spec.use + spec.version, "/".join(project))
        made_at, scorer = self._scorers.get(key, (0.0, None))
        bound = hasattr(scorer, "in_project")
        if scorer is None or (bound and time.monotonic() - made_at > _REFRESH_S):
            scorer = in_project(loaded(spec), project)
            self._scorers[key] = time.monotonic(), scorer
        return scorer

    def _score(self, scorer: Any, spec: Spec, rows: Sequence[Any]) -> list[Any]:
        """A result for each row; one that cannot be read has failed, and the scorer gets the others."""
        whole = [row for row in rows if not isinstance(row, Unreadable)]
        results = iter(self._results(scorer, spec, whole))
        return [
            {"error": row.why} if isinstance(row, Unreadable) else next(results) for row in rows
        ]

    def _results(self, scorer: Any, spec: Spec, rows: Sequence[Any]) -> list[Any]:
        if isinstance(scorer, protocol.ScoresRows) and len(rows) > 1:
            try:
                return [said(result) for result in protocol.score_many(scorer, rows)]
            except Exception:  # noqa: BLE001 - one by one, so that only the rows at fault fail
                self._alive()
        results = [self._score_one(scorer, row) for row in rows]
        if any(inspect.isawaitable(result) for result in results):
            return asyncio.run(self._awaited(results, spec.timeout_s))
        return results

    def _score_one(self, scorer: Any, row: Any) -> Any:
        self._alive()
        try:
            result = protocol.score_one(scorer, row)
            return result if inspect.isawaitable(result) else said(result)
        except Exception as error:  # noqa: BLE001 - a person's scorer: the row's failure is recorded
            return {"error": described(error)}

    async def _awaited(self, results: Sequence[Any], timeout_s: float) -> list[Any]:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(result: Any) -> Any:
            if not inspect.isawaitable(result):
                return result
            async with at_once:
                outcome = await _within(result, timeout_s)
            self._alive()
            return outcome

        return list(await asyncio.gather(*map(one, results)))


def _parsed(row: Mapping[str, Any]) -> Any:
    try:
        return protocol.parsed(row)
    except (ValueError, RecursionError) as error:
        return Unreadable(f"the row cannot be read: {described(error)}")


async def _within(result: Awaitable[Any], timeout_s: float) -> Any:
    try:
        return said(await asyncio.wait_for(result, timeout_s))
    except (asyncio.TimeoutError, TimeoutError):
        return {"error": f"no result within {timeout_s:g} s"}
    except Exception as error:  # noqa: BLE001 - as above
        return {"error": described(error)}


def loaded(spec: Spec) -> Any:
    """The scorer of a spec: imported, and made when it is a class."""
    for path in reversed(spec.paths):
        if path not in sys.path:
            sys.path.insert(0, path)
    module, _, target = spec.use.partition(":")
    found: Any = import_module(module)
    for name in target.split("."):
        found = getattr(found, name)
    return found(**spec.settings) if isinstance(found, type) or spec.settings else found


def in_project(scorer: Any, project: tuple[str, ...]) -> Any:
    """A scorer that wants to know its project is told, by `in_project(reader)`."""
    if not hasattr(scorer, "in_project"):
        return scorer
    from llmwatch.store import open_store
    from llmwatch.stream.query import Reader

    root, entity, name = project
    reader = Reader(open_store(root).project(entity, name))
    try:
        return scorer.in_project(reader)
    finally:
        reader.close()


def said(result: Any) -> Any:
    """A result as JSON; None is nothing to say."""
    return {"value": orjson.Fragment(capture.encode(result))} if result is not None else None


def described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:2000].encode("utf-8", "replace").decode()


def _end_with(parent: int) -> None:
    """A scorer that hangs does not notice that nobody waits any more."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def main() -> None:
    tasks, answers, parent = (int(text) for text in sys.argv[1:4])
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        Child(tasks, answers).run()
    except (wire.Gone, KeyboardInterrupt):
        os._exit(0)  # quickly: nothing of ours is to be saved


if __name__ == "__main__":
    main()
