"""Threads: the conversations that calls belong to, from the calls that are their turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.backend import wire
from llmwatch.backend.call_query import TABLE
from llmwatch.backend.feedback_rules import invalid
from llmwatch.backend.fragments import Fragment, all_of, joined, one_of

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import ThreadStreamQueryResponse

    from llmwatch.stream.query import Reader

_TOOK = "(epoch_us(ended_at) - epoch_us(started_at)) / 1000.0"
_SORTS = (
    "thread_id",
    "turn_count",
    "start_time",
    "last_updated",
    "p50_turn_duration_ms",
    "p99_turn_duration_ms",
)
_LATEST_FIRST = [{"field": "last_updated", "direction": "desc"}]


class Threads:
    """The threads of a project. A thread without an ended turn has no last update, and is not among them yet."""

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader

    def query_stream(self, req: Mapping[str, Any]) -> Iterator[ThreadStreamQueryResponse]:
        from weave.vendor.weave_server_sdk.types import ThreadStreamQueryResponse

        where, order = all_of(_conditions(req.get("filter") or {})), _order(req)
        sql = (
            "SELECT * FROM (SELECT session_id AS thread_id, count(*) AS turn_count, "
            "min(started_at) AS start_time, max(ended_at) AS last_updated, "
            "arg_min(id, started_at) AS first_turn_id, arg_max(id, ended_at) AS last_turn_id, "
            f"quantile_cont({_TOOK}, 0.5) AS p50_turn_duration_ms, "
            f"quantile_cont({_TOOK}, 0.99) AS p99_turn_duration_ms "
            f'FROM "{TABLE}" c WHERE {where.text} GROUP BY session_id) AS threads '
            f"WHERE last_updated IS NOT NULL ORDER BY {order}{_page(req)}"
        )
        for row in self._reader().execute(sql, where.params).dicts():
            yield ThreadStreamQueryResponse(**row)


def _conditions(filter_: Mapping[str, Any]) -> list[Fragment]:
    # a turn is the outermost call of its thread: its turn is named after it
    found = [Fragment("c.id = c.turn_id"), Fragment("c.started_at IS NOT NULL")]
    found.append(Fragment("coalesce(c.session_id, '') <> ''"))
    for key, sign in (("after_datetime", ">"), ("before_datetime", "<")):
        if filter_.get(key) is not None:
            at = wire.microseconds(filter_[key])
            found.append(Fragment(f"c.started_at {sign} make_timestamptz(?::BIGINT)", (at,)))
    if filter_.get("thread_ids"):
        found.append(one_of("c.session_id", filter_["thread_ids"]))
    return found


def _order(req: Mapping[str, Any]) -> str:
    terms = []
    for each in req.get("sort_by") or _LATEST_FIRST:
        if each["field"] not in _SORTS:
            raise invalid(f"threads sort by {', '.join(_SORTS)}, not by {each['field']!r}")
        direction = "DESC" if str(each.get("direction", "asc")).lower() == "desc" else "ASC"
        terms.append(Fragment(f"{each['field']} {direction} NULLS LAST"))
    return joined(", ", [*terms, Fragment("thread_id")]).text


def _page(req: Mapping[str, Any]) -> str:
    limit, offset = req.get("limit"), req.get("offset")
    text = f" LIMIT {int(limit)}" if limit is not None else ""
    return text + (f" OFFSET {int(offset)}" if offset else "")
