"""How a Weave call stands in the store's columns, and back: the one place that says so.

| call field | column |
|---|---|
| id trace_id parent_id op_name display_name turn_id exception | the same |
| thread_id | session_id |
| user_id (of an OpenTelemetry span, else as an attribute), version (as an attribute) | the same |
| started_at ended_at | the same, in microseconds |
| inputs output attributes summary | the same, as JSON |
| wb_user_id wb_run_id wb_run_step otel_dump | `attributes`, under the key `llmwatch.wire` |
| wb_run_step_end | `summary`, under the same key: it comes with the end, which must not replace attributes |

A removed display name is `""`. What else a row has (status, latency, kind, model, tokens, prompt and
output sizes) is derived from these when the call is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmwatch.backend import wire

WIRE = "llmwatch.wire"
START_EXTRAS = ("wb_user_id", "wb_run_id", "wb_run_step", "otel_dump")
END_EXTRAS = ("wb_run_step_end",)
COLUMN = {
    "id": "id",
    "trace_id": "trace_id",
    "parent_id": "parent_id",
    "op_name": "op_name",
    "display_name": "display_name",
    "thread_id": "session_id",
    "turn_id": "turn_id",
    "exception": "exception",
    "started_at": "started_at",
    "ended_at": "ended_at",
    "inputs": "inputs",
    "output": "output",
    "attributes": "attributes",
    "summary": "summary",
}
"""The column of each call field that has one of its own."""
JSON = ("inputs", "output", "attributes", "summary")
_OUR_KINDS = {"llm": "generation", "search": "retrieval"}
_TOKENS = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "completion_tokens": ("completion_tokens", "output_tokens"),
}


def start_columns(start: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a call's beginning fills."""
    attributes = dict(start.get("attributes") or {})
    said = attributes.get("weave")
    kind = said.get("kind") if isinstance(said, Mapping) else None
    return wire.without_unknown(
        {
            "id": start["id"],
            "trace_id": start.get("trace_id") or start["id"],
            "parent_id": start.get("parent_id"),
            "op_name": start["op_name"],
            "display_name": start.get("display_name"),
            "kind": _OUR_KINDS.get(str(kind), kind),
            "model": _model_asked(start.get("inputs")) if kind == "llm" else None,
            "session_id": start.get("thread_id"),
            "user_id": start.get("user_id") or _text(attributes.get("user_id")),
            "version": _text(attributes.get("version")),
            "turn_id": start.get("turn_id"),
            "started_at": wire.microseconds(start["started_at"]),
            "inputs": start.get("inputs"),
            "attributes": _with_extras(attributes, start, START_EXTRAS),
        }
    )


def end_columns(end: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a call's end fills."""
    summary = end.get("summary") or {}
    return wire.without_unknown(
        {
            "id": end["id"],
            "ended_at": wire.microseconds(end["ended_at"]),
            "status": "error" if end.get("exception") else "success",
            "latency_ms": _latency_ms(end),
            "ttft_ms": _ttft_ms(end),
            "exception": end.get("exception"),
            "exception_type": _exception_type(end.get("exception")),
            "output": end.get("output"),
            "summary": _with_extras(summary, end, END_EXTRAS),
            **_usage_columns(summary),
        }
    )


def _with_extras(
    fields: Mapping[str, Any], call: Mapping[str, Any], names: tuple[str, ...]
) -> dict[str, Any]:
    extras = {name: call[name] for name in names if call.get(name) is not None}
    return {**fields, WIRE: extras} if extras else dict(fields)


def _text(said: Any) -> str | None:
    """What `llmwatch.context` and `weave.attributes` say of who and which, where it is a name."""
    return said if isinstance(said, str) and said else None


def _latency_ms(end: Mapping[str, Any]) -> float | None:
    started, ended = wire.microseconds(end.get("started_at")), wire.microseconds(end["ended_at"])
    return None if started is None or ended is None else (ended - started) / 1000


def _model_asked(inputs: Any) -> str | None:
    """The model that a call of a provider's client asks for: all that a failed one, or a stream without
    usage, says of it. The end replaces it with the one that answered."""
    model = inputs.get("model") if isinstance(inputs, Mapping) else None
    return model if isinstance(model, str) else None


def _ttft_ms(end: Mapping[str, Any]) -> float | None:
    """Weave's integrations put it into the output of a stream, in seconds since before the call began:
    an op's first call, which is published in between, can have it longer than its latency."""
    output = end.get("output")
    seconds = output.get("time_to_first_token") if isinstance(output, Mapping) else None
    if not isinstance(seconds, float):
        return None
    latency = _latency_ms(end)
    return seconds * 1000 if latency is None else min(seconds * 1000, latency)


def _exception_type(exception: str | None) -> str | None:
    """Weave sends an exception as JSON text that names its type."""
    if not exception or not exception.startswith("{"):
        return None
    try:
        said = wire.loads(exception)
    except ValueError:
        return None
    return said.get("type") if isinstance(said, dict) else None


def _usage_columns(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Model and tokens of a call that used one model itself.

    A parent's summary holds the sums of its children, which must not be counted twice; its status
    counts tell it from a call without children.
    """
    usage = summary.get("usage") or {}
    if len(usage) != 1 or sum((summary.get("status_counts") or {}).values()) > 1:
        return {}
    [(model, counts)] = usage.items()
    if not isinstance(counts, Mapping):
        return {"model": model}
    tokens = {
        column: next((counts[key] for key in keys if isinstance(counts.get(key), int)), None)
        for column, keys in _TOKENS.items()
    }
    return {"model": model, **tokens}
