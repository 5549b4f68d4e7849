"""What calls used of models with everything below them, each token once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from llmwatch.backend.feedback_rules import invalid

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import CallUsageResponse, TraceUsageResponse

    from llmwatch.backend.calls import Calls

MOST_CALLS = 10_000
_COUNTS: dict[str, tuple[str, ...]] = {
    "requests": ("requests",),
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "completion_tokens": ("completion_tokens", "output_tokens"),
    "total_tokens": ("total_tokens",),
    "cache_read_input_tokens": ("cache_read_input_tokens",),
    "cache_creation_input_tokens": ("cache_creation_input_tokens",),
}
_COST_OF = {
    "prompt_tokens_total_cost": ("prompt_tokens", "prompt_token_cost"),
    "completion_tokens_total_cost": ("completion_tokens", "completion_token_cost"),
    "cache_read_input_tokens_total_cost": (
        "cache_read_input_tokens",
        "cache_read_input_token_cost",
    ),
    "cache_creation_input_tokens_total_cost": (
        "cache_creation_input_tokens",
        "cache_creation_input_token_cost",
    ),
}
Used = dict[str, "Counter[str]"]
"""Counts and costs by model."""


class Usage:
    """The usage of a project's calls."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def of_trace(self, req: Mapping[str, Any]) -> TraceUsageResponse:
        """Of every call that the request selects, with what is below it among them."""
        from weave.vendor.weave_server_sdk.types import TraceUsageResponse

        asked = {key: req.get(key) for key in ("project_id", "filter", "query", "include_costs")}
        found, unfinished = self._below(asked, req)
        return TraceUsageResponse(call_usage=found, unfinished_call_ids=unfinished)

    def of_calls(self, req: Mapping[str, Any]) -> CallUsageResponse:
        """Of some calls, with everything below them."""
        from weave.vendor.weave_server_sdk.types import CallUsageResponse

        wanted = list(req["call_ids"])
        asked = {
            "project_id": req["project_id"],
            "filter": {"trace_ids": self._calls.traces_of(wanted)},
            "include_costs": req.get("include_costs"),
        }
        found, unfinished = self._below(asked, req) if asked["filter"]["trace_ids"] else ({}, [])
        return CallUsageResponse(
            call_usage={call_id: found.get(call_id, {}) for call_id in wanted},
            unfinished_call_ids=unfinished,
        )

    def _below(
        self, asked: dict[str, Any], req: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[str]]:
        most = req.get("limit") or MOST_CALLS
        columns = ["id", "parent_id", "ended_at", "summary"]
        asked |= {"columns": columns, "limit": most + 1}
        calls = {call["id"]: call for call in self._calls.values(asked)}
        if len(calls) > most:
            raise invalid(
                f"these are more than {most} calls: ask for fewer, or with a higher limit"
            )
        unfinished = sorted(id_ for id_, call in calls.items() if call.get("ended_at") is None)
        found = _with_descendants(calls)
        costs = bool(asked.get("include_costs"))
        return {id_: _items(used, costs=costs) for id_, used in found.items()}, unfinished


def _with_descendants(calls: Mapping[str, Mapping[str, Any]]) -> dict[str, Used]:
    said = {id_: _said(call["summary"]) for id_, call in calls.items()}
    below: dict[str, list[Used]] = {}
    for id_, call in calls.items():
        below.setdefault(call.get("parent_id") or "", []).append(said[id_])
    total = {id_: _own(call, said[id_], below.get(id_, [])) for id_, call in calls.items()}
    for id_ in _deepest_first(calls):
        parent = calls[id_].get("parent_id")
        if parent in total:
            _add(total[parent], total[id_])
    return total


def _own(call: Mapping[str, Any], said: Used, children: Iterable[Used]) -> Used:
    """What a call used itself: its summary, without its children's when it holds theirs."""
    own = {model: Counter(used) for model, used in said.items()}
    counts = call["summary"].get("status_counts") or {}
    if sum(each for each in counts.values() if isinstance(each, (int, float))) <= 1:
        return own
    for child in children:
        for model, used in child.items():
            own.setdefault(model, Counter()).subtract(used)
    return {model: Counter({k: max(0, n) for k, n in used.items()}) for model, used in own.items()}


def _said(summary: Mapping[str, Any]) -> Used:
    usage, costs = summary.get("usage"), summary["weave"].get("costs") or {}
    if not isinstance(usage, Mapping):
        return {}
    return {
        model: Counter(_counts(counts) | _costs(_counts(counts), costs.get(model) or {}))
        for model, counts in usage.items()
        if isinstance(counts, Mapping)
    }


def _counts(counts: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _first(counts, keys) for name, keys in _COUNTS.items()}
    found["total_tokens"] = found["total_tokens"] or (
        found["prompt_tokens"] + found["completion_tokens"]
    )
    return found


def _first(counts: Mapping[str, Any], keys: Iterable[str]) -> int:
    found = (counts.get(key) for key in keys)
    return next((int(n) for n in found if isinstance(n, (int, float)) and n == n), 0)  # noqa: PLR0124 - not NaN


def _costs(counts: Mapping[str, int], price: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: counts[tokens] * price[unit]
        for name, (tokens, unit) in _COST_OF.items()
        if price.get(unit) is not None
    }


def _deepest_first(calls: Mapping[str, Mapping[str, Any]]) -> list[str]:
    depth: dict[str, int] = {}
    for id_ in calls:
        path: dict[str, None] = {}  # in order; a call that is its own ancestor ends it
        at = id_
        while at in calls and at not in depth and at not in path:
            path[at] = None
            at = calls[at].get("parent_id") or ""
        depth.update(zip(reversed(path), count(depth.get(at, -1) + 1), strict=False))
    return sorted(calls, key=lambda each: depth[each], reverse=True)


def _add(into: Used, used: Used) -> None:
    for model, counts in used.items():
        into.setdefault(model, Counter()).update(counts)


def _items(used: Used, *, costs: bool) -> dict[str, dict[str, Any]]:
    """As answers have it: a cost that is not known is None."""
    return {
        model: {name: counts[name] for name in _COUNTS}
        | {name: counts.get(name) if costs else None for name in _COST_OF}
        for model, counts in used.items()
        if any(counts.values())
    }
