"""Rows of the store as Weave calls: the columns asked for, and the summary that is computed on reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from llmwatch.backend import wire
from llmwatch.backend.call_columns import COLUMN, END_EXTRAS, JSON, START_EXTRAS, WIRE

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types.call_read_response import Call

ALWAYS = ("id", "trace_id", "op_name", "started_at")
_FOR_SUMMARY = ("ended_at", "exception", "display_name")
_IN_ATTRIBUTES = {"attributes", *START_EXTRAS}
_IN_SUMMARY = {"summary", *END_EXTRAS}


class Shape:
    """Which parts of a call an answer has."""

    def __init__(self, req: Mapping[str, Any]) -> None:
        asked = {column.split(".")[0] for column in req.get("columns") or []}
        everything = {*COLUMN, *START_EXTRAS, *END_EXTRAS, "deleted_at", "wb_username"}
        self.parts = asked | set(ALWAYS) if asked else everything
        self._sizes = bool(req.get("include_storage_size"))
        if any(req.get(f"include_{what}") for what in ("costs", "feedback")):
            self.parts = self.parts | {"summary"}
        self._read = [name for name in COLUMN if name in self._needed()]

    def _needed(self) -> set[str]:
        needed = self.parts | (set(_FOR_SUMMARY) if self.parts & _IN_SUMMARY else set())
        if self.parts & _IN_ATTRIBUTES:
            needed |= {"attributes"}
        if self.parts & _IN_SUMMARY:
            needed |= {"summary"}
        return needed | (set(JSON) if self._sizes else set())

    @property
    def columns(self) -> str:
        """The select list that `values` reads."""
        # a dict logged to the same table is no call, but has a time
        begun = "coalesce(c.started_at, c.ts)"
        return ", ".join(begun if n == "started_at" else f"c.{COLUMN[n]}" for n in self._read)

    def values(self, project_id: str, row: Sequence[Any]) -> dict[str, Any]:
        """The fields of a call, JSON parsed, with the computed part of its summary."""
        raw = dict(zip(self._read, row, strict=True))
        call = {name: _parsed(name, text) for name, text in raw.items()}
        call["display_name"] = call.get("display_name") or None
        call.update((call.get("attributes") or {}).pop(WIRE, {}))
        call.update((call.get("summary") or {}).pop(WIRE, {}))
        if "summary" in self.parts:
            call["summary"] = with_computed(call)
        if self._sizes:
            call["storage_size_bytes"] = sum(len((raw[name] or "").encode()) for name in JSON)
        kept = self.parts | {"storage_size_bytes"}
        return {name: value for name, value in call.items() if name in kept} | {
            "project_id": project_id
        }


def _parsed(name: str, text: Any) -> Any:
    return wire.loads(text) if name in JSON and text is not None else text


def as_call(values: dict[str, Any]) -> Call:
    from weave.vendor.weave_server_sdk.types.call_read_response import Call

    return Call(**values)


def complete(values: dict[str, Any]) -> dict[str, Any]:
    """With every field that a call has to have; inputs and attributes are {} where they were not selected."""
    values["inputs"] = _mapping(values.get("inputs"))
    values["attributes"] = _mapping(values.get("attributes"))
    values["trace_id"] = values.get("trace_id") or values["id"]
    values["op_name"] = values.get("op_name") or ""
    return values


def _mapping(value: Any) -> dict[str, Any]:
    """Weave's calls hold dicts there; a row recorded otherwise keeps its value under `value`."""
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"value": value}


def with_computed(call: Mapping[str, Any]) -> dict[str, Any]:
    """The stored summary with `weave`: status, latency and trace name, as Weave's server computes them."""
    summary = _mapping(call.get("summary"))
    ended, started = call.get("ended_at"), call.get("started_at")
    computed: dict[str, Any] = {
        "status": status(call, summary),
        "trace_name": call.get("display_name") or op_name(call.get("op_name") or ""),
    }
    if ended is not None and started is not None:
        computed["latency_ms"] = (ended - started) // timedelta(milliseconds=1)
    return {**summary, "weave": {**_mapping(summary.get("weave")), **computed}}


def status(call: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    if call.get("exception") is not None:
        return "error"
    if call.get("ended_at") is None:
        return "running"
    errors = _mapping(summary.get("status_counts")).get("error", 0)
    return "descendant_error" if isinstance(errors, (int, float)) and errors > 0 else "success"


def op_name(name: str) -> str:
    """The bare name of an op, whether given as a ref or already a name."""
    return name.rpartition("/")[2].partition(":")[0] if name.startswith("weave") else name


def expand(call: dict[str, Any], columns: Sequence[str], read: Callable[[str], Any]) -> None:
    """Put the objects in place of refs at `columns`, shallowest first; `_ref` keeps the ref."""
    for column in sorted(columns, key=lambda each: each.count(".")):
        *path, last = column.split(".")
        parent: Any = call
        for key in path:
            parent = parent.get(key) if isinstance(parent, dict) else None
        if not isinstance(parent, dict):
            continue
        ref = parent.get(last)
        if isinstance(ref, str) and ref.startswith("weave:///"):
            parent[last] = _with_ref(read(ref), ref)


def _with_ref(value: Any, ref: str) -> Any:
    if value is None:
        return ref
    return {**value, "_ref": ref} if isinstance(value, dict) else {"_val": value, "_ref": ref}
