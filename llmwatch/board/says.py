"""What a person says about a row on the page: written as events, as code writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmwatch.board.source import Source
from llmwatch.errors import InvalidBoard
from llmwatch.stream import events

LONGEST = 20_000
_REACTIONS = {"up": "👍", "down": "👎"}


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
    if what == "reaction":
        emoji = _REACTIONS.get(str(value), value)
        if not isinstance(emoji, str) or not 0 < len(emoji) <= 16:
            raise InvalidBoard("a reaction is up, down or one emoji")
        return (
            "feedback",
            "wandb.reaction.1",
            {"emoji": emoji, "alias": str(value), "detoned": emoji},
        )
    if what == "note":
        return "feedback", "wandb.note.1", {"note": _text(value, "a note")}
    if what == "rating":
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= 5:
            raise InvalidBoard("a rating is 1 to 5 stars")
        return "feedback", "rating", {"stars": value}
    if what == "correction":
        return "feedback", "correction", {"expected": _text(value, "a correction")}
    if what == "label":
        return "label", _text(asked.get("name"), "a label's name", 200), value
    raise InvalidBoard("what is said is a reaction, note, rating, correction or label")


def _text(value: Any, what: str, longest: int = LONGEST) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidBoard(f"{what} is some text")
    if len(value) > longest:
        raise InvalidBoard(f"{what} has at most {longest} characters; this has {len(value)}")
    return value


def _creator(asked: Mapping[str, Any]) -> str | None:
    creator = asked.get("creator")
    return creator[:200] if isinstance(creator, str) and creator.strip() else None
