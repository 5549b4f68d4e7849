"""The rules that there are when nobody wrote any: few, about trends, and quiet in an ordinary week."""

from __future__ import annotations

from llmwatch.watch.conditions import Absence, AllOf, Change, Drift, Threshold
from llmwatch.watch.rules import Rule

_ERRORS = "errors/total_rate_percent"


def _more_than_usual(metric: str, limit: float) -> AllOf:
    """Above a limit, and twice what it is at this time on other days: functions that return nothing are no fault."""
    return AllOf(
        (
            Threshold(metric, above=limit, min_rows=20),
            Change(metric, above=1.0, against="day", deviations=4, min_rows=20),
        )
    )


DEFAULT: tuple[Rule, ...] = (
    Rule(
        "most calls fail",
        Threshold(_ERRORS, above=25, min_rows=20),
        severity="P0",
        lasting=5,  # providers have bad minutes; nobody is to be woken for those
    ),
    Rule(
        "many calls fail",
        Threshold(_ERRORS, above=5, min_rows=20),
        severity="P1",
        lasting=10,
    ),
    Rule(
        "answers are slow",
        AllOf(
            (
                Change("latency/p95_ms", above=0.5, against="day", deviations=4, min_rows=20),
                Change("latency/p50_ms", above=0.2, against="day", deviations=3, min_rows=20),
            )
        ),
        severity="P1",
        lasting=10,
        settled=10,
    ),
    Rule(
        "nothing is recorded",
        Absence(after_s=1800, usual=True),
        severity="P1",
        lasting=5,
        settled=3,
    ),
    Rule(
        "quality is below its baseline",
        Threshold("alerts/degradation_detected", above=0.5, min_rows=50),
        severity="P1",
    ),
    Rule(
        "many answers are unsure",
        Threshold("predictions/low_confidence_rate", above=0.3, min_rows=50),
        severity="P2",
        lasting=10,
        settled=10,
    ),
    Rule(
        "answers are missing",
        _more_than_usual("outputs/null_rate", 0.1),
        severity="P1",
        lasting=5,
    ),
    Rule(
        "answers cannot be read",
        _more_than_usual("outputs/malformed_rate", 0.05),
        severity="P1",
        lasting=5,
    ),
    Rule(
        "a column has nulls",
        Threshold("features/*_null_rate", above=0.05, min_rows=50),
        severity="P1",
        kind="cause",
        lasting=5,
    ),
    Rule(
        "a column's mean is off its baseline",
        Threshold("features/*_mean_shift", above=0.2, min_rows=50),
        severity="P2",
        kind="cause",
        lasting=5,
    ),
    Rule(
        "prompts drift", Drift(), severity="P2", kind="cause", lasting=1, settled=2, cooldown="1d"
    ),
    Rule(
        "calls cost more than usual",
        Change(
            "cost/avg_cost_per_request_usd", above=1.0, against="day", deviations=4, min_rows=20
        ),
        severity="P2",
        lasting=30,
        settled=10,
    ),
)
