"""The kinds of feedback: what each may be, and how it is kept. Reactions and notes are kept as Weave keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmwatch.errors import LlmwatchError

REACTION, NOTE = "wandb.reaction.1", "wandb.note.1"
ANNOTATION = "annotation."
LONGEST_NOTE = 20_000
LONGEST_NAME = 200
_WORDS = {"up": "👍", "down": "👎", "thumbs_up": "👍", "thumbs_down": "👎"}


class BadFeedback(LlmwatchError, ValueError):
    """Feedback or a label that cannot be what it says it is; nothing was recorded."""


def kept(name: str, value: Any) -> tuple[str, Any]:
    """The name and value that feedback is recorded by; raises `BadFeedback`.

    >>> kept("stars", 4)
    ('rating', {'stars': 4})
    >>> kept("note", "well said")
    ('wandb.note.1', {'note': 'well said'})
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise BadFeedback(f"the name of feedback is text of 1 to {LONGEST_NAME} characters")
    if name in ("reaction", REACTION):
        return REACTION, _reaction(_field(value, "emoji"))
    if name in ("note", NOTE):
        return NOTE, {"note": _note(_field(value, "note"))}
    if name in ("stars", "rating"):
        return "rating", {"stars": _stars(_field(value, "stars"))}
    if name == "correction":
        return name, _correction(value)
    if name.startswith("wandb."):
        raise BadFeedback(f"{name!r} is a name of Weave's own; record it with Weave")
    return name, value


def shown(name: str, value: Any) -> tuple[str, Any]:
    """As a person reads it: what `kept` took.

    >>> shown("wandb.reaction.1", {"emoji": "👍", "alias": ":thumbs_up:"})
    ('reaction', '👍')
    """
    if isinstance(value, Mapping):
        for kept_as, name_shown, field in (
            (REACTION, "reaction", "emoji"),
            (NOTE, "note", "note"),
            ("rating", "stars", "stars"),
        ):
            if name == kept_as and field in value:
                return name_shown, value[field]
    return name, value


def _field(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, Mapping) and name in value else value


def _reaction(value: Any) -> dict[str, Any]:
    from llmwatch.backend.emoji import alias, detoned, is_emoji

    emoji = _WORDS.get(value, value) if isinstance(value, str) else value
    if not isinstance(emoji, str) or not is_emoji(emoji):
        raise BadFeedback(f"a reaction is one emoji, 'up' or 'down'; not {value!r}")
    plain = detoned(emoji)
    return {"emoji": emoji, "alias": alias(emoji), "detoned": plain, "detoned_alias": alias(plain)}


def _note(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadFeedback("a note is some text")
    if len(value) > LONGEST_NOTE:
        raise BadFeedback(f"a note has at most {LONGEST_NOTE} characters; this has {len(value)}")
    return value


def _stars(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= 5:
        raise BadFeedback(f"stars are a number from 1 to 5, not {value!r}")
    return value


def _correction(value: Any) -> dict[str, Any]:
    """What the answer should have been, of any shape; with `reason` when that was given."""
    if isinstance(value, Mapping) and "expected" in value:
        return dict(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadFeedback("a correction is what the answer should have been")
    return {"expected": value}


def label_name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise BadFeedback(
            f"the name of a label is text of 1 to {LONGEST_NAME} characters, not {name!r}"
        )
    return name
