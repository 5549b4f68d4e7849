"""`llmwatch.feedback` and `llmwatch.label`: said about a row from any process; edited and deleted with their history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.errors import NotFound
from llmwatch.remarks import keys, kinds, schemas
from llmwatch.remarks.kinds import BadFeedback
from llmwatch.remarks.places import project_of
from llmwatch.store import EVENTS
from llmwatch.stream import events

if TYPE_CHECKING:
    from llmwatch.store import Project


def feedback(
    row_id: str,
    name: str,
    value: Any,
    *,
    creator: str | None = None,
    table: str = "",
    project: str | None = None,
    store: str | Path | None = None,
) -> str:
    """Say something about a row; returns the id of the feedback, to edit or delete it by.

    name: `reaction` (one emoji, `up` or `down`), `note` (text), `stars` (1 to 5), `correction` (what the answer should
    have been), `annotation.<name>` (by its schema), or a name of your own with any value.
    creator: who says so; the user of this process unless given. The row may be in any state, also still to come.
    """
    _check_id(row_id)
    where = project_of(project, store)
    return said(where, row_id, name, value, creator=creator, table=table)


def label(
    row: str,
    labels: Mapping[str, Any],
    *,
    key: str | None = None,
    creator: str | None = None,
    table: str = "traces",
    project: str | None = None,
    store: str | Path | None = None,
) -> str:
    """Attach ground truth to a row, by its id or by a key of your own; returns the row's id.

    `llmwatch.label(row_id, {"resolved": True})`, `llmwatch.label("i-123", {"resolved": True}, key="inference_id")`:
    the key is a column, or a key of the row's data, attributes, inputs or output. A later label of a name replaces it.
    """
    _check_id(row)
    if not labels:
        raise BadFeedback("labels are a mapping such as {'resolved': True}; this has none")
    names = {kinds.label_name(name): value for name, value in labels.items()}
    where = project_of(project, store)
    row_id = row if key is None else keys.one_row(where, table, key, row)
    for name, value in names.items():
        events.add(
            where, kind="label", name=name, value=value, row_id=row_id, table=table, creator=creator
        )
    return row_id


def edit(
    event_id: str,
    value: Any,
    *,
    creator: str | None = None,
    project: str | None = None,
    store: str | Path | None = None,
) -> str:
    """Say it differently: the feedback or label has this value from now on. Returns the new event's id."""
    where = project_of(project, store)
    before = _live(where, event_id)
    if before["kind"] != "feedback":
        return events.add(where, value=value, creator=creator, replaces=event_id, **_about(before))
    name, _ = kinds.shown(before["name"], _value(before))
    return said(
        where,
        before["row_id"],
        name,
        value,
        creator=creator,
        table=before["table"] or "",
        replaces=event_id,
    )


def delete(
    event_id: str,
    *,
    creator: str | None = None,
    project: str | None = None,
    store: str | Path | None = None,
) -> None:
    """Take feedback or a label back. It is in the history of its row, and nowhere else."""
    where = project_of(project, store)
    _live(where, event_id)
    events.take_back(where, event_id, creator=creator)


def history(
    row_id: str, *, project: str | None = None, store: str | Path | None = None
) -> list[dict[str, Any]]:
    """All that was ever said about a row, oldest first: who and when, and what became of it (`state`).

    `state` is `live`, `edited` or `deleted`; `by` names the event that edited or deleted it.
    """
    return history_in(project_of(project, store), row_id)


# --- the same, where the project is at hand ----------------------------------------------


def said(
    project: Project,
    row_id: str,
    name: str,
    value: Any,
    *,
    creator: str | None = None,
    table: str = "",
    replaces: str | None = None,
    via: str | None = None,
) -> str:
    """Record feedback that fits its kind; raises `BadFeedback`."""
    name, value = kinds.kept(name, value)
    schema = schemas.checked(project, name, value)
    attributes = {key: text for key, text in (("schema", schema), ("said_on", via)) if text}
    return events.add(
        project,
        kind="feedback",
        name=name,
        value=value,
        row_id=row_id,
        table=table,
        creator=creator,
        attributes=attributes,
        replaces=replaces,
    )


def history_in(project: Project, row_id: str) -> list[dict[str, Any]]:
    with keys.reading(project) as reader:
        found = reader.execute(
            "SELECT e.id, e.kind, e.name, e.value, e.creator, e.ts AS at, u.id AS by, "
            "CASE WHEN u.id IS NULL THEN 'live' WHEN u.deletes = e.id THEN 'deleted' ELSE 'edited' END AS state "
            f'FROM main."{EVENTS}" e LEFT JOIN main."{EVENTS}" u ON e.id IN (u.deletes, u.replaces) '
            "WHERE e.row_id = ? AND e.deletes IS NULL ORDER BY e.ts, e.writer, e.seq",
            [row_id],
            [EVENTS],
        ).dicts()
    return [_readable(event) for event in found]


def _live(project: Project, event_id: str) -> dict[str, Any]:
    _check_id(event_id)
    with keys.reading(project) as reader:
        found = reader.execute(
            'SELECT id, row_id, "table", kind, name, value FROM said.events WHERE id = ?',
            [event_id],
            [EVENTS],
        ).dicts()
    if not found:
        raise NotFound(
            f"there is no feedback or label {event_id} in {project.id}, or it was edited or deleted"
        )
    return found[0]


def _about(event: Mapping[str, Any]) -> dict[str, Any]:
    about = {name: event[name] for name in ("kind", "name", "row_id")}
    return {**about, "table": event["table"] or ""}


def _value(event: Mapping[str, Any]) -> Any:
    import orjson

    return orjson.loads(event["value"] or "null")


def _readable(event: Mapping[str, Any]) -> dict[str, Any]:
    value = _value(event)
    name, value = (
        kinds.shown(event["name"], value) if event["kind"] == "feedback" else (event["name"], value)
    )
    return {**event, "name": name, "value": value}


def _check_id(row_id: Any) -> None:
    if not isinstance(row_id, str) or not row_id:
        raise BadFeedback(f"a row or event is named by its id, which is text; not {row_id!r}")
