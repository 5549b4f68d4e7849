"""Processes that score: each does one piece of work at a time, is ended when it hangs and replaced when it dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any

from llmwatch.scoring import wire
from llmwatch.scoring.results import Outcome
from llmwatch.scoring.spec import Spec

_TO_START_S = 60.0
"""A child imports its scorers before it answers for the first time."""
_GRACE_S = 1.0

Row = Mapping[str, Any]


class Stopped(Exception):
    """The pool was closed over unfinished work."""


@dataclass
class Work:
    """Rows of one project, and for each scorer which of them it gets."""

    project: tuple[str, str, str]
    rows: Sequence[Row]
    specs: Sequence[Spec]
    chosen: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Piece:
    """The rows that one scorer is called with at a time."""

    scorer: int
    rows: Sequence[int]


@dataclass
class Done:
    """What came of some work: an outcome for each (scorer, row), or why a scorer cannot be used at all."""

    outcomes: dict[tuple[int, int], Outcome] = field(default_factory=dict)
    unusable: dict[int, str] = field(default_factory=dict)


class Pool:
    """So many processes; threads may share one. Children are started when there is work for them."""

    def __init__(self, processes: int) -> None:
        self._free: LifoQueue[Child] = LifoQueue()
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="llmwatch-scoring")
        self._children: set[Child] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, pieces: Sequence[Work]) -> Iterator[Done]:
        """Do all pieces, several at a time; each is there as soon as it and those before it are done."""
        try:
            yield from self._threads.map(self._do, pieces)
        except (RuntimeError, CancelledError):  # how the threads say that they were shut down
            self._unless_closed()
            raise

    def rest(self) -> None:
        """End the children: the next work starts others."""
        while True:
            try:
                self._end(self._free.get_nowait())
            except Empty:
                return

    def close(self) -> None:
        with self._lock:
            self._closed = True
            children = list(self._children)
        for child in children:
            child.end()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _do(self, work: Work) -> Done:
        done = Done()
        left = [Piece(index, rows) for index, rows in enumerate(work.chosen) if rows]
        while left:
            answered, trouble = self._attempt(work, left, done)
            left = left[answered:]
            if trouble is not None:
                left = [*_after_trouble(left[0], trouble, done), *left[1:]]
        return done

    def _attempt(self, work: Work, pieces: Sequence[Piece], done: Done) -> tuple[int, str | None]:
        """How many pieces were answered, and why the child hung or died over the next one."""
        child = self._child()
        answered = 0
        try:
            for answer in child.answers(work, pieces):
                _take(answer, pieces[answered], done)
                answered += 1
        except wire.TimedOut:
            self._end(child)
            self._unless_closed()
            seconds = work.specs[pieces[answered].scorer].timeout_s
            return answered, f"no result within {seconds:g} s; its process was ended"
        except (wire.Gone, OSError):
            self._end(child)
            self._unless_closed()
            if not child.ready:
                done.unusable[pieces[answered].scorer] = (
                    f"its process ended with code {child.code} while it was loaded"
                )
                return answered + 1, None
            return answered, f"its process ended with code {child.code}"
        self._free.put(child)
        return answered, None

    def _child(self) -> Child:
        try:
            return self._free.get_nowait()
        except Empty:
            pass
        with self._lock:
            self._unless_closed()
            child = Child()
            self._children.add(child)
        return child

    def _unless_closed(self) -> None:
        if self._closed:
            raise Stopped

    def _end(self, child: Child) -> None:
        child.end()
        with self._lock:
            self._children.discard(child)


class Child:
    """One process that scores."""

    def __init__(self) -> None:
        their_tasks, self._tasks = os.pipe()
        self._answers, their_answers = os.pipe()
        handed = (their_tasks, their_answers)
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "llmwatch.scoring.child",
                    *map(str, handed),
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=handed,
                env=_environment(),
            )
        finally:
            for fd in handed:
                os.close(fd)
        self.ready = False
        self.code: int | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def answers(self, work: Work, pieces: Sequence[Piece]) -> Iterator[dict[str, Any]]:
        """The answer to each piece, in order; raises `Gone` or `TimedOut` where there is none."""
        task = {"project": work.project, "rows": work.rows, "specs": work.specs, "pieces": pieces}
        wire.send_task(self._tasks, task)
        for piece in pieces:
            self.ready = False
            answer: dict[str, Any] = {}
            while "done" not in answer:
                patience = work.specs[piece.scorer].timeout_s + (
                    _GRACE_S if self.ready else _TO_START_S
                )
                answer = wire.receive_answer(self._answers, patience)
                self.ready = True
            yield answer

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self.code = self._process.wait()
        for fd in (self._tasks, self._answers):
            with suppress(OSError):
                os.close(fd)
        self._tasks = self._answers = -1


def _take(answer: Mapping[str, Any], piece: Piece, done: Done) -> None:
    if (why := answer.get("unusable")) is not None:
        done.unusable[piece.scorer] = why
        return
    for row, said in zip(piece.rows, answer["done"], strict=True):
        told = said or {}
        done.outcomes[piece.scorer, row] = Outcome(told.get("value"), told.get("error"))


def _after_trouble(piece: Piece, trouble: str, done: Done) -> list[Piece]:
    """The rows one by one, to find the one at fault; a single one has failed."""
    if len(piece.rows) > 1:
        return [Piece(piece.scorer, [row]) for row in piece.rows]
    done.outcomes[piece.scorer, piece.rows[0]] = Outcome(error=trouble)
    return []


def _environment() -> dict[str, str]:
    """The child runs a person's scorers and records nothing of its own."""
    source = Path(__file__).resolve().parents[2]
    env = {**os.environ, "LLMWATCH_WORKER": "false"}
    if source.name not in ("site-packages", "dist-packages"):
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(source)]))
    return env
