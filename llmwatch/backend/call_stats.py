"""Statistics of calls over time: how many, how long, how many failed, and what models used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.backend import aggregates
from llmwatch.backend.call_fields import COMPUTED, filter_conditions
from llmwatch.backend.call_query import TABLE
from llmwatch.backend.feedback_rules import invalid
from llmwatch.backend.fields import as_number
from llmwatch.backend.fragments import Fragment, all_of, joined, sql
from llmwatch.backend.windows import Window, window

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import CallStatsResponse

    from llmwatch.backend.costs import Costs
    from llmwatch.stream.query import Reader

_CALLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "latency_ms": (COMPUTED["latency_ms"].sql.text, ("avg",)),
    "call_count": ("1", ("sum",)),
    "error_count": ("CASE WHEN c.exception IS NOT NULL THEN 1 ELSE 0 END", ("sum",)),
}
"""The metrics of calls: their SQL, and what is aggregated when the request does not say."""

_USAGE: dict[str, tuple[str, ...]] = {
    "input_tokens": ("prompt_tokens", "input_tokens"),
    "output_tokens": ("completion_tokens", "output_tokens"),
    "total_tokens": ("total_tokens",),
    "cache_read_input_tokens": ("cache_read_input_tokens", "prompt_tokens_details/cached_tokens"),
    "cache_creation_input_tokens": ("cache_creation_input_tokens",),
}
"""The metrics of usage, each with the names that providers have for it."""
_COSTS = {
    "input_cost": ("input",),
    "output_cost": ("output",),
    "total_cost": ("input", "output"),
}
_COUNTED = ("success", "error")

# A parent's summary holds the sums of its children: only a call that is one itself counts, or every token counts twice.
_OWN_USAGE = (
    "("
    + " + ".join(
        f"coalesce(try_cast(json_extract_string(c.summary, '/status_counts/{each}') AS DOUBLE), 0)"
        for each in _COUNTED
    )
    + " <= 1)"
)


class CallStats:
    """The statistics of a project's calls."""

    def __init__(self, reader: Callable[[], Reader], costs: Costs) -> None:
        self._reader, self._costs = reader, costs

    def stats(self, req: Mapping[str, Any]) -> CallStatsResponse:
        from weave.vendor.weave_server_sdk.types import CallStatsResponse

        asked = window(req)
        calls, usage = list(req.get("call_metrics") or []), list(req.get("usage_metrics") or [])
        return CallStatsResponse(
            **asked.fields(),
            call_buckets=self._call_buckets(req, asked, calls) if calls else [],
            usage_buckets=self._usage_buckets(req, asked, usage) if usage else [],
        )

    def _call_buckets(
        self, req: Mapping[str, Any], asked: Window, metrics: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        columns: dict[str, Fragment] = {}
        for spec in metrics:
            number, default = _metric(_CALLS, spec)
            columns |= _named(spec["metric"], aggregates.of(spec, Fragment(number), default))
        where = all_of([*filter_conditions(req.get("filter")), asked.holds("c.started_at")])
        found = sql(
            f'SELECT {{}} AS bucket, {{}} FROM "{TABLE}" c WHERE {{}} GROUP BY bucket ORDER BY bucket',
            asked.bucket("c.started_at"),
            joined(", ", columns.values()),
            where,
        )
        rows = self._reader().execute(found.text, found.params).rows
        return [_bucket(asked, row[0], dict(zip(columns, row[1:], strict=True))) for row in rows]

    def _usage_buckets(
        self, req: Mapping[str, Any], asked: Window, metrics: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        columns: dict[str, Fragment] = {}
        for spec in metrics:
            if spec["metric"] not in _COSTS:
                _metric(_USAGE, spec)
                columns |= _named(
                    spec["metric"], aggregates.of(spec, _tokens(spec["metric"]), ("sum",))
                )
        found = sql(
            "SELECT bucket, model, count(*) AS calls{}{} FROM ({}) AS used "
            "GROUP BY bucket, model ORDER BY bucket, model",
            ", " if columns else "",
            joined(", ", columns.values()),
            _used(req, asked),
        )
        rows = self._reader().execute(found.text, found.params).rows
        costs = self._cost_sums(req, asked, metrics)
        return [
            _bucket(
                asked,
                row[0],
                {"model": row[1], **dict(zip(columns, row[3:], strict=True))}
                | costs.get((row[0], row[1]), {}),
            )
            for row in rows
        ]

    def _cost_sums(
        self, req: Mapping[str, Any], asked: Window, metrics: Sequence[Mapping[str, Any]]
    ) -> dict[tuple[int, str], dict[str, Any]]:
        """What tokens cost, by bucket and model; None where a price is not known."""
        wanted = [_summed(spec) for spec in metrics if spec["metric"] in _COSTS]
        if not wanted:
            return {}
        found = sql(
            # prices change from one day to the next: an hour has one
            "SELECT bucket, model, min(started_at), sum({}), sum({}) FROM ({}) AS used "
            "GROUP BY bucket, model, date_trunc('hour', started_at)",
            _tokens("input_tokens"),
            _tokens("output_tokens"),
            _used(req, asked),
        )
        price_of = self._costs.prices()
        sums: dict[tuple[int, str], dict[str, Any]] = {}
        for bucket, model, at, *tokens in self._reader().execute(found.text, found.params).rows:
            price = price_of(model, at)
            each = dict(zip(("input", "output"), map(_priced, tokens, price), strict=True))
            into = sums.setdefault((bucket, model), {})
            for metric in wanted:
                name, parts = f"sum_{metric}", [each[part] for part in _COSTS[metric]]
                into[name] = _plus(into.get(name, 0.0), *parts)
        return sums


def _used(req: Mapping[str, Any], asked: Window) -> Fragment:
    """One row for each model that a call used, with the call's own usage of it."""
    asked_of = dict(req.get("filter") or {})
    where = [*filter_conditions(asked_of), asked.holds("c.started_at")]
    if not asked_of.get("trace_roots_only"):
        where.append(Fragment(_OWN_USAGE))
    return sql(
        "SELECT {} AS bucket, c.started_at, c.summary, "
        f"unnest(json_keys(c.summary, '/usage')) AS model FROM \"{TABLE}\" c WHERE {{}}",
        asked.bucket("c.started_at"),
        all_of(where),
    )


def _tokens(metric: str) -> Fragment:
    """A count of tokens out of a model's usage, whatever its provider calls it; NULL where it says nothing."""
    found = joined(", ", (_usage(name) for name in _USAGE[metric]))
    if metric == "total_tokens":
        both = sql("({} + {})", _tokens("input_tokens"), _tokens("output_tokens"))
        return sql("coalesce({}, {})", found, both)
    return sql("coalesce({}, NULL)", found)


def _usage(path: str) -> Fragment:
    model = "replace(replace(model, '~', '~0'), '/', '~1')"
    return as_number(f"json_extract_string(summary, '/usage/' || {model} || '/{path}')")


def _metric(known: Mapping[str, Any], spec: Mapping[str, Any]) -> Any:
    if spec["metric"] not in known:
        raise invalid(f"a metric is one of {', '.join(known)}, not {spec['metric']!r}")
    return known[spec["metric"]]


def _summed(spec: Mapping[str, Any]) -> str:
    if list(spec.get("aggregations") or ["sum"]) != ["sum"] or spec.get("percentiles"):
        raise invalid(f"{spec['metric']} is summed: no other aggregation of it is available")
    return str(spec["metric"])


def _priced(tokens: float | None, price: float | None) -> float | None:
    return 0.0 if not tokens else None if price is None else tokens * price


def _plus(*parts: float | None) -> float | None:
    return None if None in parts else sum(part for part in parts if part is not None)


def _named(metric: str, found: Mapping[str, Fragment]) -> dict[str, Fragment]:
    return {f"{name}_{metric}": fragment for name, fragment in found.items()}


def _bucket(asked: Window, number: int, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"timestamp": asked.begins(int(number)).isoformat(), **values}
