"""Evaluation runs, predictions and scores, as the routes below `/v2` have them: calls, like those of `Evaluation`.

A run is a call of `Evaluation.evaluate`; each prediction in it a call of `Evaluation.predict_and_score` with the
model's and the scorers' calls below it. `attributes.weave` says which is which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.backend import wire
from llmwatch.backend.call_answers import op_name
from llmwatch.backend.feedback_rules import RUNNABLE, invalid

if TYPE_CHECKING:
    from llmwatch.backend.calls import Calls
    from llmwatch.backend.feedback import Feedback
    from llmwatch.backend.kinds import Kinds
    from llmwatch.store import Project

KINDS = ("evaluation_run", "prediction", "score")
_RUN, _ROW = "Evaluation.evaluate", "Evaluation.predict_and_score"
Fields = dict[str, Any]


class EvaluationRuns:
    """The evaluation runs of a project."""

    def __init__(self, project: Project, calls: Calls, kinds: Kinds, feedback: Feedback) -> None:
        self._project, self._calls, self._kinds, self._feedback = project, calls, kinds, feedback

    # --- making -------------------------------------------------------------------------

    def create(self, kind: str, req: Mapping[str, Any]) -> Any:
        made = {
            "evaluation_run": self._create_run,
            "prediction": self._create_prediction,
            "score": self._create_score,
        }[kind](req)
        return _answer(kind, "Create", {f"{kind}_id": made})

    def _create_run(self, req: Mapping[str, Any]) -> str:
        said = {
            "evaluation": req["evaluation"],
            "model": req["model"],
            "source_evaluation_run_id": req.get("source_evaluation_run_id"),
        }
        inputs = {"self": req["evaluation"], "model": req["model"]}
        return self._start(_RUN, "evaluation_run", said, inputs)

    def _create_prediction(self, req: Mapping[str, Any]) -> str:
        run_id = req.get("evaluation_run_id")
        said = {
            "model": req["model"],
            "evaluation_run_id": run_id,
            "genai_span_ref": req.get("genai_span_ref"),
        }
        inputs = {"self": req["model"], "inputs": dict(req["inputs"])}
        below: Fields = {}
        if run_id is not None:
            run = self._read(run_id, "evaluation run")
            example = {
                "self": run["inputs"].get("self"),
                "model": req["model"],
                "example": inputs["inputs"],
            }
            row_id = self._start(
                _ROW, "predict_and_score", {}, example, parent_id=run_id, trace_id=run_id
            )
            below = {"parent_id": row_id, "trace_id": run_id}
        name = f"{_name(req['model'], 'Model')}.predict"
        made = self._start(name, "prediction", said, inputs, **below)
        self._end(made, req.get("output"))
        return made

    def _create_score(self, req: Mapping[str, Any]) -> str:
        prediction = self._read(req["prediction_id"], "prediction")
        run_id, scorer = req.get("evaluation_run_id"), req["scorer"]
        name = _name(scorer, None)
        said = {"scorer": scorer, "prediction_id": prediction["id"], "evaluation_run_id": run_id}
        given = {"self": scorer, "inputs": _inputs(prediction), "output": prediction["output"]}
        below: Fields = {}
        if run_id is not None:
            below = {"parent_id": prediction["parent_id"] or run_id, "trace_id": run_id}
        made = self._start(f"{name}.score", "score", said, given, **below)
        self._end(made, req.get("value"))
        feedback = {
            "weave_ref": f"weave:///{self._project.id}/call/{prediction['id']}",
            "feedback_type": f"{RUNNABLE}{name}",
            "payload": {"output": req.get("value")},
            "runnable_ref": scorer,
            "call_ref": f"weave:///{self._project.id}/call/{made}",
        }
        self._feedback.create(feedback)
        return made

    def finish(self, kind: str, req: Mapping[str, Any]) -> Any:
        if kind == "evaluation_run":
            self._finish_run(req["evaluation_run_id"], req.get("summary") or {})
        else:
            self._finish_prediction(req["prediction_id"])
        return _answer(kind, "Finish", {"success": True})

    def _finish_run(self, run_id: str, summary: Mapping[str, Any]) -> None:
        """Ends the run with the means of what its scorers said in numbers."""
        run = self._read(run_id, "evaluation run")
        outputs = [row["output"] for row in self._below(run_id, "predict_and_score")]
        scores: dict[str, list[float]] = {}
        for output in outputs:
            for name, value in {**((output or {}).get("scores") or {})}.items():
                if isinstance(value, (int, float)):
                    scores.setdefault(name, []).append(float(value))
        means = {name: {"mean": sum(each) / len(each)} for name, each in scores.items()}
        inside = {"parent_id": run_id, "trace_id": run_id}
        made = self._start(
            "Evaluation.summarize", "summarize", {}, {"self": run["inputs"].get("self")}, **inside
        )
        self._end(made, means)
        self._end(run_id, means, dict(summary))

    def _finish_prediction(self, prediction_id: str) -> None:
        """Ends the row that the prediction is of, with its output and its scores."""
        prediction = self._read(prediction_id, "prediction")
        row = self._calls.find(prediction["parent_id"]) if prediction["parent_id"] else None
        if row is None or op_name(row.op_name) != _ROW:
            return
        found = self._below(row.id, "score")
        scores = {_name(_said(each).get("scorer"), "unknown"): each["output"] for each in found}
        took = prediction["ended_at"] - prediction["started_at"]
        latency = {"mean": took.total_seconds()}
        output = {"output": prediction["output"], "scores": scores, "model_latency": latency}
        self._end(row.id, output)

    # --- reading ------------------------------------------------------------------------

    def read(self, kind: str, req: Mapping[str, Any]) -> Any:
        call = self._read(req[f"{kind}_id"], kind.replace("_", " "))
        return _answer(kind, "Read", _FIELDS[kind](call))

    def listed(self, kind: str, req: Mapping[str, Any]) -> Iterator[Any]:
        req = {**req, **(req.get("filter") or {})}
        wanted = [_is("weave." + kind, "true")]
        if req.get("evaluation_run_id"):
            wanted.append(_is("weave.evaluation_run_id", req["evaluation_run_id"]))
        for key, path in (("evaluations", "weave.evaluation"), ("models", "weave.model")):
            if req.get(key):
                wanted.append({"$or": [_is(path, each) for each in req[key]]})
        asked = {
            "project_id": self._project.id,
            "query": {"$expr": {"$and": wanted}},
            "filter": {"call_ids": req.get("evaluation_run_ids")},
            "limit": req.get("limit"),
            "offset": req.get("offset"),
        }
        for call in self._calls.values(asked):
            yield _answer(kind, "List", _FIELDS[kind](call))

    def delete(self, kind: str, req: Mapping[str, Any]) -> Any:
        ids = list(req[f"{kind}_ids"])
        self._calls.delete({"call_ids": ids})
        return _answer(kind, "Delete", {"num_deleted": len(ids)})

    def _read(self, call_id: str, what: str) -> Fields:
        from weave.trace.errors import NotFoundError

        asked = {"project_id": self._project.id, "filter": {"call_ids": [call_id]}}
        call = next(self._calls.values(asked), None)
        if call is None:
            raise NotFoundError(f"{what} {call_id} is not in {self._project.id}")
        return call

    def _below(self, call_id: str, kind: str) -> list[Fields]:
        asked = {
            "project_id": self._project.id,
            "filter": {"parent_ids": [call_id]},
            "query": {"$expr": _is(f"weave.{kind}", "true")},
        }
        return list(self._calls.values(asked))

    # --- calls --------------------------------------------------------------------------

    def _start(self, op: str, kind: str, said: Fields, inputs: Fields, **below: str) -> str:
        call_id = clock.new_id()
        start = {
            "id": call_id,
            "trace_id": call_id,
            "op_name": self._kinds.op_ref(op),
            "started_at": wire.from_microseconds(clock.now_us()),
            "attributes": {"weave": {kind: "true", **wire.without_unknown(said)}},
            "inputs": inputs,
            **below,
        }
        self._calls.start(start)
        return call_id

    def _end(self, call_id: str, output: Any, summary: Fields | None = None) -> None:
        at = wire.from_microseconds(clock.now_us())
        self._calls.end({"id": call_id, "ended_at": at, "output": output, "summary": summary or {}})


def _is(attribute: str, wanted: str) -> Fields:
    return {"$eq": [{"$getField": f"attributes.{attribute}"}, {"$literal": wanted}]}


def _said(call: Mapping[str, Any]) -> Fields:
    said = call["attributes"].get("weave")
    return said if isinstance(said, dict) else {}


def _inputs(prediction: Mapping[str, Any]) -> Fields:
    inputs = prediction["inputs"].get("inputs", prediction["inputs"])
    return inputs if isinstance(inputs, dict) else {}


def _name(ref: Any, otherwise: str | None) -> str:
    """The name of the object at a ref."""
    from weave.trace.refs import ObjectRef, Ref

    parsed = Ref.maybe_parse_uri(ref) if isinstance(ref, str) else None
    if isinstance(parsed, ObjectRef):
        return str(parsed.name)
    if otherwise is None:
        raise invalid(f"{ref!r} is not the ref of an object")
    return otherwise


def _run_fields(call: Mapping[str, Any]) -> Fields:
    said, inputs = _said(call), call["inputs"]
    return {
        "evaluation_run_id": call["id"],
        "evaluation": str(said.get("evaluation") or inputs.get("self") or ""),
        "model": str(said.get("model") or inputs.get("model") or ""),
        "source_evaluation_run_id": said.get("source_evaluation_run_id"),
        "status": call["summary"]["weave"]["status"],
        "started_at": call["started_at"],
        "finished_at": call["ended_at"],
        "summary": call["summary"],
    }


def _prediction_fields(call: Mapping[str, Any]) -> Fields:
    return {
        "prediction_id": call["id"],
        "model": str(_said(call).get("model") or ""),
        "inputs": _inputs(call),
        "output": call["output"],
        "evaluation_run_id": _said(call).get("evaluation_run_id"),
        "wb_user_id": call.get("wb_user_id"),
    }


def _score_fields(call: Mapping[str, Any]) -> Fields:
    return {
        "score_id": call["id"],
        "scorer": str(_said(call).get("scorer") or ""),
        "value": call["output"],
        "evaluation_run_id": _said(call).get("evaluation_run_id"),
        "wb_user_id": call.get("wb_user_id"),
    }


_FIELDS = {
    "evaluation_run": _run_fields,
    "prediction": _prediction_fields,
    "score": _score_fields,
}


def _answer(kind: str, what: str, fields: Fields) -> Any:
    from weave.vendor.weave_server_sdk import types

    name = "".join(word.capitalize() for word in kind.split("_"))
    return getattr(types, f"V2{name}{what}Response")(**fields)
