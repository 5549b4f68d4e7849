"""The names that people already use are there, and every name a set says it has is a name it gives."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from watched import START, TABLE, log, project, stopped_clock

from llmwatch import StreamTable, clock, drift
from llmwatch.errors import SettingsError
from llmwatch.watch import (
    Api,
    Baseline,
    Check,
    Cost,
    Errors,
    Health,
    Kpi,
    Latency,
    MetricSet,
    Predictions,
    Quality,
    Throughput,
    measure,
    names,
)
from llmwatch.watch.declarations import declared
from llmwatch.watch.default_rules import DEFAULT
from llmwatch.watch.sinks.labels import metric_name
from llmwatch.watch.sinks.one_by_one import point_of
from llmwatch.watch.sinks.options import COLUMNS
from llmwatch.watch.sinks.requests import Request
from llmwatch.watch.sinks.wandb_run import REQUESTS
from llmwatch.watch.windows import MINUTE_US

PINNED = {
    "inference": "latency_ms success error timestamp tokens_allocated",
    "latency": "p50_ms p95_ms p99_ms mean_ms std_ms min_ms max_ms",
    "throughput": "requests_per_second active_requests",
    "errors": "total_rate_percent total_count request_count",
    "errors by category": " ".join(
        f"{category}_{what}"
        for category in (*names.CATEGORIES, "business")
        for what in ("count", "rate")
    ),
    "production": "requests",
    "drift": "drift_detected prompt_length_ks_statistic prompt_length_p_value prompt_length_mean prompt_length_std",
    "predictions": "confidence_mean confidence_std confidence_p25 confidence_median confidence_p75 low_confidence_rate "
    "low_confidence_alert unique_count diversity_ratio query_length",
    "performance": "accuracy precision recall f1_score mae rmse accuracy_degradation f1_degradation pinball",
    "alerts": "degradation_detected",
    "api": "users/{id}/latency_ms users/{id}/status users/{id}/success total_requests",
    "demo": "latency_ms query_length prediction image",
    "streamlit": "query tokens image",
    "cost": "daily_input_tokens daily_output_tokens daily_requests daily_total_usd avg_cost_per_request_usd",
    "features": "age_mean age_null_rate age_sentinel_rate age_mean_shift",
    "prediction": "mean std",
    "actual": "mean std",
}
"""Every name that people already use, by its first part."""
PINNED_NAMES = {
    f"{group.split()[0]}/{name}" for group, those in PINNED.items() for name in those.split()
}

EVERYTHING = MetricSet(
    "everything",
    TABLE,
    [
        Latency(), Throughput(), Errors({"A": "business"}), Cost(), Predictions(),
        Health((Check("age"),)), Quality("answer", "truth", baseline=Baseline(values={"accuracy": 0.9})),
        Quality("price", "paid", "regression", losses={"pinball": "test_measure:pinball"}),
        Kpi("good", "label.good", ("mean", "p95")), Api(),
    ],
    window="1d",
)  # fmt: skip


def sampled(via):
    """A request as the run gets it."""
    values = ["why?", "a picture", "because", 0.9, 7, 12.5, "2026-01-01T00:00:00+00:00"]
    return point_of(Request(values, 0.0, 4, True, "ValueError: no", "v1", via))


def drift_names():
    """Of a run of the drift job on some hours of prompts."""
    table = StreamTable(TABLE)
    for half_hours in reversed(range(5)):
        with clock.use(now=lambda ago=half_hours: START - (30 * ago + 1) * MINUTE_US):
            table.log({"prompt": "x" * length} for length in range(200))
    until = datetime.fromtimestamp(START / 1e6, timezone.utc)
    return drift.run(TABLE, window="30m", baseline="previous", until=until).metrics()


@pytest.mark.usefixtures("llmwatch_store")
def test_the_names_people_use_are_there():
    told = {*EVERYTHING.names(), *names.api("/users/{id}"), *drift_names(), REQUESTS}
    told |= {name for via in ("gradio", "streamlit") for name in sampled(via)}
    assert PINNED_NAMES - told == set()


def test_a_sampled_request_has_the_columns_people_have():
    columns = ("query", "image", "prediction", "confidence", "tokens", "latency_ms", "timestamp")
    assert columns == COLUMNS


def test_prometheus_has_the_same_names_with_underscores():
    for name in PINNED_NAMES:
        assert metric_name(name) == re.sub("[/{}]", "_", name)


def test_what_people_expect_without_saying_so():
    assert (Predictions().low, Predictions().alert_share) == (0.5, 0.3)
    assert Quality("answer", "truth").degradation == 0.05
    assert -999 in Check("age").sentinels
    rules = {rule.name: rule for rule in DEFAULT}
    nulls = rules["a column has nulls"]
    assert (nulls.when.above, nulls.severity, nulls.kind) == (0.05, "P1", "cause")
    assert rules["a column's mean is off its baseline"].when.above == 0.2


@pytest.mark.usefixtures("llmwatch_store")
def test_what_is_measured_has_exactly_the_names_that_the_set_says():
    with stopped_clock() as time:
        log(time, 3)
        assert list(measure(project(), EVERYTHING)) == list(EVERYTHING.names())


DECLARED = """
[[watch.metrics]]
name = "all"
table = "shop/traces"
window = "1h"
by = ["model", ["op", "version"]]
timezone = "Asia/Tokyo"
latency = { column = "duration" }
throughput = true
cost = false
errors = { categories = { OutOfStock = "business" } }
health = [{ column = "age", range = [0, 120], sentinels = [-1] }]
quality = { prediction = "answer", label = "truth", baseline = { ago = "7d" } }
kpi = [{ name = "a", value = "x" }, { name = "b", value = "y", statistics = ["sum"] }]
"""


def read(tmp_path, monkeypatch, text):
    (tmp_path / "llmwatch.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return declared()


def test_a_set_is_declared_in_a_settings_file(tmp_path, monkeypatch):
    (one,) = read(tmp_path, monkeypatch, DECLARED)
    assert one == MetricSet(
        "all",
        "shop/traces",
        [
            Latency("duration"),
            Throughput(),
            Errors({"OutOfStock": "business"}),
            Health((Check("age", range=(0, 120), sentinels=(-1,)),)),
            Quality("answer", "truth", baseline=Baseline(ago="7d")),
            Kpi("a", "x"),
            Kpi("b", "y", ("sum",)),
        ],
        window="1h",
        by=["model", ["op", "version"]],
        timezone="Asia/Tokyo",
    )
    assert hash(one) == hash(one)
    assert one.counts_every_call


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a"\nlatencies = true', "has no latencies"),
        ('name = "a"\nlatency = 3', "true or a table"),
        ('name = "a"\nlatency = { colum = "x" }', "colum"),
        ('name = "a"\nwindow = "30s"', "no length of a window"),
        ('name = "a"\ntimezone = "Mars/Base"', "no time zone"),
        ('name = "a"\nquality = { prediction = "x" }', "label"),
        ('name = "a"\nkpi = { name = "x", value = "y", statistics = ["p42"] }', "p42"),
        ('name = "a"\nhealth = { checks = [], baseline = {} }', "a baseline is one of"),
        ('name = ""', "cannot be the name"),
        ("latency = true", "name"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, monkeypatch, text, said):
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, monkeypatch, "[[watch.metrics]]\n" + text)


def test_two_sets_of_one_name_are_refused(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="two metric sets named 'a'"):
        read(tmp_path, monkeypatch, '[[watch.metrics]]\nname = "a"\n' * 2)
