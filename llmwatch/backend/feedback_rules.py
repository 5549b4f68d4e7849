"""What feedback may be: the rules of Weave's reserved feedback types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmwatch.backend import wire
from llmwatch.backend.emoji import alias, detoned, is_emoji

REACTION, NOTE = "wandb.reaction.1", "wandb.note.1"
ANNOTATION, RUNNABLE = "wandb.annotation.", "wandb.runnable."
LARGEST_PAYLOAD = 1 << 20
LONGEST_NOTE = 1024


def checked_payload(feedback: Mapping[str, Any], read_ref: Callable[[str], Any]) -> dict[str, Any]:
    """The payload as it is stored; raises `InvalidRequest` when the feedback breaks a rule."""
    payload, type_ = dict(feedback["payload"]), feedback["feedback_type"]
    if len(wire.dumps(payload)) > LARGEST_PAYLOAD:
        raise invalid(f"the payload of {type_} feedback is larger than 1 MiB")
    _check_refs(feedback, type_)
    if type_ == REACTION:
        return _reaction(payload)
    if type_ == NOTE:
        _check_note(payload)
    elif type_.startswith(ANNOTATION):
        _check_annotation(payload, feedback, read_ref)
    elif type_.startswith(RUNNABLE) and "output" not in payload:
        raise invalid(f"the payload of {type_} feedback needs an 'output'")
    return payload


def _reaction(payload: dict[str, Any]) -> dict[str, Any]:
    emoji = payload.get("emoji")
    if not isinstance(emoji, str) or not is_emoji(emoji):
        raise invalid(f"a reaction is one emoji, not {emoji!r}")
    plain = detoned(emoji)
    return {**payload, "alias": alias(emoji), "detoned": plain, "detoned_alias": alias(plain)}


def _check_note(payload: dict[str, Any]) -> None:
    note = payload.get("note")
    if not isinstance(note, str) or not 1 <= len(note) <= LONGEST_NOTE:
        raise invalid(f"a note is text of 1 to {LONGEST_NOTE} characters")


def _check_refs(feedback: Mapping[str, Any], type_: str) -> None:
    """annotation_ref and runnable_ref belong to their types, which need them under their name."""
    for prefix, name in ((ANNOTATION, "annotation_ref"), (RUNNABLE, "runnable_ref")):
        ref = feedback.get(name)
        if type_.startswith(prefix):
            _check_named(ref, name, type_, type_[len(prefix) :])
        elif ref is not None:
            raise invalid(
                f"{name} belongs to feedback types that begin with {prefix}, not to {type_}"
            )
    if feedback.get("call_ref") is not None and not type_.startswith(RUNNABLE):
        raise invalid(
            f"call_ref belongs to feedback types that begin with {RUNNABLE}, not to {type_}"
        )
    if "/op/" in str(feedback.get("runnable_ref")) and feedback.get("call_ref") is None:
        raise invalid(f"{type_} feedback by an op needs the call_ref of its call")


def _check_named(ref: str | None, field: str, type_: str, name: str) -> None:
    from weave.trace.refs import ObjectRef, Ref

    if ref is None:
        raise invalid(f"{type_} feedback needs {field}")
    parsed = Ref.maybe_parse_uri(ref)
    if not isinstance(parsed, ObjectRef):
        raise invalid(f"{field} {ref!r} is not the ref of an object")
    if parsed.name != name:
        raise invalid(f"{field} names {parsed.name!r}, but the feedback type {name!r}")


def _check_annotation(
    payload: dict[str, Any], feedback: Mapping[str, Any], read_ref: Callable[[str], Any]
) -> None:
    from weave.trace.builtin_object_classes.annotation_spec import AnnotationSpec

    if "value" not in payload:
        raise invalid(f"the payload of {feedback['feedback_type']} feedback needs a 'value'")
    spec = read_ref(feedback["annotation_ref"])
    if not isinstance(spec, dict):
        raise invalid(f"{feedback['annotation_ref']} is not in this store")
    if not AnnotationSpec.model_validate(spec).value_is_valid(payload["value"]):
        raise invalid(f"{payload['value']!r} is not valid under {feedback['annotation_ref']}")


def invalid(message: str) -> Exception:
    from weave.trace.errors import InvalidRequest

    error: Exception = InvalidRequest(message)
    return error
