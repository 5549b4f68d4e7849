"""Events that the backend says about calls and projects, written to the events table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.backend import wire
from llmwatch.errors import StoreError
from llmwatch.store import EVENTS, Project
from llmwatch.stream import spool

if TYPE_CHECKING:
    from llmwatch.settings import Settings


def write(project: Project, settings: Settings, event: Mapping[str, Any]) -> None:
    """Append one event; what is None in it is left out."""
    body = wire.dumps(wire.without_unknown(event))
    if not spool.writer(project, EVENTS, settings).append("event", body):
        raise StoreError(f"{event.get('kind')} {event['id']} could not be recorded in {project.id}")


def retract(project: Project, settings: Settings, kind: str, event_id: str) -> None:
    """An event that takes back an earlier one."""
    event = {"id": clock.new_id(), "row_id": "", "table": "", "kind": kind, "deletes": event_id}
    write(project, settings, event)
