"""Rows for the slices tests: people who ask a help desk, with what the test makes worse."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from llmwatch import StreamTable, clock

START_US = 1_795_000_000_000_000
STEP_US = 1_000_000
Change = Callable[[dict[str, Any], random.Random, int], None]


def rows(
    count: int = 3_000, change: Change | None = None, *, seed: int = 1, users: int = 200
) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    plans = {n: chance.choice(["free", "pro", "team"]) for n in range(users)}
    habits = {n: chance.lognormvariate(0, 0.2) for n in range(users)}
    made = []
    for n in range(count):
        user = chance.randrange(users)
        row = {
            "user_id": f"u{user}",
            "session_id": f"s{n // 3}-{user}",
            "plan": plans[user],
            "version": chance.choice(["v1", "v2"]),
            "region": chance.choice(["eu", "us", "ap", "sa"]),
            "tool": chance.choice(["search", "sql", "mail"]),
            "prompt_tokens": int(chance.lognormvariate(5, 0.7)),
            "latency_ms": habits[user] * chance.lognormvariate(6, 0.4),
            "status": "error" if chance.random() < 0.03 else "success",
        }
        if change is not None:
            change(row, chance, n)
        made.append(row)
    return made


def log(made: list[dict[str, Any]], table: str = "bot/chats") -> list[str]:
    """A second apart each; returns their ids."""
    written = StreamTable(table)
    ids = []
    for n, row in enumerate(made):
        with clock.use(now=lambda at=n: START_US + at * STEP_US):
            ids.append(written.add(row))
    return [row_id for row_id in ids if row_id]


def at(number: int) -> int:
    """When the row of that number was."""
    return START_US + number * STEP_US
