"""What was said about a row, as Weave feedback: reactions, notes, scores of scorers, labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.backend import wire

if TYPE_CHECKING:
    from llmwatch.forward.publish import Publisher

KINDS = ("feedback", "score", "label", "cost")
"""Events of other kinds (what the worker derives for itself) stay here."""
LONGEST_NOTE = 1024
_REFS = ("annotation_ref", "runnable_ref", "call_ref", "trigger_ref")
_NOT_OURS_TO_SAY = {"weave_ref", "wb_user_id", *_REFS}
_OWN_FIELDS = {"wandb.reaction.1": ("emoji",), "wandb.note.1": ("note",)}
_UNFIT = re.compile(r"[^\w.-]")

ScorerRef = Callable[[str], str]
"""The ref at W&B of the object that stands for a scorer."""


def feedback_of(
    event: Mapping[str, Any], publisher: Publisher, project_id: str, scorer: ScorerRef
) -> dict[str, Any]:
    """The feedback that stands for an event on a row, or on an object."""
    said = _mapping(_parsed(event.get("attributes")))
    value = publisher.carry(_parsed(event.get("value")))
    made = {
        "id": event["id"],
        "project_id": project_id,
        "weave_ref": _subject(event, said, publisher, project_id),
        "creator": event.get("creator"),
        **{name: given for name, given in said.items() if name not in _NOT_OURS_TO_SAY},
        **{name: publisher.ref(said[name]) for name in _REFS if said.get(name)},
        **_type_and_payload(event, value, scorer),
    }
    return wire.without_unknown(made)


def _subject(
    event: Mapping[str, Any], said: Mapping[str, Any], publisher: Publisher, project_id: str
) -> str:
    row_id = event.get("row_id") or ""
    if said.get("weave_ref") or row_id.startswith("weave:///"):
        return publisher.ref(said.get("weave_ref") or row_id)
    return f"weave:///{project_id}/call/{row_id}"


def _type_and_payload(event: Mapping[str, Any], value: Any, scorer: ScorerRef) -> dict[str, Any]:
    name, kind = event.get("name") or "", event["kind"]
    if kind == "score":
        named = fit_name(name)
        return {
            "feedback_type": f"wandb.runnable.{named}",
            "payload": {"output": value},
            "runnable_ref": scorer(named),
        }
    if kind == "label":
        return {"feedback_type": f"llmwatch.label.{name}", "payload": {"value": value}}
    if name == "reaction" and isinstance(value, str):
        return {"feedback_type": "wandb.reaction.1", "payload": {"emoji": value}}
    if name == "note" and isinstance(value, str):
        return {"feedback_type": "wandb.note.1", "payload": {"note": value[:LONGEST_NOTE]}}
    if name in _OWN_FIELDS and isinstance(value, dict):
        # what the local backend added to the payload, W&B adds for itself
        return {
            "feedback_type": name,
            "payload": {k: value[k] for k in _OWN_FIELDS[name] if k in value},
        }
    payload = value if isinstance(value, dict) else {"value": value}
    return {"feedback_type": name if "." in name else f"llmwatch.{name}", "payload": payload}


def fit_name(name: str) -> str:
    """A scorer's name as W&B takes it for an object."""
    return _UNFIT.sub("_", name)[:128] or "scorer"


def scorer_object(name: str) -> dict[str, Any]:
    """The object that stands for a scorer of llmwatch's at W&B, so that its scores show under its name."""
    return {
        "_type": "LlmwatchScorer",
        "name": name,
        "description": "Scores that llmwatch recorded.",
        "_class_name": "LlmwatchScorer",
        "_bases": ["Scorer", "Object", "BaseModel"],
    }


def by_id(ids: list[str]) -> dict[str, Any]:
    """The condition that names feedback by id."""
    equal = [{"$eq": [{"$getField": "id"}, {"$literal": one}]} for one in ids]
    return {"$expr": equal[0] if len(equal) == 1 else {"$or": equal}}


def _parsed(value: Any) -> Any:
    return wire.loads(value) if isinstance(value, (str, bytes)) else value


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
