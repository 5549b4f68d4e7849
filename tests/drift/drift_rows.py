"""Rows of made-up traffic for the drift tests: logged at chosen times, in sessions of their own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from llmwatch import StreamTable, clock

NOW = 1_795_000_000
"""When the windows of the tests end, in seconds."""
DAY, WEEK = 86_400, 604_800
SUBJECTS = ["invoice", "password", "delivery", "refund", "account", "order", "address", "coupon"]
VERBS = ["change", "find", "cancel", "check", "update", "print"]


def question(chance: random.Random) -> str:
    """One of the usual questions."""
    subject, other = chance.sample(SUBJECTS, 2)
    return f"How do I {chance.choice(VERBS)} my {subject} {'and the ' + other if chance.random() < 0.5 else ''}?"


def recipe(chance: random.Random) -> str:
    """A question of a kind that nobody asked before."""
    return f"Simmer {chance.choice(['onions', 'garlic', 'leeks'])} in butter, {chance.randrange(2, 90)} minutes, then stir in the saffron rice"


Row = Callable[[random.Random], Mapping[str, Any]]


def usual(chance: random.Random) -> dict[str, Any]:
    return {"question": question(chance), "region": chance.choice(["eu", "us"])}


def log_day(
    row: Row = usual, *, ends: float = NOW, rows: int = 260, seed: int = 1, table: str = "bot/chats"
) -> list[str]:
    """Rows in the day before `ends`, each a session of its own; returns their ids."""
    chance = random.Random(f"{seed} {ends}")
    times = sorted(ends - chance.random() * DAY * 0.999 - 1 for _ in range(rows))
    written = StreamTable(table)
    ids = []
    for number, time in enumerate(times):
        with clock.use(now=lambda at=time: int(at * 1_000_000)):
            made = {"session_id": f"s{ends}-{number}", "user_id": f"u{number % 50}", **row(chance)}
            ids.append(written.add(made))
    return [row_id for row_id in ids if row_id]


def log_weeks(
    row: Row = usual, *, weeks: int = 4, rows: int = 100, table: str = "bot/chats"
) -> None:
    """The same day of earlier weeks, the oldest first: times never go back in a writer."""
    for week in range(weeks, 0, -1):
        log_day(row, ends=NOW - week * WEEK, rows=rows, seed=week, table=table)
