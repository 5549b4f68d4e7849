"""Events as people ask for them: live feedback, the latest scores and labels of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch.store import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

NAMES = ("events", "feedback", "scores", "labels")

_LATEST = (
    "SELECT * FROM events WHERE kind = '{kind}' "
    "QUALIFY row_number() OVER (PARTITION BY row_id, name ORDER BY ts DESC, writer DESC, seq DESC) = 1"
)


def create(database: duckdb.DuckDBPyConnection, view: Callable[[str, str], None]) -> None:
    """Make the views over the events relation. An event is live until another deletes or replaces it."""
    del database
    said = f'main."{EVENTS}"'
    view(
        "main.events",
        f"SELECT * FROM {said} ANTI JOIN (SELECT unnest([replaces, deletes]) AS id FROM {said} "
        "WHERE replaces IS NOT NULL OR deletes IS NOT NULL) AS undone USING (id) WHERE deletes IS NULL",
    )
    view("main.feedback", "SELECT * FROM events WHERE kind = 'feedback'")
    view("main.scores", _LATEST.format(kind="score"))
    view("main.labels", _LATEST.format(kind="label"))
