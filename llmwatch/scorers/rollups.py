"""Tokens and costs added up: by trace, day, user, session, endpoint, model, version, or any of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

from llmwatch.errors import LlmwatchError
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

_AT = "coalesce(r.started_at, r.ts)"
_SHORT_OP = r"regexp_extract({0}.op_name, '([^/:]+)(?::[^/:]*)?$', 1)"


def _said(key: str) -> str:
    """A call's own value, else that of the root of its trace, else what a logged dict has under the name."""
    return f"coalesce(r.{key}, root.{key}, r.data->>'{key}')"


DIMENSIONS: Mapping[str, str] = {
    "model": "coalesce(r.model, r.data->>'model')",
    "hour": f"strftime({_AT}, '%Y-%m-%d %H:00')",
    "day": f"strftime({_AT}, '%Y-%m-%d')",
    "week": f"strftime({_AT}, '%G-W%V')",
    "month": f"strftime({_AT}, '%Y-%m')",
    "user": _said("user_id"),
    "session": _said("session_id"),
    "version": _said("version"),
    "trace": "r.trace_id",
    "op": _SHORT_OP.format("r"),
    "endpoint": (
        "coalesce(r.attributes->>'endpoint', root.attributes->>'endpoint', root.attributes->'http'->>'route', "
        f"{_SHORT_OP.format('root')}, {_SHORT_OP.format('r')})"
    ),
}
"""What can be added up by; times are UTC. An endpoint is what the attributes call so, else the root function of the trace."""


class Sum(TypedDict):
    """One group: beside its own keys these. `cost_usd` adds up what is known and is None when nothing is;
    `unpriced` calls have tokens and no price is known, `unscored` ones wait for TokenCost, `estimated` counts may be off."""

    calls: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    unpriced: int
    unscored: int
    estimated: int


def costs(
    reader: Reader,
    by: Sequence[str] = ("model",),
    *,
    table: str = "traces",
    since: datetime | None = None,
    until: datetime | None = None,
    equal: Mapping[str, str] | None = None,
) -> list[dict[str, object]]:
    """Calls, tokens and cost of every group, the dearest first; by time, the newest first.

    `since` and `until` are of when a call started, `equal` keeps what has this value in a dimension.
    """
    where, params = ["(r.prompt_tokens IS NOT NULL OR r.cost_usd IS NOT NULL)"], []
    for name, value in (equal or {}).items():
        where.append(f"{_dimension(name)} = ?")
        params.append(value)
    for comparison, moment in ((">=", since), ("<", until)):
        if moment is not None:
            where.append(f"{_AT} {comparison} make_timestamptz(?::BIGINT)")
            params.append(str(int(moment.timestamp() * 1_000_000)))
    sql = _sql(table, [(name, _dimension(name)) for name in by], where)
    found: list[dict[str, object]] = reader.execute(sql, params, tables=(table, EVENTS)).dicts()
    return found


def _dimension(name: str) -> str:
    if name not in DIMENSIONS:
        raise LlmwatchError(
            f"costs are not added up by {name!r}; there is: {', '.join(DIMENSIONS)}"
        )
    return DIMENSIONS[name]


def _sql(table: str, by: Sequence[tuple[str, str]], where: Sequence[str]) -> str:
    source = f"main.{quoted(table)}"
    keys = "".join(f"{expression} AS {quoted(name)}, " for name, expression in by)
    numbers = ", ".join(str(n) for n in range(1, len(by) + 1))
    times = [f"{quoted(name)} DESC" for name, _ in by if name in ("hour", "day", "week", "month")]
    order = ", ".join(
        [*times, "cost_usd DESC NULLS LAST", "calls DESC", *(quoted(name) for name, _ in by)]
    )
    return (
        f"WITH root AS (SELECT trace_id, {_any('user_id', 'session_id', 'version', 'op_name', 'attributes')} "
        f"FROM {source} WHERE parent_id IS NULL AND trace_id IS NOT NULL GROUP BY trace_id), "
        "said AS (SELECT row_id, bool_or(value->>'estimated' = 'true') AS estimated FROM said.events "
        "WHERE kind = 'score' AND name = 'token_cost' GROUP BY row_id) "
        f"SELECT {keys}count(*)::BIGINT AS calls, sum(r.prompt_tokens)::BIGINT AS prompt_tokens, "
        "sum(r.completion_tokens)::BIGINT AS completion_tokens, sum(r.cost_usd) AS cost_usd, "
        "count(said.row_id) FILTER (r.cost_usd IS NULL)::BIGINT AS unpriced, "
        "count(*) FILTER (r.cost_usd IS NULL AND said.row_id IS NULL)::BIGINT AS unscored, "
        "count(*) FILTER (said.estimated)::BIGINT AS estimated "
        f"FROM {source} AS r LEFT JOIN root USING (trace_id) LEFT JOIN said ON said.row_id = r.id "
        f"WHERE {' AND '.join(where)}"
        + (f" GROUP BY {numbers}" if by else "")
        + f" ORDER BY {order}"
    )


def _any(*names: str) -> str:
    return ", ".join(f"any_value({name}) AS {name}" for name in names)
