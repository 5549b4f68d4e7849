"""The table `breakers`: a row for each change of a breaker's state, and who is open by the newest of them."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import faults
from llmwatch.circuit.states import Change

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

TABLE = "breakers"


def record(name: str, changes: list[Change]) -> None:
    """Write the changes where this process records to; before `llmwatch.init()`, nowhere."""
    from llmwatch.tracing import recorder

    active = recorder.active()
    if active is None or not changes:
        return
    with faults.contained("a breaker's change of state could not be recorded", lost=len(changes)):
        from llmwatch.stream.table import StreamTable

        project = active.project
        table = StreamTable(f"{project.id}/{TABLE}", store=project.store.root)
        for change in changes:
            table.log(_row(name, change))


def _row(name: str, change: Change) -> dict[str, Any]:
    counts = change.counts
    return {
        "breaker": name,
        "state": change.state,
        "was": change.was,
        "reason": change.reason,
        "said": change.said,
        "at_us": change.at_us,
        "lasted_s": round(change.lasted_s, 3),
        "refused": change.refused,
        "calls": counts.calls,
        "failed": counts.failed,
        "slow": counts.slow,
        "error_rate": counts.error_rate,
        "slow_rate": counts.slow_rate,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def standing(reader: Reader) -> list[dict[str, Any]]:
    """The newest row of each breaker in each process, the latest change last."""
    if TABLE not in reader.project.tables():
        return []
    if not any(column.key == "breaker" for column in reader.columns(TABLE)):
        return []
    found = reader.execute(
        f'SELECT "llmwatch data" FROM keyed.{TABLE} WHERE breaker IS NOT NULL '  # noqa: S608 - our own name
        "QUALIFY row_number() OVER (PARTITION BY breaker, host, pid "
        'ORDER BY "llmwatch ts" DESC, "llmwatch seq" DESC) = 1 ORDER BY "llmwatch ts", "llmwatch seq"',
        [],
        [TABLE],
    )
    return [orjson.loads(data) for (data,) in found.rows]
