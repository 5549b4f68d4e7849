"""Events as people ask for them: live feedback, the latest scores and labels of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch.store import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

NAMES = ("events", "feedback", "scores", "labels")

_LATEST = (
    "SELECT * FROM {events} "
    "QUALIFY row_number() OVER (PARTITION BY row_id, name ORDER BY ts DESC, writer DESC, seq DESC) = 1"
)
_RUNNABLE = "wandb.runnable."
"""Scores that Weave's own code adds to calls are feedback of this type."""
_SCORES = (
    "(SELECT * FROM said.events WHERE kind = 'score' UNION ALL "
    f"SELECT * REPLACE (substr(name, {len(_RUNNABLE) + 1}) AS name, json_extract(value, '$.output')::VARCHAR AS value) "
    f"FROM said.events WHERE kind = 'feedback' AND starts_with(name, '{_RUNNABLE}'))"
)


def create(database: duckdb.DuckDBPyConnection, view: Callable[[str, str], None]) -> None:
    """Make the views over the events relation. An event is live until another deletes or replaces it.

    They have a schema of their own, because a table may be called `feedback` too: then that name means the table.
    """
    del database
    every = f'main."{EVENTS}"'
    view(
        "said.events",
        f"SELECT * FROM {every} ANTI JOIN (SELECT unnest([replaces, deletes]) AS id FROM {every} "
        "WHERE replaces IS NOT NULL OR deletes IS NOT NULL) AS undone USING (id) WHERE deletes IS NULL",
    )
    view("said.feedback", "SELECT * FROM said.events WHERE kind = 'feedback'")
    view("said.scores", _LATEST.format(events=_SCORES))
    view("said.labels", _LATEST.format(events="said.events WHERE kind = 'label'"))
