"""A row of the store as a complete call of Weave's, as W&B takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from llmwatch.backend import wire
from llmwatch.backend.call_columns import END_EXTRAS, START_EXTRAS, WIRE

OWN = "llmwatch"
"""The key of attributes under which a call says what llmwatch knows and Weave has no field for."""
_KINDS = {"generation": "llm", "retrieval": "search"}
_ABOUT = ("kind", "status", "model", "version", "user_id", "ttft_ms", "cost_usd", "exception_type")
_USAGE = ("prompt_tokens", "completion_tokens")

Carry = Callable[[Any], Any]
"""Makes a value ready to travel: refs point to W&B, media are files there."""


def name_of_table(table: str) -> str:
    """The op name under which rows of a StreamTable stand."""
    return f"StreamTable/{table}"


def is_call(row: Mapping[str, Any]) -> bool:
    """Whether a row is a traced call, rather than a dict that was logged."""
    return row.get("started_at") is not None


def call_of(
    row: Mapping[str, Any],
    table: str,
    project_id: str,
    carry: Carry,
    sampled: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The call that stands for a row; `sampled` is its weight and why it was kept, when rows are sampled."""
    made = _traced(row, carry) if is_call(row) else _logged(row, table, carry)
    about = {"table": table, **made["attributes"].get(OWN, {}), **_about(row)}
    if sampled is not None:
        about["sampling"] = dict(sampled)
    made["attributes"] = {**made["attributes"], OWN: about}
    return {**made, "project_id": project_id}


def _logged(row: Mapping[str, Any], table: str, carry: Carry) -> dict[str, Any]:
    at = _iso(row["ts"])
    return {
        "id": row["id"],
        "trace_id": row["id"],
        "op_name": name_of_table(table),
        "started_at": at,
        "ended_at": at,
        "attributes": {},
        "inputs": _mapping(carry(_parsed(row.get("data")))),
        "output": None,
        "summary": {},
    }


def _traced(row: Mapping[str, Any], carry: Carry) -> dict[str, Any]:
    attributes = _mapping(_parsed(row.get("attributes")))
    summary = _mapping(_parsed(row.get("summary")))
    extras = {**_mapping(attributes.pop(WIRE, None)), **_mapping(summary.pop(WIRE, None))}
    if (data := _parsed(row.get("data"))) is not None:
        attributes["logged"] = data
    call = {
        "id": row["id"],
        "trace_id": row.get("trace_id") or row["id"],
        "parent_id": row.get("parent_id"),
        "op_name": carry(row.get("op_name") or name_of_table("unnamed")),
        "display_name": row.get("display_name") or None,
        "thread_id": row.get("session_id"),
        "turn_id": row.get("turn_id"),
        "started_at": _iso(row["started_at"]),
        "ended_at": _iso(row.get("ended_at") or row["started_at"]),
        "exception": row.get("exception"),
        "attributes": _mapping(carry(_with_kind(attributes, row.get("kind")))),
        "inputs": _mapping(carry(_parsed(row.get("inputs")))),
        "output": carry(_parsed(row.get("output"))),
        "summary": _with_usage(summary, row),
    }
    # wb_user_id is the account's, which the server knows better
    known = {name: extras[name] for name in (*START_EXTRAS, *END_EXTRAS) if name in extras}
    known.pop("wb_user_id", None)
    return {**call, **known}


def _with_kind(attributes: dict[str, Any], kind: Any) -> dict[str, Any]:
    """Weave's name of our kind, where the call does not say one itself."""
    of_weave = _mapping(attributes.get("weave"))
    if kind and "kind" not in of_weave:
        of_weave = {**of_weave, "kind": _KINDS.get(kind, kind)}
    return {**attributes, "weave": of_weave} if of_weave else attributes


def _with_usage(summary: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The summary, with the tokens that were counted here where the call reported none."""
    summary.pop("weave", None)  # W&B computes it
    counts = {name: row[name] for name in _USAGE if row.get(name) is not None}
    if counts and row.get("model") and not summary.get("usage"):
        summary["usage"] = {row["model"]: {"requests": 1, **counts}}
    if not summary.get("status_counts"):
        failed = row.get("status") == "error"
        summary["status_counts"] = {"success": int(not failed), "error": int(failed)}
    return summary


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _ABOUT if row.get(name) is not None} if is_call(row) else {}


def _parsed(value: Any) -> Any:
    return wire.loads(value) if isinstance(value, (str, bytes)) else value


def _mapping(value: Any) -> dict[str, Any]:
    """Weave has dicts there; another value stands under `value`."""
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"value": value}


def _iso(moment: Any) -> str:
    if isinstance(moment, (int, float)):
        moment = wire.from_microseconds(int(moment))
    assert isinstance(moment, datetime)
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
