"""What is said about a row later: feedback, scores, labels. Written by any process, joined to the row at read."""

from __future__ import annotations

import getpass
from typing import Any

import orjson

from llmwatch import capture, clock, settings
from llmwatch.store import EVENTS, Project
from llmwatch.stream import spool

KINDS = ("feedback", "score", "label")


def add(
    project: Project,
    *,
    kind: str,
    name: str,
    value: Any = None,
    row_id: str | None = None,
    table: str = "",
    creator: str | None = None,
    attributes: dict[str, Any] | None = None,
    replaces: str | None = None,
    deletes: str | None = None,
    event_id: str | None = None,
) -> str:
    """Write one event and return its id. The row may be in any state: written, compacted, or still to come."""
    now = settings.current()
    event_id = event_id or clock.new_id()
    fields: dict[str, Any] = {
        "id": event_id,
        "row_id": row_id,
        "table": table,
        "kind": kind,
        "name": name,
        "creator": creator if creator is not None else default_creator(),
        "replaces": replaces,
        "deletes": deletes,
    }
    head = orjson.dumps({key: text for key, text in fields.items() if text is not None})
    limit = now.field_limit_kb << 10
    said = b',"value":' + capture.encode(value, media=project.media, limit=limit)
    more = b""
    if attributes:
        more = b',"attributes":' + capture.encode(attributes, media=project.media, limit=limit)
    spool.writer(project, EVENTS, now).append("event", head[:-1] + said + more + b"}")
    return event_id


def take_back(project: Project, event_id: str, *, creator: str | None = None) -> str:
    """Undo an event; its history stays. Returns the id of the event that says so."""
    return add(project, kind="undo", name="", deletes=event_id, creator=creator)


def default_creator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in the machine's list, as in some containers
        return "unknown"
