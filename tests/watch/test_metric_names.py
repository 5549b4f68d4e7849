"""The names that people already use are there, and every name a set says it has is a name it gives."""

from __future__ import annotations

import pytest
from watched import TABLE, log, project, stopped_clock

from llmwatch.errors import SettingsError
from llmwatch.watch import (
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
)
from llmwatch.watch.declarations import declared

PINNED = [
    "latency/p50_ms",
    "latency/p95_ms",
    "latency/p99_ms",
    "latency/mean_ms",
    "latency/std_ms",
    "latency/min_ms",
    "latency/max_ms",
    "throughput/requests_per_second",
    "throughput/active_requests",
    "errors/total_rate_percent",
    "errors/total_count",
    "errors/request_count",
    "errors/invalid_input_count",
    "errors/invalid_input_rate",
    "errors/model_error_count",
    "errors/model_error_rate",
    "errors/timeout_count",
    "errors/timeout_rate",
    "errors/rate_limited_count",
    "errors/rate_limited_rate",
    "errors/5xx_count",
    "errors/5xx_rate",
    "errors/unknown_count",
    "errors/unknown_rate",
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
    "performance/accuracy",
    "performance/f1_score",
    "performance/accuracy_degradation",
    "performance/f1_degradation",
    "alerts/degradation_detected",
    "cost/daily_input_tokens",
    "cost/daily_output_tokens",
    "cost/daily_requests",
    "cost/daily_total_usd",
    "cost/avg_cost_per_request_usd",
    "features/age_mean",
    "features/age_null_rate",
    "prediction/mean",
    "actual/mean",
    "performance/mae",
    "performance/rmse",
]

EVERYTHING = MetricSet(
    "everything",
    TABLE,
    [
        Latency(), Throughput(), Errors({"A": "business"}), Cost(), Predictions(),
        Health((Check("age"),)), Quality("answer", "truth", baseline=Baseline(values={"accuracy": 0.9})),
        Quality("price", "paid", "regression"), Kpi("good", "label.good", ("mean", "p95")),
    ],
    window="1d",
)  # fmt: skip


def test_the_names_people_use_are_there():
    assert set(PINNED) - set(EVERYTHING.names()) == set()


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
