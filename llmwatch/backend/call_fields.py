"""The fields of calls that Weave's filters, queries and sorts may name, as SQL over a table's view."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from llmwatch.backend.call_columns import COLUMN, END_EXTRAS, JSON, START_EXTRAS, WIRE
from llmwatch.backend.fields import Field, json_text, pointer, split
from llmwatch.backend.fragments import Fragment, any_of, one_of, sql, value

_TIMES = ("started_at", "ended_at")
OP_NAME = "split_part(regexp_replace(c.op_name, '^.*/', ''), ':', 1)"
"""The bare name of an op, whether `op_name` is a ref or already a name."""

COMPUTED = {
    "status": Field(
        Fragment(
            "CASE WHEN c.exception IS NOT NULL THEN 'error' WHEN c.ended_at IS NULL THEN 'running' "
            "WHEN coalesce(try_cast(json_extract_string(c.summary, '/status_counts/error') AS DOUBLE), 0) > 0 "
            "THEN 'descendant_error' ELSE 'success' END"
        )
    ),
    "latency_ms": Field(
        # whole milliseconds, and a call that ends before it starts floors as any other
        Fragment("floor((epoch_us(c.ended_at) - epoch_us(c.started_at)) / 1000.0)"),
        "double",
    ),
    "trace_name": Field(Fragment(f"coalesce(nullif(c.display_name, ''), {OP_NAME})")),
}
"""`summary.weave.*`: not stored, computed when read."""


class CallFields:
    """Finds call fields by path; expanded columns lead through refs."""

    def __init__(self, project_id: str, expanded: Collection[str] = ()) -> None:
        self._project_id = project_id
        self._expanded = expanded

    def find(self, path: str) -> Field:
        from weave.trace.errors import InvalidFieldError

        head, *keys = split(path)
        if head == "feedback" and keys:
            return self._feedback(keys[0], keys[1:])
        if head == "summary" and keys[:1] == ["weave"] and len(keys) == 2 and keys[1] in COMPUTED:
            return COMPUTED[keys[1]]
        if head in JSON:
            return Field(self._through_refs(head, keys))
        if path == "display_name":
            return Field(Fragment("nullif(c.display_name, '')"))
        if not keys and (field := self._column(head)) is not None:
            return field
        raise InvalidFieldError(f"calls have no field {path!r}")

    def _column(self, name: str) -> Field | None:
        if name in COLUMN:
            return Field(Fragment(f"c.{COLUMN[name]}"), "time" if name in _TIMES else "text")
        if name in START_EXTRAS:
            return Field(json_text("c.attributes", [WIRE, name]))
        if name in END_EXTRAS:
            return Field(json_text("c.summary", [WIRE, name]))
        others = {
            "project_id": Field(value(self._project_id)),
            "deleted_at": Field(Fragment("NULL::TIMESTAMPTZ"), "time"),
        }
        return others.get(name)

    def _through_refs(self, head: str, keys: list[str]) -> Fragment:
        """A value in a JSON column; where a prefix of the path is expanded, in the object it names."""
        base, begin = Fragment(f"c.{head}"), 0
        for end in range(1, len(keys)):
            if ".".join([head, *keys[:end]]) in self._expanded:
                step = keys[begin:end]
                base, begin = followed(json_text(base, step), json_value(base, step)), end
        return json_text(base, keys[begin:])

    def _feedback(self, type_: str, keys: list[str]) -> Field:
        named = type_.strip("[]")
        where = Fragment("f.row_id = c.id")
        if named != "*":
            where = sql("f.row_id = c.id AND {}", one_of("f.name", [named]))
        return Field(feedback_text(keys), among=sql("FROM feedback f WHERE {}", where))


def feedback_text(keys: list[str]) -> Fragment:
    """A part of one feedback event, under Weave's names."""
    columns = {"feedback_type": "f.name", "creator": "f.creator", "id": "f.id"}
    if keys[:1] == ["payload"]:
        return json_text("f.value", keys[1:])
    if len(keys) == 1 and keys[0] in columns:
        return Fragment(columns[keys[0]])
    return json_text("f.attributes", keys)


def followed(ref: Fragment, otherwise: Fragment) -> Fragment:
    """The value that a ref leads to, among those the query brings along as `resolved`."""
    return sql(
        "coalesce((SELECT any_value(r.val) FROM resolved r WHERE r.ref = {}), {})", ref, otherwise
    )


def json_value(column: Fragment | str, keys: list[str]) -> Fragment:
    """The value at a path as JSON (a string keeps its quotes), so that a path may go on from it."""
    return sql("CAST(json_extract({}, {}) AS VARCHAR)", column, value(pointer(keys)))


def filter_conditions(filter_: Mapping[str, Any] | None) -> list[Fragment]:
    """Weave's `filter`: AND across keys, OR inside one; None and [] are no constraint."""
    found = []
    for key, wanted in (filter_ or {}).items():
        if key in _EMPTY_MATCHES_NOTHING and wanted is not None:
            found.append(one_of(f"c.{COLUMN[key[:-1]]}", wanted))
        elif key in _FILTERS and wanted:
            found.append(_FILTERS[key](wanted))
    return found


_EMPTY_MATCHES_NOTHING = ("thread_ids", "turn_ids")


def _op_names(names: list[str]) -> Fragment:
    """An op by its ref, all its versions by `:*`; rows that have the bare name only count as any version."""
    conditions = []
    for name in names:
        bare = name.rpartition("/")[2].partition(":")[0]
        if name.endswith(":*"):
            prefix = sql("starts_with(c.op_name, {})", value(name[:-1]))
            conditions += [prefix, one_of("c.op_name", [bare])]
        else:
            conditions.append(one_of("c.op_name", [name]))
    return any_of(conditions)


def _refs_in(column: str) -> Callable[[list[str]], Fragment]:
    def conditions(refs: list[str]) -> Fragment:
        # a ref stands in the JSON text as a whole string; any version begins as one
        texts = [f'"{ref[:-1]}' if ref.endswith(":*") else f'"{ref}"' for ref in refs]
        return any_of(sql(f"contains(c.{column}, {{}})", value(text)) for text in texts)

    return conditions


def _among(column: str) -> Callable[[list[str]], Fragment]:
    return lambda wanted: one_of(column, wanted)


def _in_attributes(name: str) -> Callable[[list[str]], Fragment]:
    return lambda wanted: one_of(json_text("c.attributes", [WIRE, name]), wanted)


_FILTERS: dict[str, Callable[[Any], Fragment]] = {
    "op_names": _op_names,
    "input_refs": _refs_in("inputs"),
    "output_refs": _refs_in("output"),
    "parent_ids": _among("c.parent_id"),
    "trace_ids": _among("c.trace_id"),
    "call_ids": _among("c.id"),
    "trace_roots_only": lambda _: Fragment("c.parent_id IS NULL"),
    "wb_user_ids": _in_attributes("wb_user_id"),
    "wb_run_ids": _in_attributes("wb_run_id"),
}
