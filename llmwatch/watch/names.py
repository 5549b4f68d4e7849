"""The names of metrics: those that people already use, and what each family adds to them.

Names that say percent run from 0 to 100; rates and shares from 0 to 1. A row of the table `metrics` has a key for each
name whose value is known, and no key for one that is not.
"""

from __future__ import annotations

TABLE = "metrics"
"""The StreamTable that results are rows of."""
ROW = ("set", "table", "window_start", "window_s", "group", "n", "closed")
"""What every row of it has. `window_start` is in microseconds UTC, `window_s` the window's length in seconds, `group` a
JSON object as text (`{}`: all rows), `n` the rows in the window; `closed` says that its time is over. A window is said
again when late rows or labels change it: the latest row of (set, window_start, window_s, group) holds."""

LATENCY = (
    "latency/p50_ms",
    "latency/p95_ms",
    "latency/p99_ms",
    "latency/mean_ms",
    "latency/std_ms",
    "latency/min_ms",
    "latency/max_ms",
)
THROUGHPUT = ("throughput/requests_per_second", "throughput/active_requests")
CATEGORIES = ("invalid_input", "model_error", "timeout", "rate_limited", "5xx", "unknown")
"""Categories of errors; a set's own map may name more."""
ERRORS = ("errors/total_rate_percent", "errors/total_count", "errors/request_count")
DAILY = (
    "cost/daily_input_tokens",
    "cost/daily_output_tokens",
    "cost/daily_requests",
    "cost/daily_total_usd",
)
"""Only of windows of a day."""
COST = (
    "cost/input_tokens",
    "cost/output_tokens",
    "cost/requests",
    "cost/total_usd",
    "cost/avg_cost_per_request_usd",
    "cost/unpriced_requests",
)
OUTPUTS = ("outputs/null_rate", "outputs/malformed_rate")
"""Of calls that went well."""
PREDICTIONS = (
    "predictions/confidence_mean",
    "predictions/confidence_std",
    "predictions/confidence_p25",
    "predictions/confidence_median",
    "predictions/confidence_p75",
    "predictions/low_confidence_rate",
    "predictions/low_confidence_alert",
    "predictions/unique_count",
    "predictions/diversity_ratio",
    "predictions/query_length",
)
API_TOTAL = "api/total_requests"
NO_ROUTE = "(no route)"
CLASSIFICATION = (
    "performance/accuracy",
    "performance/precision",
    "performance/recall",
    "performance/f1_score",
)
REGRESSION = (
    "performance/mae",
    "performance/rmse",
    "performance/mean_error",
    "performance/r2",
    "prediction/mean",
    "prediction/std",
    "actual/mean",
    "actual/std",
)
QUALITY = ("performance/labelled_count", "performance/labelled_share", "performance/proxy")
DEGRADATION = "alerts/degradation_detected"
HEALTH = (
    "null_rate",
    "type_violation_rate",
    "sentinel_rate",
    "out_of_range_rate",
    "outlier_rate",
    "unseen_rate",
    "mean",
    "std",
    "mean_shift",
    "effect_size",
)
"""Of each column that is checked, as `features/<column>_<name>`."""
KPI_STATISTICS = ("mean", "sum", "count", "min", "max", "std", "p50", "p95", "p99")


def errors(category: str) -> tuple[str, str]:
    """The names of a category of errors.

    >>> errors("timeout")
    ('errors/timeout_count', 'errors/timeout_rate')
    """
    return f"errors/{category}_count", f"errors/{category}_rate"


def api(route: str) -> tuple[str, str, str]:
    """The names of a route's figures; the route is its template, not a path that somebody asked for.

    >>> api("/users/{id}")
    ('api/users/{id}/latency_ms', 'api/users/{id}/status', 'api/users/{id}/success')
    """
    place = f"api/{route.strip('/')}".rstrip("/")
    return f"{place}/latency_ms", f"{place}/status", f"{place}/success"


def degradation(name: str) -> str:
    """The name of how much a measure of quality is below its baseline, as a share of it.

    >>> degradation("performance/f1_score")
    'performance/f1_degradation'
    """
    return f"{name.removesuffix('_score')}_degradation"


def feature(column: str, name: str) -> str:
    return f"features/{column}_{name}"


def kpi(name: str, statistic: str) -> str:
    """A KPI's mean has the KPI's own name.

    >>> kpi("resolved", "mean"), kpi("basket", "p95")
    ('kpi/resolved', 'kpi/basket_p95')
    """
    return f"kpi/{name}" if statistic == "mean" else f"kpi/{name}_{statistic}"
