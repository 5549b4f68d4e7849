"""Tokens and dollars: of every call, as money is spent inside of traces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llmwatch.watch.families.measure import Facts, Plain, State, Values, share

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame

_KNOWN = ("prompt_tokens", "completion_tokens", "cost_usd")


class CostMeasure(Plain):
    """State: requests, calls, calls with tokens and no price, and of each number how many are known and their sum."""

    every_call = True

    def columns(self, columns: Columns) -> dict[str, str]:
        return {f"own {name}": columns.ours_or_logged(name) for name in _KNOWN}

    def part(self, frame: Frame) -> State:
        numbers: list[Any] = [
            np.ma.filled(np.ma.asarray(frame[f"own {n}"], dtype=float), np.nan) for n in _KNOWN
        ]
        known = [np.isfinite(column) for column in numbers]
        sums = [
            [int(where.sum()), math.fsum(column[where].tolist())]
            for column, where in zip(numbers, known, strict=True)
        ]
        unpriced = int(((known[0] | known[1]) & ~known[2]).sum())
        return [int(frame["root"].sum()), len(frame["id"]), unpriced, sums]

    def merge(self, states: Sequence[State]) -> State:
        sums = [
            [sum(s[3][n][0] for s in states), math.fsum(s[3][n][1] for s in states)]
            for n in range(len(_KNOWN))
        ]
        return [*(sum(s[n] for s in states) for n in range(3)), sums]

    def values(self, state: State, facts: Facts) -> Values:
        roots, calls, unpriced, sums = state
        # a group of calls inside of traces only (a model's, say) has no requests but calls
        requests = roots or calls
        taken, given, dollars = (total if known else None for known, total in sums)
        priced = sums[2][0]
        found: Values = {
            "cost/input_tokens": None if taken is None else int(taken),
            "cost/output_tokens": None if given is None else int(given),
            "cost/requests": requests,
            "cost/total_usd": dollars,
            "cost/avg_cost_per_request_usd": None
            if dollars is None
            else share(dollars, roots if roots and calls > roots else priced),
            "cost/unpriced_requests": unpriced,
        }
        if facts.daily:
            names = ("input_tokens", "output_tokens", "requests", "total_usd")
            found.update({f"cost/daily_{name}": found[f"cost/{name}"] for name in names})
        return found
