"""What becomes of a result: an event whose id follows from row, scorer and version, so that none is written twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.scoring.spec import Spec
from llmwatch.store import EVENTS, Project
from llmwatch.stream import events

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

FAILED = "score_failed"
"""The kind of an event that says that a row could not be scored."""
CREATOR = "llmwatch"


@dataclass(frozen=True)
class Outcome:
    """What a scorer made of a row: a result, nothing to say (both None), or an error."""

    value: Any = None
    error: str | None = None


def event_id(row_id: str, spec: Spec, kind: str = "score", attempt: int = 0) -> str:
    """The id of the event for this row, scorer and version.

    A UUID that begins as the row's own does, where that is one by time: events of rows of one time lie together.
    """
    said = f"{kind}:{attempt}:{row_id}:{spec.name}:{spec.version}"
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
    time = row_id[:13] if _is_by_time(row_id) else f"{digest[32:40]}-{digest[40:44]}"
    return f"{time}-8{digest[:3]}-8{digest[3:6]}-{digest[6:18]}"


def _is_by_time(row_id: str) -> bool:
    return len(row_id) == 36 and row_id[8] == "-" and row_id[13:15] == "-7"


@dataclass(frozen=True)
class Failure:
    """A row that a scorer failed on, as its event tells."""

    id: str
    row_id: str
    table: str
    scorer: str
    attempts: int
    given_up: bool
    error: str
    at_us: int


def write(
    project: Project,
    table: str,
    row_id: str,
    spec: Spec,
    outcome: Outcome,
    before: Failure | None = None,
) -> None:
    """Record what came of scoring a row; `before` is its last failure."""
    if outcome.error is not None:
        _add_failure(project, table, row_id, spec, outcome.error, before)
        return
    if outcome.value is not None:
        _add(project, table, row_id, spec, "score", outcome.value, event_id(row_id, spec))
    if before is not None:
        events.take_back(project, before.id, creator=CREATOR)


def _add_failure(
    project: Project, table: str, row_id: str, spec: Spec, error: str, before: Failure | None
) -> None:
    attempts = before.attempts + 1 if before else 1
    value = {"error": error, "attempts": attempts, "given_up": attempts >= spec.attempts}
    identity = event_id(row_id, spec, FAILED, attempts)
    _add(project, table, row_id, spec, FAILED, value, identity, before.id if before else None)


def _add(
    project: Project,
    table: str,
    row_id: str,
    spec: Spec,
    kind: str,
    value: Any,
    identity: str,
    replaces: str | None = None,
) -> None:
    events.add(
        project,
        kind=kind,
        name=spec.name,
        value=value,
        row_id=row_id,
        table=table,
        creator=CREATOR,
        attributes={
            "scorer": spec.use,
            "version": spec.version,
            **({"runnable_ref": spec.ref} if spec.ref else {}),
        },
        event_id=identity,
        replaces=replaces,
    )


def forget(project: Project, failure: Failure) -> None:
    """Its row is gone, or was scored after all."""
    events.take_back(project, failure.id, creator=CREATOR)


def scored_already(
    reader: Reader, rows: Iterable[str], specs: Sequence[Spec]
) -> set[tuple[str, str]]:
    """Which (row id, scorer's name) have what was said at this version: a score, or a failure."""
    asked = {(row, spec): event_id(row, spec) for row in rows for spec in specs}
    failed = {key: event_id(*key, FAILED, 1) for key in asked}
    there = _present(reader, [*asked.values(), *failed.values()])
    return {
        (row, spec.name) for row, spec in asked if there & {asked[row, spec], failed[row, spec]}
    }


def scores_there(
    reader: Reader, rows: Iterable[str], specs: Sequence[Spec]
) -> set[tuple[str, str]]:
    """Which (row id, scorer's name) have a score of this version."""
    asked = {event_id(row, spec): (row, spec.name) for row in rows for spec in specs}
    return {asked[identity] for identity in _present(reader, list(asked))}


def _present(reader: Reader, ids: Sequence[str]) -> set[str]:
    if not ids:
        return set()
    found = reader.execute(
        f'SELECT id FROM main."{EVENTS}" WHERE id IN (SELECT unnest(?::VARCHAR[])) AND id BETWEEN ? AND ?',
        [ids, min(ids), max(ids)],
        [EVENTS],
    )
    return {row[0] for row in found.rows}


def failures(
    reader: Reader, scorer: str | None = None, *, waiting: bool = False, most: int = 10_000
) -> list[Failure]:
    """The rows that could not be scored, the oldest failure first; `waiting`: those that were not given up."""
    found = reader.execute(
        'SELECT id, row_id, "table", name, value, epoch_us(ts) FROM said.events '
        f"WHERE kind = '{FAILED}' AND (?::VARCHAR IS NULL OR name = ?) "
        "AND NOT (?::BOOLEAN AND (value->>'given_up')::BOOLEAN) ORDER BY ts, writer, seq LIMIT ?",
        [scorer, scorer, waiting, most],
        [EVENTS],
    )
    return [_failure(*fields) for fields in found.rows]


def _failure(identity: str, row_id: str, table: str, name: str, value: str, at: int) -> Failure:
    told = orjson.loads(value)
    attempts, given_up = int(told["attempts"]), bool(told["given_up"])
    return Failure(identity, row_id, table, name, attempts, given_up, str(told["error"]), at)
