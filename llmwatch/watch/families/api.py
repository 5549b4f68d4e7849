"""Routes of an API: how long each takes, what it answers, and how often that is well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llmwatch.watch import names, parts
from llmwatch.watch.families.measure import Facts, Plain, State, Values, share
from llmwatch.watch.reading import texts

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame

MOST = 100
"""Routes that are told; of more, those with the most requests."""
_HTTP = "r.\"llmwatch attributes\"->'http'"


class ApiMeasure(Plain):
    """State: of each route [requests, those that went well, latencies known, their sum, tally of statuses].

    Requests that are part of a caller's trace count as well: the caller is another service."""

    every_call = True

    def columns(self, columns: Columns) -> dict[str, str]:
        return {
            "own latency_ms": columns.ours_or_logged("latency_ms"),
            "api route": f"CASE WHEN json_exists({_HTTP}, '$.method') THEN coalesce({_HTTP}->>'route', '') END",
            "api status": f"CAST({_HTTP}->>'status_code' AS VARCHAR)",
            "api failed": "r.\"llmwatch status\" = 'error'",
        }

    def part(self, frame: Frame) -> State:
        routes, statuses = texts(frame["api route"]), texts(frame["api status"])
        latency: Any = np.ma.filled(np.ma.asarray(frame["own latency_ms"], dtype=float), np.nan)
        failed = np.ma.filled(np.ma.asarray(frame["api failed"]), False)
        found: dict[str, list[Any]] = {}
        rows = zip(routes, statuses, latency.tolist(), failed.tolist(), strict=True)
        for route, status, took, bad in rows:
            if route is None:
                continue
            one = found.setdefault(route or names.NO_ROUTE, [0, 0, [], []])
            one[0] += 1
            one[1] += not bad
            if math.isfinite(took):
                one[2].append(took)
            if status:
                one[3].append(status)
        return {
            route: [n, well, len(took), math.fsum(took), parts.tally(said)]
            for route, (n, well, took, said) in found.items()
        }

    def merge(self, states: Sequence[State]) -> State:
        routes = dict.fromkeys(route for state in states for route in state)
        return {
            route: _together([state[route] for state in states if route in state])
            for route in routes
        }

    def values(self, state: State, facts: Facts) -> Values:
        del facts
        values: Values = {"api/total_requests": sum(one[0] for one in state.values())}
        told = sorted(state, key=lambda route: (-state[route][0], route))[:MOST]
        for route in told:
            n, well, known, took, statuses = state[route]
            latency, status, success = names.api(route)
            values[latency] = share(took, known)
            values[status] = _usual(statuses)
            values[success] = share(well, n)
        return values


def _together(states: Sequence[Any]) -> list[Any]:
    sums = [sum(state[n] for state in states) for n in range(3)]
    took = math.fsum(state[3] for state in states)
    return [*sums, took, parts.merge_tallies(state[4] for state in states)]


def _usual(statuses: dict[str, int]) -> int | None:
    """The status that was answered most often."""
    known = {status: n for status, n in statuses.items() if status.isdigit()}
    return int(max(known, key=lambda status: (known[status], status))) if known else None
