"""Statistics of feedback over time: of numbers and truth values in payloads, and of scorers' tags and ratings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.backend import aggregates, wire
from llmwatch.backend.feedback_rules import invalid
from llmwatch.backend.fields import as_number, json_text
from llmwatch.backend.fragments import Fragment, all_of, any_of, joined, one_of, sql, value
from llmwatch.backend.windows import Window, window
from llmwatch.store import EVENTS

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import (
        FeedbackAggregateResponse,
        FeedbackPayloadSchemaResponse,
        FeedbackStatsResponse,
    )

    from llmwatch.stream.query import Reader

RATING = "_rating_"
MOST_SAMPLED = 5000
_DEFAULTS = {"boolean": ("count_true", "count_false"), "numeric": ("avg", "min", "max")}
_PLAIN_PATH = re.compile(r"\w+(\.\w+)*")
_SCORER = (
    "regexp_extract(json_extract_string(f.attributes, '/runnable_ref'), '([^/:]+):[^/:]*$', 1)"
)
_GROUPS = {
    "scorer_id": f"coalesce({_SCORER}, '')",
    "span_agent_name": "coalesce(json_extract_string(f.attributes, '/span_agent_name'), '')",
    "span_agent_version": "coalesce(json_extract_string(f.attributes, '/span_agent_version'), '')",
    "span_status_code": "coalesce(json_extract_string(f.attributes, '/span_status_code'), 'UNSET')",
}


class FeedbackStats:
    """The statistics of a project's feedback."""

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader

    # --- payloads over time -------------------------------------------------------------

    def stats(self, req: Mapping[str, Any]) -> FeedbackStatsResponse:
        from weave.vendor.weave_server_sdk.types import FeedbackStatsResponse

        asked, metrics = window(req), list(req.get("metrics") or [])
        if not metrics:
            return FeedbackStatsResponse(**asked.fields(), buckets=[])
        columns = {
            (name, _slug(spec)): fragment
            for spec in metrics
            for name, fragment in aggregates.of(spec, *_number(spec)).items()
        }
        return FeedbackStatsResponse(
            **asked.fields(),
            buckets=self._buckets(req, asked, columns),
            window_stats=self._in_all(req, asked, columns),
        )

    def _buckets(
        self, req: Mapping[str, Any], asked: Window, columns: Mapping[tuple[str, str], Fragment]
    ) -> list[dict[str, Any]]:
        rows = self._grouped(req, asked, asked.bucket("f.ts"), columns)
        by_number = {int(row[0]): row[1:] for row in rows}
        nothing = (0, *(_empty(name) for name, _ in columns))
        return [
            {"timestamp": asked.begins(number).isoformat(), "count": values[0]}
            | {f"{n}_{s}": v for (n, s), v in zip(columns, values[1:], strict=True)}
            for number in asked.numbers()
            for values in (by_number.get(number, nothing),)
        ]

    def _in_all(
        self, req: Mapping[str, Any], asked: Window, columns: Mapping[tuple[str, str], Fragment]
    ) -> dict[str, dict[str, Any]]:
        rows = self._grouped(req, asked, Fragment("0"), columns)
        values = rows[0][2:] if rows else [_empty(name) for name, _ in columns]
        found: dict[str, dict[str, Any]] = {}
        for (name, slug), number in zip(columns, values, strict=True):
            found.setdefault(slug, {})[name] = None if number is None else float(number)
        return found

    def _grouped(
        self,
        req: Mapping[str, Any],
        asked: Window,
        bucket: Fragment,
        columns: Mapping[tuple[str, str], Fragment],
    ) -> list[tuple[Any, ...]]:
        found = sql(
            "SELECT {} AS bucket, count(*), {} FROM events f WHERE {} GROUP BY bucket",
            bucket,
            joined(", ", columns.values()),
            _where(req, asked),
        )
        return self._reader().execute(found.text, found.params, (EVENTS,)).rows

    # --- what there is to be counted ----------------------------------------------------

    def payload_schema(self, req: Mapping[str, Any]) -> FeedbackPayloadSchemaResponse:
        from weave.vendor.weave_server_sdk.types import FeedbackPayloadSchemaResponse

        sample = min(req.get("sample_limit") or 2000, MOST_SAMPLED)
        found = sql(
            f"SELECT f.value FROM events f WHERE {{}} ORDER BY f.ts DESC LIMIT {int(sample)}",
            _where(req, window(req)),
        )
        rows = self._reader().execute(found.text, found.params, (EVENTS,)).rows
        kinds: dict[str, set[str]] = {}
        for (payload,) in rows:
            for path, kind in _leaves(wire.loads(payload or "null")):
                kinds.setdefault(path, set()).add(kind)
        return FeedbackPayloadSchemaResponse(
            paths=[
                {"json_path": path, "value_type": _one_kind(found_kinds)}
                for path, found_kinds in sorted(kinds.items())
            ]
        )

    # --- scorers ------------------------------------------------------------------------

    def aggregate(self, req: Mapping[str, Any]) -> FeedbackAggregateResponse:
        from weave.vendor.weave_server_sdk.types import FeedbackAggregateResponse

        group_by, size = list(req.get("group_by") or []), req.get("time_bucket_seconds")
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for key, said in self._scored(req, group_by, size):
            groups.setdefault(key, []).append(said)
        if size is None and not group_by:
            groups.setdefault((None,), [])
        buckets = [
            {"time_bucket_start_ms": key[0], "group": dict(zip(group_by, key[1:], strict=True))}
            | _tally(said)
            for key, said in sorted(groups.items(), key=lambda each: tuple(map(_sortable, each[0])))
        ]
        asked = {name: req.get(name) for name in ("after_ms", "before_ms", "time_bucket_seconds")}
        return FeedbackAggregateResponse(**asked, buckets=buckets)

    def _scored(
        self, req: Mapping[str, Any], group_by: list[str], size: int | None
    ) -> Iterable[tuple[tuple[Any, ...], dict[str, Any]]]:
        unknown = [name for name in group_by if name not in _GROUPS]
        if unknown or (size is not None and size < 1):
            raise invalid(
                f"feedback groups by {', '.join(_GROUPS)}, in buckets of a second or more"
            )
        bucket = (
            "NULL" if size is None else f"epoch_ms(f.ts) // {int(size) * 1000} * {int(size) * 1000}"
        )
        keys = ", ".join((bucket, *(_GROUPS[name] for name in group_by)))
        found = sql(
            f"SELECT f.attributes, {keys} FROM events f WHERE {{}}", all_of(_aggregated(req))
        )
        rows = self._reader().stream(found.text, found.params, (EVENTS,))
        return ((row[1:], wire.loads(row[0] or "{}")) for row in rows)


def _where(req: Mapping[str, Any], asked: Window) -> Fragment:
    found = [Fragment("f.kind = 'feedback'"), asked.holds("f.ts")]
    if req.get("feedback_type") is not None:
        found.append(one_of("f.name", [req["feedback_type"]]))
    if req.get("trigger_ref") is not None:
        found.append(_refers("trigger_ref", req["trigger_ref"]))
    return all_of(found)


def _refers(name: str, ref: str) -> Fragment:
    """A ref among the attributes; `:*` is any version."""
    said = json_text("f.attributes", [name])
    if ref.endswith(":*"):
        return sql("starts_with({}, {})", said, value(ref[:-1]))
    return sql("({} = {})", said, value(ref))


def _number(spec: Mapping[str, Any]) -> tuple[Fragment, tuple[str, ...]]:
    """What a metric aggregates, and how when it does not say."""
    kind = spec.get("value_type") or "numeric"
    text = json_text("f.value", spec["json_path"].split("."))
    if kind == "boolean":
        return sql("(CASE lower({}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)", text), _DEFAULTS[
            kind
        ]
    if kind == "categorical":
        return sql("(CASE WHEN {} IS NOT NULL THEN 1 END)", text), ("count",)
    return as_number(text), _DEFAULTS["numeric"]


def _slug(spec: Mapping[str, Any]) -> str:
    return str(spec["json_path"]).replace(".", "_")


def _empty(name: str) -> int | None:
    return 0 if name.startswith("count") else None


def _leaves(payload: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(payload, dict):
        for key, each in payload.items():
            yield from _leaves(each, f"{path}.{key}" if path else key)
    elif path and _PLAIN_PATH.fullmatch(path) and (kind := _kind(payload)) is not None:
        yield path, kind


def _kind(leaf: Any) -> str | None:
    if isinstance(leaf, bool):
        return "boolean"
    if isinstance(leaf, (int, float)):
        return "numeric"
    return "categorical" if isinstance(leaf, str) else None


def _one_kind(kinds: set[str]) -> str:
    return next(iter(kinds)) if len(kinds) == 1 else "categorical"


def _aggregated(req: Mapping[str, Any]) -> list[Fragment]:
    """The feedback that an aggregation is about."""
    bounds = (int(req["after_ms"]), int(req["before_ms"]))
    found = [
        Fragment("f.kind = 'feedback'"),
        Fragment("(epoch_ms(f.ts) >= ? AND epoch_ms(f.ts) < ?)", bounds),
    ]
    types = [each.rstrip("*") for each in req.get("feedback_types") or []]
    found.append(_some(types, lambda each: sql("starts_with(f.name, {})", value(each))))
    for key, name in (("monitor_ids", "trigger_ref"), ("scorer_ids", "runnable_ref")):
        found.append(_some(req.get(key), lambda each, name=name: _object(name, each)))  # type: ignore[misc]
    if req.get("span_agent_names"):
        found.append(
            one_of(json_text("f.attributes", ["span_agent_name"]), req["span_agent_names"])
        )
    if req.get("span_types"):
        kind = "split_part(json_extract_string(f.attributes, '/weave_ref'), '/', -2)"
        found.append(one_of(kind, req["span_types"]))
    tags = "list_contains(json_extract_string(f.attributes, '$.scorer_tags[*]'), {})"
    found.append(_some(req.get("tags"), lambda each: sql(tags, value(each))))
    rating = as_number(json_text("f.attributes", ["scorer_ratings", RATING]))
    for key, sign in (("rating_min", ">="), ("rating_max", "<=")):
        if req.get(key) is not None:
            found.append(sql(f"({{}} {sign} {{}})", rating, value(float(req[key]))))
    return found


def _some(wanted: Iterable[str] | None, condition: Callable[[str], Fragment]) -> Fragment:
    wanted = list(wanted or [])
    return any_of(map(condition, wanted)) if wanted else Fragment("TRUE")


def _object(name: str, wanted: str) -> Fragment:
    """The object of a ref among the attributes, by its name; a `*` at the end is anything."""
    said = Fragment(
        f"regexp_extract(json_extract_string(f.attributes, '/{name}'), '([^/:]+):[^/:]*$', 1)"
    )
    if wanted.endswith("*"):
        return sql("starts_with({}, {})", said, value(wanted[:-1]))
    return sql("({} = {})", said, value(wanted))


def _tally(said: list[dict[str, Any]]) -> dict[str, Any]:
    tags: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    scored = 0
    for each in said:
        ratings = each.get("scorer_ratings") or {}
        tags.update(each.get("scorer_tags") or [])
        sums.update({name: float(rating) for name, rating in ratings.items()})
        counts.update(ratings.keys())
        scored += bool(each.get("scorer_tags") or ratings)
    return {
        "total_count": len(said),
        "scored_count": scored,
        "tag_counts": dict(tags),
        "rating_sums": dict(sums),
        "rating_counts": dict(counts),
    }


def _sortable(key: Any) -> tuple[bool, Any]:
    return (key is not None, key if key is not None else 0)
