"""Sums, means and percentiles that a request names, as SQL, under the names that its answer has for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llmwatch.backend.feedback_rules import invalid
from llmwatch.backend.fragments import Fragment, sql

_BASIC = {
    "sum": "sum({})",
    "avg": "avg({})",
    "min": "min({})",
    "max": "max({})",
    "count": "count({})",
    "count_true": "count(*) FILTER ({} = 1)",
    "count_false": "count(*) FILTER ({} = 0)",
}


def of(spec: Mapping[str, Any], number: Fragment, default: Sequence[str]) -> dict[str, Fragment]:
    """The aggregates that a metric's spec asks for, by name (`avg`, `p95`), over a number that may be NULL."""
    percentiles = list(spec.get("percentiles") or [])
    asked = list(spec.get("aggregations") or ([] if percentiles else default))
    found = {name: _basic(name, number) for name in asked}
    return {**found, **{f"p{each:g}": _percentile(each, number) for each in percentiles}}


def _basic(name: str, number: Fragment) -> Fragment:
    if name not in _BASIC:
        raise invalid(f"an aggregation is one of {', '.join(_BASIC)}, not {name!r}")
    return sql(_BASIC[name], number)


def _percentile(given: float, number: Fragment) -> Fragment:
    if not (math.isfinite(given) and 0 <= given <= 100):
        raise invalid(f"a percentile is between 0 and 100, not {given!r}")
    return sql(f"quantile_cont({{}}, {given / 100!r})", number)
