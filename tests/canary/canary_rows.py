"""Rows of two versions for the canary tests: people with the old or the new one, as `choose` says."""

from __future__ import annotations

import random

from llmwatch import StreamTable, canary


def log_versions(
    rows: int = 3_000,
    *,
    slower: float = 1.0,
    share: float = 0.3,
    users: int = 600,
    table: str = "bot/chats",
    seed: int = 1,
) -> list[str]:
    """Returns the ids of the rows."""
    chance = random.Random(seed)
    written = StreamTable(table)
    ids = []
    for _ in range(rows):
        user = f"u{chance.randrange(users)}"
        choice = canary.choose(user, share, old="v1", new="v2")
        row = {
            "user_id": user,
            "version": choice.version,
            "latency_ms": chance.lognormvariate(6, 0.4) * (slower if choice else 1.0),
            "status": "error" if chance.random() < 0.02 else "success",
        }
        ids.append(written.add(row))
    return [row_id for row_id in ids if row_id]
