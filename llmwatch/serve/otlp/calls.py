"""Spans as calls, and where they go: one row a span, under the span's id, however often it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.backend import wire
from llmwatch.serve.otlp.conventions import Meaning, meaning
from llmwatch.serve.otlp.spans import Span

if TYPE_CHECKING:
    from llmwatch.backend.server import LocalTraceServer

_PROJECT = ("wandb.entity", "wandb.project")
_ASK_MODELS = (None, "llm", "embedding", "reranker")
"""Kinds whose tokens are their own. An agent's or chain's are the sum of the calls below it, and would count twice."""
_TRUE = (True, "true", "True", 1)


class SpanCalls:
    """Records spans in the projects that they name, else in the project that is asked for."""

    def __init__(self, server: LocalTraceServer, entity: str, project: str) -> None:
        self._server, self._entity, self._project = server, entity, project

    def record(self, spans: Sequence[Span], project_id: str | None = None) -> int:
        """How many spans could not be rows, for want of an id or a time."""
        whole = [span for span in spans if span.is_whole]
        batch = [
            {**as_call(span), "project_id": self._project_of(span, project_id)} for span in whole
        ]
        if batch:
            self._server.calls_complete({"batch": batch})
        return len(spans) - len(whole)

    def _project_of(self, span: Span, asked: str | None) -> str:
        entity, name = (span.resource.get(key) for key in _PROJECT)
        if name:
            return f"{entity or self._entity}/{name}"
        if asked:
            return asked if "/" in asked else f"{self._entity}/{asked}"
        return f"{self._entity}/{self._project}"


def as_call(span: Span) -> dict[str, Any]:
    """A span as a complete call."""
    found = meaning(span)
    is_turn = span.attributes.get("wandb.is_turn") in _TRUE
    return {
        "id": span.span_id,
        "trace_id": span.trace_id,
        "parent_id": span.parent_id,
        "op_name": span.name or "span",
        "display_name": span.attributes.get("wandb.display_name"),
        "thread_id": found.session_id,
        "turn_id": span.span_id if is_turn and found.session_id else None,
        "user_id": found.user_id,
        "started_at": wire.from_microseconds(span.start_us),
        "ended_at": wire.from_microseconds(max(span.end_us, span.start_us)),
        "exception": _exception(span),
        "inputs": found.inputs,
        "output": found.output,
        "attributes": _attributes(span, found),
        "summary": _summary(span, found),
    }


def _exception(span: Span) -> str | None:
    """As Weave writes exceptions: JSON that names the type. The last one is what ended the span."""
    raised = next((e.attributes for e in reversed(span.events) if e.name == "exception"), None)
    if not span.is_error and (raised is None or raised.get("exception.escaped") not in _TRUE):
        return None  # what was caught is an event of the span
    raised = raised or {}
    said = {
        "type": raised.get("exception.type") or span.attributes.get("error.type") or "Error",
        "message": raised.get("exception.message") or span.message or "the span says no more",
        "traceback": raised.get("exception.stacktrace"),
    }
    return json.dumps(wire.without_unknown(said), default=str)


def _attributes(span: Span, found: Meaning) -> dict[str, Any]:
    """What the span says beside what its call was given and gave."""
    kept = {name: value for name, value in span.attributes.items() if name not in found.used}
    otel: dict[str, Any] = {
        "kind": span.kind,
        "scope": span.scope or None,
        "resource": span.resource or None,
        "attributes": kept or None,
        "links": span.links or None,
        "events": [_event(event) for event in span.events] or None,
    }
    weave = {"kind": found.kind} if found.kind is not None else {}
    return {"otel": wire.without_unknown(otel), **({"weave": weave} if weave else {})}


def _event(event: Any) -> dict[str, Any]:
    at = wire.from_microseconds(event.us).isoformat()
    return {
        "name": event.name,
        "at": at,
        **({"attributes": event.attributes} if event.attributes else {}),
    }


def _summary(span: Span, found: Meaning) -> dict[str, Any]:
    failed = _exception(span) is not None
    counts: Mapping[str, int] = {"success": int(not failed), "error": int(failed)}
    if found.model is None or not found.usage or found.kind not in _ASK_MODELS:
        return {"status_counts": counts}
    return {"usage": {found.model: {"requests": 1, **found.usage}}, "status_counts": counts}
