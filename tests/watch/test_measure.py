"""Each metric is what numpy and scikit-learn say of the same rows."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import numpy as np
import orjson
import pytest
from watched import START, TABLE, chats, keeping, log, project, stopped_clock

from llmwatch import StreamTable, settings
from llmwatch.errors import NotFound, SettingsError
from llmwatch.stream import events, spool
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
from llmwatch.watch.families.errors import category
from llmwatch.watch.windows import SECOND_US, Window

metrics = pytest.importorskip("sklearn.metrics")
pytestmark = pytest.mark.usefixtures("llmwatch_store")


@pytest.fixture
def time():
    with stopped_clock() as clock:
        yield clock


def of(*families, **more) -> MetricSet:
    return MetricSet("set", TABLE, families, **more)


def all_of(told: MetricSet, group=None, since=START, until=1 << 60):
    return measure(project(), told, Window(since, until), group)


def column(rows, name):
    return np.array([row[name] for row in rows if row.get(name) is not None])


def same(values, others):
    """Equal to the rounding of sums."""
    assert values.keys() == others.keys()
    for name, value in values.items():
        assert value == (None if others[name] is None else pytest.approx(others[name], rel=1e-9)), (
            name
        )
    return True


def label(row, name, value):
    return events.add(
        project(), kind="label", name=name, value=value, row_id=row["id"], table="chats"
    )


@pytest.mark.parametrize("rows", [1, 2, 100, 700])
def test_latency_and_throughput(time, rows):
    made = log(time, rows)
    found = all_of(of(Latency(), Throughput()), until=START + 1000 * SECOND_US)
    latency = column(made, "latency_ms")
    within = {"rel": 1e-9} if rows <= 128 else {"rel": 0.0101}
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert found[f"latency/{name}_ms"] == pytest.approx(np.quantile(latency, share), **within)
    assert found["latency/mean_ms"] == pytest.approx(latency.mean())
    assert found["latency/std_ms"] == pytest.approx(latency.std(), abs=1e-9)
    assert found["latency/min_ms"] == latency.min()
    assert found["latency/max_ms"] == latency.max()
    assert found["throughput/requests_per_second"] == pytest.approx(rows / 1000)
    assert found["throughput/active_requests"] == pytest.approx(latency.sum() / 1e6)


def test_latency_of_a_column_of_the_persons_own(time):
    log(time, 3, duration=7.0)
    assert all_of(of(Latency("duration")))["latency/mean_ms"] == 7.0
    assert all_of(of(Latency("nowhere")))["latency/mean_ms"] is None


def test_of_an_empty_window_counts_are_0_and_nothing_else_is_known(time):
    log(time, 3)
    everything = of(
        Latency(), Throughput(), Errors(), Cost(), Predictions(), Kpi("t", "temperature"),
        Quality("answer", "truth"), Quality("temperature", "warmth", "regression"),
        Health((Check("temperature", range=(0, 1)),)),
    )  # fmt: skip
    found = all_of(everything, since=0, until=START)
    zero = {name for name, value in found.items() if value == 0}
    assert {
        "throughput/requests_per_second",
        "throughput/active_requests",
        "errors/total_count",
    } <= zero
    assert all(name.endswith(("_count", "requests", "_per_second")) for name in zero)
    assert {value for name, value in found.items() if name not in zero} == {None}


def test_errors_by_category(time):
    made = log(time, 300)
    found = all_of(of(Errors({"TimeoutError": "slow"})))
    failed = [row for row in made if row.get("status") == "error"]
    slow = [row for row in failed if row["exception_type"] == "TimeoutError"]
    assert found["errors/request_count"] == 300
    assert found["errors/total_count"] == len(failed) > 10
    assert found["errors/total_rate_percent"] == pytest.approx(100 * len(failed) / 300)
    assert found["errors/slow_count"] == len(slow)
    assert found["errors/slow_rate"] == pytest.approx(len(slow) / 300)
    assert found["errors/invalid_input_count"] == len(failed) - len(slow)
    assert found["errors/timeout_count"] == 0


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (("ValueError",), "invalid_input"),
        (("pydantic_core._pydantic_core.ValidationError",), "invalid_input"),
        (("openai.BadRequestError",), "invalid_input"),
        (("RuntimeError",), "model_error"),
        (("openai.InternalServerError",), "model_error"),
        (("httpx.HTTPStatusError", float("nan"), "Error code: 503 - overloaded"), "model_error"),
        (("httpx.HTTPStatusError", float("nan"), "Error code: 429 - slow down"), "rate_limited"),
        (("httpx.HTTPStatusError", float("nan"), "Error code: 404"), "invalid_input"),
        (("TimeoutError",), "timeout"),
        (("openai.APITimeoutError",), "timeout"),
        (("openai.RateLimitError",), "rate_limited"),
        ((None, 422), "invalid_input"),
        ((None, 429), "rate_limited"),
        ((None, 408), "timeout"),
        ((None, 502), "5xx"),
        (("Surprise",), "unknown"),
        ((None,), "unknown"),
    ],
)
def test_a_failure_has_the_category_people_expect(told, expected):
    assert category(*told) == expected


def test_the_persons_own_map_comes_first():
    own = {"shop.OutOfStock": "business", "ValueError": "mine"}
    assert category("shop.OutOfStock", own=own) == "business"
    assert category("ValueError", 503, own=own) == "mine"


def test_failures_of_logged_rows_are_known_by_what_they_say(time):
    table = chats()
    for one in ({"success": False}, {"success": True}, {"status_code": 503}, {"status_code": 200},
                {"error": "broke"}, {"error": None}, {"exception_type": "ValueError"}, {"x": 1}):  # fmt: skip
        table.log(one)
    assert all_of(of(Errors()))["errors/total_count"] == 4


def test_cost_and_tokens(time):
    made = log(time, 200)
    found = all_of(of(Cost(), window="1d"))
    cost = column(made, "cost_usd")
    assert 0 < len(cost) < 200
    assert found["cost/total_usd"] == pytest.approx(cost.sum())
    assert found["cost/avg_cost_per_request_usd"] == pytest.approx(cost.mean())
    assert found["cost/unpriced_requests"] == 200 - len(cost)
    assert found["cost/daily_input_tokens"] == column(made, "prompt_tokens").sum()
    assert found["cost/daily_output_tokens"] == column(made, "completion_tokens").sum()
    assert found["cost/daily_requests"] == 200
    assert found["cost/daily_total_usd"] == found["cost/total_usd"]


def test_a_cost_that_nobody_knows_is_none(time):
    log(time, 5, cost_usd=None, prompt_tokens=None)
    found = all_of(of(Cost()))
    assert found["cost/total_usd"] is None
    assert found["cost/input_tokens"] is None
    assert found["cost/avg_cost_per_request_usd"] is None
    assert found["cost/unpriced_requests"] == 5
    assert "cost/daily_requests" not in found


def test_a_cost_that_is_scored_later_counts(time):
    made = log(time, 2, cost_usd=None)
    events.add(project(), kind="score", name="token_cost", value={"cost_usd": 0.25},
               row_id=made[0]["id"], table="chats")  # fmt: skip
    assert all_of(of(Cost()))["cost/total_usd"] == 0.25


def test_predictions(time):
    made = log(time, 400)
    found = all_of(of(Predictions(output="answer", low=0.4)))
    confidence = column(made, "confidence")
    assert found["predictions/confidence_mean"] == pytest.approx(confidence.mean())
    assert found["predictions/confidence_std"] == pytest.approx(confidence.std())
    for name, share in (("p25", 0.25), ("median", 0.5), ("p75", 0.75)):
        expected = np.quantile(confidence, share)
        assert found[f"predictions/confidence_{name}"] == pytest.approx(expected, rel=0.0101)
    assert found["predictions/low_confidence_rate"] == pytest.approx((confidence < 0.4).mean())
    assert found["predictions/low_confidence_alert"] == int((confidence < 0.4).mean() > 0.3)
    assert found["predictions/unique_count"] == 3
    assert found["predictions/diversity_ratio"] == pytest.approx(3 / 400)


def test_confidence_that_is_scored_later_counts_where_the_row_says_none(time):
    made = log(time, 3, confidence=None)
    for row, value in zip(
        made, (0.2, {"confidence": 0.4}, {"score": 0.9, "version": "1"}), strict=True
    ):
        events.add(project(), kind="score", name="confidence", value=value, row_id=row["id"])
    found = all_of(of(Predictions()))
    assert found["predictions/confidence_mean"] == pytest.approx(0.5)


def test_data_health(time):
    table = chats()
    values = [1.0, 2, 3, None, -999, "warm", 50, 4.5, True, float("nan")]
    for number, value in enumerate(values):
        table.log({"t": value, "kind": ["a", "b", "new", -1][number % 4] if number else None})
    table.log({"other": 1})
    check = Check("t", type="number", range=(0, 10), sentinels=(-999,))
    kinds = Check("kind", categories=("a", "b"))
    usual = Baseline(features={"t": {"mean": 2.0, "std": 1.0}})
    found = all_of(of(Health((check, kinds), usual)))
    real = np.array(
        [1, 2, 3, 50, 4.5, 1]
    )  # true is 1 where it is read as a number, and is of the wrong type
    assert found["features/t_null_rate"] == pytest.approx(3 / 11)
    assert found["features/t_type_violation_rate"] == pytest.approx(2 / 8)
    assert found["features/t_sentinel_rate"] == pytest.approx(1 / 8)
    assert found["features/t_out_of_range_rate"] == pytest.approx(1 / 6)
    assert found["features/t_mean"] == pytest.approx(real.mean())
    assert found["features/t_std"] == pytest.approx(real.std())
    assert found["features/t_mean_shift"] == pytest.approx((real.mean() - 2) / 2)
    assert found["features/t_effect_size"] == pytest.approx(real.mean() - 2)
    assert found["features/t_outlier_rate"] == pytest.approx(1 / 6)
    assert found["features/kind_null_rate"] == pytest.approx(2 / 11)
    assert found["features/kind_unseen_rate"] == pytest.approx(2 / 7)
    assert found["features/kind_type_violation_rate"] is None


def test_health_of_a_column_that_no_row_has_yet_is_all_null(time):
    log(time, 2)
    found = all_of(of(Health((Check("nowhere"),))))
    assert found["features/nowhere_null_rate"] == 1
    assert found["features/nowhere_mean"] is None


def test_a_golden_set_is_what_is_usual(time):
    golden = StreamTable("bot/golden")
    for n in range(100):
        golden.log(
            {"temperature": 2 + (n % 5) / 10, "region": "eu", "answer": "yes", "truth": "yes"}
        )
    log(time, 50, temperature=3.0, answer="no")
    told = of(
        Health((Check("temperature"), Check("region")), Baseline(table="bot/golden")),
        Quality("answer", "truth", baseline=Baseline(table="bot/golden")),
    )
    made = log(time, 10, region="moon", answer="no")
    for row in made:
        label(row, "truth", "yes" if row is made[0] else "no")
    found = all_of(told)
    usual = np.array([2 + (n % 5) / 10 for n in range(100)])
    assert found["features/temperature_effect_size"] == pytest.approx(
        (found["features/temperature_mean"] - usual.mean()) / usual.std()
    )
    assert found["features/region_unseen_rate"] > 0
    assert found["performance/accuracy"] == 0.9
    assert found["performance/accuracy_degradation"] == pytest.approx(0.1)
    assert found["alerts/degradation_detected"] == 1


@pytest.mark.parametrize("positive", [None, "yes"])
def test_classification(time, positive):
    made = log(time, 300)
    chance = random.Random(3)
    labelled = [row for row in made if chance.random() < 0.7]
    truth = [chance.choice([row["answer"], "yes", "no"]) for row in labelled]
    for row, value in zip(labelled, truth, strict=True):
        label(row, "truth", value)
    found = all_of(of(Quality("answer", "truth", positive=positive)))
    said = [row["answer"] for row in labelled]
    how = {"average": "macro"} if positive is None else {"labels": ["yes"], "average": "macro"}
    assert found["performance/accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    for name, score in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1_score", metrics.f1_score),
    ):
        expected = score(truth, said, zero_division=0, **how)
        assert found[f"performance/{name}"] == pytest.approx(expected)
    assert found["performance/labelled_count"] == len(labelled)
    assert found["performance/labelled_share"] == pytest.approx(len(labelled) / 300)


def test_of_one_row_everything_is_that_row(time):
    (made,) = log(time, 1, answer="yes", temperature=1.5, confidence=0.25, cost_usd=0.5, price=10.0)
    label(made, "truth", "yes")
    label(made, "paid", 12.0)
    found = all_of(of(Latency(), Errors(), Cost(), Predictions(output="answer"), Kpi("t", "temperature", ("std", "p99")),
                      Health((Check("temperature"),)), Quality("answer", "truth"), Quality("price", "paid", "regression")))  # fmt: skip
    assert {
        found[f"latency/{name}_ms"] for name in ("p50", "p95", "p99", "mean", "min", "max")
    } == {made["latency_ms"]}
    assert (found["latency/std_ms"], found["kpi/t_std"], found["kpi/t_p99"]) == (0, 0, 1.5)
    assert (found["features/temperature_mean"], found["features/temperature_std"]) == (1.5, 0)
    assert (found["cost/total_usd"], found["predictions/diversity_ratio"]) == (0.5, 1)
    assert (found["performance/accuracy"], found["performance/f1_score"]) == (1, 1)
    assert (found["performance/mae"], found["performance/rmse"]) == (2, 2)
    assert found["performance/r2"] is None  # as scikit-learn: of one sample it is not defined


def off_by(prediction, label):
    return abs(float(prediction) - float(label))


def test_a_loss_that_fails_for_a_row_leaves_that_row_out_and_says_so(time, caplog):
    for said in ("1.0", "none at all", "4.0"):
        row_id = chats().add({"answer": said})
        label({"id": row_id}, "truth", 2.0)
    told = Quality("answer", "truth", "custom", losses={"off": "test_measure:off_by"})
    assert all_of(of(told))["performance/off"] == 1.5
    assert "performance/off of a row could not be worked out" in caplog.text


def test_labels_and_predictions_of_other_types_are_the_same_class(time):
    for said, truth in ((True, True), (1, 1.0), (2.0, "2"), ("true", True), (0, 1)):
        row_id = chats().add({"answer": said})
        events.add(project(), kind="label", name="truth", value=truth, row_id=row_id)
    assert all_of(of(Quality("answer", "truth")))["performance/accuracy"] == pytest.approx(4 / 5)


def test_regression_joined_on_the_persons_own_key(time):
    rng = np.random.default_rng(4)
    said = rng.normal(100, 20, 150)
    actual = said + rng.normal(1, 5, 150)
    for n in range(150):
        chats().log({"inference_id": f"i{n}", "price": said[n]})
    labels = StreamTable("bot/sold")
    for n in range(120):
        labels.log({"inference_id": f"i{n}", "paid": actual[n] + 1000})  # corrected below
    for n in range(120):
        labels.log({"inference_id": f"i{n}", "paid": actual[n]})
    labels.log({"inference_id": "of no row", "paid": 1.0})
    told = Quality("price", "paid", "regression", key="inference_id", label_table="sold",
                   baseline=Baseline(values={"mae": 2.0, "rmse": 100}))  # fmt: skip
    found = all_of(of(told))
    y, p = actual[:120], said[:120]
    assert found["performance/mae"] == pytest.approx(metrics.mean_absolute_error(y, p))
    assert found["performance/rmse"] == pytest.approx(metrics.mean_squared_error(y, p) ** 0.5)
    assert found["performance/r2"] == pytest.approx(metrics.r2_score(y, p))
    assert found["performance/mean_error"] == pytest.approx((p - y).mean())
    assert (found["prediction/mean"], found["actual/std"]) == pytest.approx((p.mean(), y.std()))
    assert found["performance/labelled_share"] == pytest.approx(120 / 150)
    assert found["performance/mae_degradation"] == pytest.approx((found["performance/mae"] - 2) / 2)
    assert found["performance/rmse_degradation"] < 0
    assert found["alerts/degradation_detected"] == 1


def pinball(prediction, label):
    return abs(float(prediction) - float(label)) * 0.5


def test_a_measure_of_the_persons_own_and_a_proxy_until_labels_come(time):
    made = log(time, 20)
    for row in made:
        events.add(project(), kind="score", name="judge", value={"score": 0.75}, row_id=row["id"])
    told = Quality(
        "temperature",
        "warmth",
        "custom",
        losses={"pinball": "test_measure:pinball"},
        proxy="score.judge",
    )
    before = all_of(of(told))
    assert before["performance/pinball"] is None
    assert before["performance/proxy"] == 0.75
    known = [row for row in made if row["temperature"] is not None]
    for row in known:
        label(row, "warmth", 1.0)
    expected = np.mean([pinball(row["temperature"], 1.0) for row in known])
    assert all_of(of(told))["performance/pinball"] == pytest.approx(expected)


def test_a_loss_that_is_not_there_says_so(time):
    made = log(time, 1)
    label(made[0], "truth", 1)
    with pytest.raises(SettingsError, match="there is no loss at 'nowhere:none'"):
        all_of(of(Quality("answer", "truth", "custom", losses={"x": "nowhere:none"})))


def test_kpis_of_columns_labels_and_scores(time):
    made = log(time, 60)
    for n, row in enumerate(made):
        label(row, "resolved", n % 3 == 0)
    told = of(
        Kpi(
            "temp",
            "temperature",
            ("mean", "sum", "count", "min", "max", "std", "p50", "p95", "p99"),
        ),
        Kpi("resolved", "label.resolved"),
    )
    found = all_of(told)
    values = column(made, "temperature")
    numpys = {"": np.mean, "_sum": np.sum, "_count": len, "_min": np.min, "_max": np.max, "_std": np.std,
              "_p50": np.median, "_p95": lambda v: np.quantile(v, 0.95)}  # fmt: skip
    for suffix, function in numpys.items():
        assert found[f"kpi/temp{suffix}"] == pytest.approx(function(values))
    assert found["kpi/resolved"] == pytest.approx(1 / 3)


def test_groups_conditions_and_windows_choose_rows(time):
    made = log(time, 300)
    told = of(Latency(), Errors(), by=["model", ["region", "model"]], where="region = 'eu'")
    eu = [row for row in made if row["region"] == "eu"]
    small = [row for row in eu if row["model"] == "small"]
    assert all_of(told)["errors/request_count"] == len(eu)
    assert all_of(told, {"model": "small"})["errors/request_count"] == len(small)
    assert all_of(told, {"model": "zażółć", "region": "eu"})["latency/max_ms"] == max(
        row["latency_ms"] for row in eu if row["model"] == "zażółć"
    )
    assert all_of(told, {"model": "none such"})["errors/request_count"] == 0
    until = START + 100 * SECOND_US
    assert all_of(told, until=until)["errors/request_count"] == len(
        [r for r in eu if r["at"] < until]
    )
    with pytest.raises(SettingsError, match="is grouped by model, region and model, not by user"):
        all_of(told, {"user": "ann"})


def test_a_condition_that_is_more_than_one_is_refused(time):
    log(time, 1)
    with pytest.raises(ValueError, match=r"(?i)select|refused|statement|parse"):
        all_of(of(Latency(), where="true) UNION SELECT 1 FROM read_csv('/etc/passwd'"))


@pytest.mark.parametrize(
    "written",
    [
        lambda at: at.isoformat(),
        lambda at: at.astimezone(timezone(timedelta(hours=5, minutes=45))).isoformat(),
        lambda at: at.replace(tzinfo=None).isoformat(sep=" "),
        lambda at: at.timestamp(),
        lambda at: int(at.timestamp() * 1000),
        lambda at: int(at.timestamp() * 1_000_000),
    ],
    ids=["iso", "nepal", "naive", "seconds", "milliseconds", "microseconds"],
)
def test_a_row_says_when_it_was_in_the_ways_people_write_it(time, written):
    at = datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    chats().log({"when": written(at), "latency_ms": 7.0})
    start = int(at.timestamp()) * 1_000_000
    found = all_of(of(Latency(), time="when"), since=start, until=start + 1)
    assert found["latency/mean_ms"] == 7.0


def test_a_row_that_does_not_say_when_it_was_counts_when_it_was_recorded(time):
    chats().log({"when": "soon", "latency_ms": 7.0})
    assert all_of(of(Latency(), time="when"))["latency/mean_ms"] == 7.0


def test_huge_numbers_leave_no_infinity_behind(time):
    for value in (1e308, 1e308, -1e308):
        chats().log({"latency_ms": value})
    found = all_of(of(Latency()))
    assert found["latency/max_ms"] == 1e308
    assert found["latency/std_ms"] is None


def test_strange_texts_are_groups_and_outputs_like_others(time):
    strange = ["<script>", "'; DROP TABLE", "\x1b[31m", "a\tb", '"', "😀", ""]
    for text in strange:
        chats().log({"model": text, "answer": text, "region": None})
    told = of(
        Predictions(output="answer"),
        Quality("answer", "truth"),
        Health((Check("answer"),)),
        by=["model"],
    )
    assert all_of(told)["predictions/unique_count"] == len(strange)
    for text in strange:
        assert all_of(told, {"model": text})["predictions/unique_count"] == 1


def test_calls_inside_of_traces_cost_money_and_are_no_requests(time):
    writer = spool.writer(project(), "chats", settings.current())
    for n in range(3):
        call = {"op_name": "answer", "started_at": time.us, "ended_at": time.us, "latency_ms": 10.0}
        inner = {
            "op_name": "generate",
            "model": "small",
            "cost_usd": 0.5,
            "prompt_tokens": 7,
            "latency_ms": 5.0,
        }
        writer.append("row", orjson.dumps({"id": f"root{n}", **call, "trace_id": f"t{n}"}))
        writer.append(
            "row",
            orjson.dumps({"id": f"call{n}", **inner, "trace_id": f"t{n}", "parent_id": f"root{n}"}),
        )
    told = of(Latency(), Errors(), Cost(), by=["model"])
    found = all_of(told)
    assert (found["errors/request_count"], found["latency/mean_ms"]) == (3, 10.0)
    assert (found["cost/total_usd"], found["cost/requests"]) == (1.5, 3)
    assert found["cost/avg_cost_per_request_usd"] == 0.5
    assert all_of(told, {"model": "small"})["cost/input_tokens"] == 21
    by_op = all_of(of(Errors(), by=["op"]), {"op": "generate"})
    assert by_op["errors/request_count"] == 3


def test_a_set_of_the_settings_files_is_measured_by_its_name(time, tmp_path, monkeypatch):
    (tmp_path / "llmwatch.toml").write_text(
        '[[watch.metrics]]\nname = "fast"\ntable = "bot/chats"\nlatency = true\n'
    )
    monkeypatch.chdir(tmp_path)
    log(time, 2)
    assert measure(None, "fast", "1h")["latency/mean_ms"] > 0
    with pytest.raises(NotFound, match="declare no metric set 'slow'"):
        measure(None, "slow", "1h")


def test_what_the_worker_worked_out_is_what_the_rows_say(time):
    told = of(Latency(), Errors(), Predictions(output="answer"), by=["model"])
    log(time, 1)
    with keeping(told) as keeper:
        for _ in range(5):
            log(time, 90)
            keeper.turn()
    kept = [all_of(told, group) for group in (None, {"model": "small"})]
    (project().path / "watch" / "state.json").unlink()
    for group, values in zip((None, {"model": "small"}), kept, strict=True):
        assert same(all_of(told, group), values)
