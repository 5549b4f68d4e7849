"""Schemas of annotations: what a structured annotation of a name has to look like, kept in the project."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.names import check_name
from llmwatch.remarks.kinds import ANNOTATION, BadFeedback
from llmwatch.store import ensure

if TYPE_CHECKING:
    from llmwatch.store import Project


def annotation(
    name: str,
    schema: Mapping[str, Any] | type,
    *,
    project: str | None = None,
    store: str | Path | None = None,
) -> str:
    """Say what annotations of a name look like; returns the name that feedback is given by.

    schema: a JSON schema, or a pydantic model. Saying another one later holds for annotations from then on.

    `llmwatch.feedback(row_id, annotation("quality", {"type": "integer", "maximum": 5}), 4)`
    """
    from llmwatch.remarks.places import project_of

    told = dict(schema) if isinstance(schema, Mapping) else schema.model_json_schema()  # type: ignore[attr-defined]
    _check(told)
    path = _path(project_of(project, store), check_name(name, "annotation"))
    ensure(path.parent)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.touch(mode=0o600)
    draft.write_bytes(orjson.dumps(told))
    draft.replace(path)
    return ANNOTATION + name


def checked(project: Project, name: str, value: Any) -> str | None:
    """The schema's digest when `value` fits it, None when feedback of this name has none; else raises `BadFeedback`."""
    if not name.startswith(ANNOTATION):
        return None
    import jsonschema

    try:
        text = _path(project, check_name(name[len(ANNOTATION) :], "annotation")).read_bytes()
    except FileNotFoundError:
        raise BadFeedback(
            f"there is no schema of {name!r} in {project.id}: say one with llmwatch.remarks.annotation(...)"
        ) from None
    try:
        jsonschema.validate(value, orjson.loads(text))
    except jsonschema.ValidationError as error:
        where = "/".join(map(str, error.absolute_path))
        raise BadFeedback(f"{name}{' at ' + where if where else ''}: {error.message}") from error
    return hashlib.sha256(text).hexdigest()[:12]


def schemas(project: Project) -> dict[str, Any]:
    """Every schema of a project, by the name of its annotation."""
    found = sorted((project.path / "annotations").glob("*.json"))
    return {path.stem: orjson.loads(path.read_bytes()) for path in found}


def _path(project: Project, name: str) -> Path:
    return project.path / "annotations" / f"{name}.json"


def _check(schema: Mapping[str, Any]) -> None:
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise BadFeedback(f"this is no JSON schema: {error.message}") from error
