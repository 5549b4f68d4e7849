"""What a person says about a row on the page: written as events, as code writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmwatch.board.source import Source
from llmwatch.errors import InvalidBoard
from llmwatch.remarks import kinds
from llmwatch.stream import events


def say(source: Source, row_id: str, asked: Mapping[str, Any]) -> str:
    """Record a reaction, stars, a note, a correction or a label; returns the event's id.

    Reactions and notes have Weave's names, so they arrive in W&B as what they are.
    """
    kind, name, value = _event(asked)
    return events.add(
        source.project,
        kind=kind,
        name=name,
        value=value,
        row_id=row_id,
        table=source.table,
        creator=_creator(asked),
        attributes={"said_on": "board"},
        replaces=asked.get("replaces") or None,
    )


def take_back(source: Source, event_id: str) -> str:
    return events.take_back(source.project, event_id)


def _event(asked: Mapping[str, Any]) -> tuple[str, str, Any]:
    what, value = asked.get("what"), asked.get("value")
    if what in ("reaction", "rating", "note", "correction"):
        return ("feedback", *kinds.kept(what, value))
    if what == "label":
        return "label", kinds.label_name(asked.get("name")), value
    raise InvalidBoard("what is said is a reaction, note, rating, correction or label")


def _creator(asked: Mapping[str, Any]) -> str | None:
    creator = asked.get("creator")
    return creator[:200] if isinstance(creator, str) and creator.strip() else None
