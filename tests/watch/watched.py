"""Traffic whose every number is known, for tests of metric sets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmwatch import StreamTable, clock, settings
from llmwatch.store import Project, open_store
from llmwatch.watch.keeper import Keeper
from llmwatch.watch.sets import MetricSet
from llmwatch.watch.windows import MINUTE_US, SECOND_US

START = 1_760_000_040_000_000  # a whole minute
TABLE = "bot/chats"


class Time:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.us = START

    def __call__(self) -> int:
        return self.us

    def seconds(self, seconds: float) -> None:
        self.us += int(seconds * SECOND_US)


@contextmanager
def stopped_clock() -> Iterator[Time]:
    time = Time()
    with clock.use(now=time):
        yield time


def project() -> Project:
    return open_store().project("local", "bot")


def chats() -> StreamTable:
    return StreamTable(TABLE)


def row(chance: random.Random, **more: Any) -> dict[str, Any]:
    """A row as people log them; some fields are missing now and then."""
    made: dict[str, Any] = {
        "latency_ms": chance.lognormvariate(5, 1),
        "model": chance.choice(["small", "large", "zażółć"]),
        "region": chance.choice(["eu", "us"]),
        "answer": chance.choice(["yes", "no", "maybe"]),
        "confidence": chance.random(),
        "temperature": chance.gauss(1, 0.2),
        "prompt_tokens": chance.randint(1, 500),
        "completion_tokens": chance.randint(1, 500),
        "cost_usd": chance.random() / 100,
    }
    if chance.random() < 0.1:
        made |= {"status": "error", "exception_type": chance.choice(["ValueError", "TimeoutError"])}
    for name in ("confidence", "cost_usd", "temperature"):
        if chance.random() < 0.05:
            made[name] = None
    return made | more


def log(time: Time, rows: int, *, every_s: float = 1, seed: int = 1, **more: Any) -> list[dict]:
    """Log rows one after the other; each comes back with its id and time."""
    chance, table, made = random.Random(seed), chats(), []
    for _ in range(rows):
        one = row(chance, **more)
        row_id = table.add(one)
        made.append({**one, "id": row_id, "at": time.us})
        time.seconds(every_s)
    return made


@contextmanager
def keeping(*sets: MetricSet) -> Iterator[Keeper]:
    keeper = Keeper(project(), sets, settings.current())
    try:
        yield keeper
    finally:
        keeper.close()


def told(name: str | None = None) -> dict[tuple[str, int, int, str], dict[str, Any]]:
    """The rows of `metrics`, the latest of each window and group."""
    if "metrics" not in project().tables():
        return {}
    found = {}
    for one in StreamTable("bot/metrics").rows():
        if name is None or one["set"] == name:
            found[one["set"], one["window_s"], one["window_start"], one["group"]] = dict(one)
    return found


def minute_of(at: int) -> int:
    return at // MINUTE_US * MINUTE_US
