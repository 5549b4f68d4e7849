"""Objects by their kind (ops, datasets, scorers, evaluations, models), as the routes below `/v2` have them.

They are objects like any other: what is made here reads back by `ref().get()`, and what was published is listed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmwatch.backend.feedback_rules import invalid
from llmwatch.store import Project

if TYPE_CHECKING:
    from llmwatch.backend.files import Files
    from llmwatch.backend.objects import Objects
    from llmwatch.backend.tables import Tables

KINDS = ("op", "dataset", "scorer", "evaluation", "model")
_SOURCE = "obj.py"
_NO_CODE = "def func(*args, **kwargs):\n    ...  # this op was named without its code\n"
_NOT_ATTRIBUTES = ("_type", "_class_name", "_bases", "name", "description", "files")
Fields = dict[str, Any]


class Kinds:
    """The objects of a project by kind."""

    def __init__(self, project: Project, objects: Objects, tables: Tables, files: Files) -> None:
        self._project, self._objects, self._tables, self._files = project, objects, tables, files
        self._value_of: dict[str, Callable[[Mapping[str, Any]], Fields]] = {
            "op": self._op_value,
            "dataset": self._dataset_value,
            "scorer": self._scorer_value,
            "evaluation": self._evaluation_value,
            "model": self._model_value,
        }
        self._fields_of: dict[str, Callable[[Any, Fields], Fields]] = {
            "op": lambda val, _: {"code": self._source(val)},
            "dataset": lambda val, named: {**named, "rows": val.get("rows") or ""},
            "scorer": lambda val, named: {**named, "score_op": val.get("score") or ""},
            "evaluation": _evaluation_fields,
            "model": self._model_fields,
        }

    def create(self, kind: str, req: Mapping[str, Any]) -> Any:
        object_id = _object_id(req.get("name"), kind.capitalize())
        digest = self._publish(object_id, self._value_of[kind](req))
        ref = f"weave:///{self._project.id}/object/{object_id}:{digest}"
        refs = {"scorer": ref, "evaluation_ref": ref, "model_ref": ref}
        index = self._objects.version(object_id, digest).index
        made = {"digest": digest, "object_id": object_id, "version_index": index}
        return _answer(kind, "Create", {**made, **refs})

    def read(self, kind: str, req: Mapping[str, Any]) -> Any:
        found = self._objects.read(req).obj
        return _answer(kind, "Read", self._fields(kind, found))

    def listed(self, kind: str, req: Mapping[str, Any]) -> Iterator[Any]:
        only: Fields = (
            {"is_op": True}
            if kind == "op"
            else {
                "is_op": False,
                "base_object_classes": [kind.capitalize()],
            }
        )
        asked = {**req, "filter": {**only, "latest_only": True}}
        for found in self._objects.query(asked).objs:
            yield _answer(kind, "List", self._fields(kind, found))

    def delete(self, kind: str, req: Mapping[str, Any]) -> Any:
        deleted = self._objects.delete(req)
        return _answer(kind, "Delete", {"num_deleted": deleted.num_deleted})

    # --- values -------------------------------------------------------------------------

    def op_ref(self, name: str, source: str = _NO_CODE) -> str:
        """The ref of an op of this name, made when there is none."""
        digest = self._publish(name, self._op_value({"source_code": source}))
        return f"weave:///{self._project.id}/op/{name}:{digest}"

    def _publish(self, object_id: str, val: Fields) -> str:
        obj = {"project_id": self._project.id, "object_id": object_id, "val": val}
        return str(self._objects.create({"obj": obj}).digest)

    def _op_value(self, req: Mapping[str, Any]) -> Fields:
        source = self._file(req.get("source_code") or _NO_CODE)
        return {"_type": "CustomWeaveType", "weave_type": {"type": "Op"}, "files": source}

    def _dataset_value(self, req: Mapping[str, Any]) -> Fields:
        table = self._tables.create({"table": {"rows": list(req["rows"])}})
        rows = f"weave:///{self._project.id}/table/{table.digest}"
        return {**_object("Dataset", req), "name": req.get("name") or "Dataset", "rows": rows}

    def _scorer_value(self, req: Mapping[str, Any]) -> Fields:
        name = _object_id(req.get("name"), "Scorer")
        ops = {
            "score": self.op_ref(f"{name}_score", req["op_source_code"]),
            "summarize": self.op_ref(f"{name}_summarize"),
        }
        return {**_object("Scorer", req), **ops, "column_map": None}

    def _evaluation_value(self, req: Mapping[str, Any]) -> Fields:
        ops = {name: self.op_ref(f"Evaluation.{name}") for name in _EVALUATION_OPS}
        return {
            **_object("Evaluation", req),
            "dataset": req["dataset"],
            "scorers": list(req.get("scorers") or []),
            "trials": req.get("trials") or 1,
            "evaluation_name": req.get("evaluation_name"),
            "metadata": None,
            "preprocess_model_input": None,
            **ops,
            **(req.get("eval_attributes") or {}),
        }

    def _model_value(self, req: Mapping[str, Any]) -> Fields:
        return {
            **_object("Model", req),
            "files": self._file(req["source_code"]),
            **(req.get("attributes") or {}),
        }

    def _file(self, source: str) -> Fields:
        made = self._files.create({"file": (_SOURCE, source.encode("utf-8", "surrogatepass"))})
        return {_SOURCE: made.digest}

    # --- what is told of them -----------------------------------------------------------

    def _fields(self, kind: str, found: Any) -> Fields:
        val = found.val if isinstance(found.val, dict) else {}
        named = {"name": val.get("name") or found.object_id, "description": val.get("description")}
        common = ("object_id", "digest", "version_index", "created_at")
        return {
            **{name: getattr(found, name) for name in common},
            **self._fields_of[kind](val, named),
        }

    def _model_fields(self, val: Fields, named: Fields) -> Fields:
        attributes = {k: v for k, v in val.items() if k not in _NOT_ATTRIBUTES}
        return {**named, "source_code": self._source(val), "attributes": attributes or None}

    def _source(self, val: Fields) -> str:
        """The code of an op or model; none of one that was published without."""
        from weave.trace.errors import NotFoundError

        digest = (val.get("files") or {}).get(_SOURCE)
        with suppress(NotFoundError):
            if isinstance(digest, str):
                asked = {"project_id": self._project.id, "digest": digest}
                content: bytes = self._files.content_read(asked).content
                return content.decode("utf-8", "replace")
        return ""


_EVALUATION_OPS = ("evaluate", "predict_and_score", "summarize")


def _evaluation_fields(val: Fields, named: Fields) -> Fields:
    ops = {f"{name}_op": val.get(name) for name in _EVALUATION_OPS}
    scorers = [each for each in val.get("scorers") or [] if isinstance(each, str)]
    return {
        **named,
        **ops,
        "dataset": val.get("dataset") or "",
        "scorers": scorers,
        "trials": val.get("trials") or 1,
        "evaluation_name": val.get("evaluation_name"),
    }


def _object(class_name: str, req: Mapping[str, Any]) -> Fields:
    return {
        "_type": class_name,
        "_class_name": class_name,
        "_bases": ["Object", "BaseModel"],
        "name": req.get("name"),
        "description": req.get("description"),
    }


def _object_id(name: str | None, otherwise: str) -> str:
    """The id that Weave gives an object of this name."""
    if name is None:
        return otherwise
    found = re.sub(r"[^\w.-]", "", name.replace(" ", "_").replace("/", "_")).lower()
    if not found:
        raise invalid(f"{name!r} cannot name an object: it has no letter or digit")
    return found


def _answer(kind: str, what: str, fields: Fields) -> Any:
    from weave.vendor.weave_server_sdk import types

    return getattr(types, f"V2{kind.capitalize()}{what}Response")(**fields)
