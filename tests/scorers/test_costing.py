"""What a row used and cost, whatever recorded it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from llmwatch.scorers import costing
from llmwatch.scorers.prices import Prices

AT = datetime(2026, 11, 1, tzinfo=timezone.utc)
USED = {"prompt_tokens": 1000, "completion_tokens": 500}


@pytest.fixture(autouse=True)
def _no_settings_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def score(**row):
    return costing.score({"started_at": AT, **row}, Prices())


def known(result):
    names = ("model", "tokens_from", "estimated", "prompt_tokens", "completion_tokens", "cost_usd")
    return tuple(result[name] for name in names)


def test_usage_in_the_output_wins():
    result = score(
        output={"model": "gpt-4o", "usage": USED, "choices": [{"message": {"content": "hi"}}]}
    )
    assert known(result) == ("gpt-4o", "provider", False, 1000, 500, 0.0075)
    assert (result["total_tokens"], result["input_cost_usd"], result["output_cost_usd"]) == (
        1500,
        0.0025,
        0.005,
    )


def test_usage_in_the_summary_or_the_columns_of_a_row_is_taken():
    summary = {"usage": {"gpt-4o": USED}, "status_counts": {"success": 1}}
    assert score(model="gpt-4o", summary=summary)["cost_usd"] == 0.0075
    assert score(model="gpt-4o", **USED)["cost_usd"] == 0.0075


def test_a_dict_that_was_logged_tells_by_its_own_keys():
    assert score(data={"model": "gpt-4o", **USED, "answer": "hi"})["cost_usd"] == 0.0075
    assert score(data={"model": "gpt-4o", "usage": USED})["cost_usd"] == 0.0075
    assert score(data={"score": 3}) is None


def test_the_sum_of_children_does_not_count_again():
    summary = {"usage": {"gpt-4o": USED}, "status_counts": {"success": 2, "error": 0}}
    assert score(summary=summary, output={"model": "gpt-4o", "usage": USED}) is None


def test_a_stream_without_usage_is_counted():
    result = score(
        kind="generation",
        model="gpt-4o",
        inputs={"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]},
        output={"choices": [{"message": {"content": "Hello there, friend."}}]},
    )
    assert known(result) == ("gpt-4o", "counted", False, 8, 5, 7e-05)


def test_the_half_that_was_not_reported_is_counted():
    result = score(
        kind="generation",
        model="gpt-4o",
        prompt_tokens=1000,
        inputs={"model": "gpt-4o", "messages": []},
        output="Hello there, friend.",
    )
    assert known(result) == ("gpt-4o", "counted", False, 1000, 5, 0.00255)
    assert score(model="gpt-4o", prompt_tokens=1000)["cost_usd"] is None


def test_an_estimate_says_so():
    result = score(
        kind="generation", inputs={"model": "claude-sonnet-4-5", "prompt": "hello"}, output="hi"
    )
    assert result["estimated"]
    assert result["note"] == "counted as o200k_base"
    assert result["cost_usd"] is not None


def test_a_function_around_a_model_is_not_counted():
    assert score(kind="generation", inputs={"question": "hello"}, output="hi") is None
    assert score(kind="retrieval", model="gpt-4o", inputs={"prompt": "x"}, output="hi") is None
    assert score(inputs={"a": 1}, output=3) is None


def test_a_call_that_failed_and_said_nothing_has_no_cost():
    assert (
        score(kind="generation", model="gpt-4o", status="error", inputs={"prompt": "hello"}) is None
    )


def test_an_unknown_model_costs_none_and_its_tokens_are_known():
    result = score(output={"model": "our-own", "usage": USED})
    assert known(result) == ("our-own", "provider", False, 1000, 500, None)
    assert (
        result["note"] == "no price is known of our-own; give one under [prices] in llmwatch.toml"
    )
    assert "price_from" not in result


def test_usage_without_a_model_costs_none():
    assert score(output={"usage": USED})["note"] == "the model is not known"


@pytest.mark.parametrize(
    ("told", "usd"),
    [
        ({"output": {"service_tier": "priority"}}, 0.01275),
        ({"output": {"service_tier": "default"}}, 0.0075),
        ({"attributes": {"processing": "batch"}}, 0.00375),
        ({"attributes": {"service_tier": "batch"}, "output": {"service_tier": "default"}}, 0.00375),
    ],
)
def test_the_tier_is_the_one_that_was_said(told, usd):
    row = {
        "attributes": told.get("attributes", {}),
        "output": {"model": "gpt-4o", "usage": USED, **told.get("output", {})},
    }
    assert score(**row)["cost_usd"] == usd


def test_a_tier_without_a_price_costs_none_and_says_so():
    result = score(output={"model": "gpt-4", "usage": USED, "service_tier": "flex"})
    assert (result["cost_usd"], result["tier"]) == (None, "flex")
    assert result["note"] == "no price is known of gpt-4 in tier flex"


def test_a_part_without_a_price_leaves_a_lower_bound():
    used = {**USED, "prompt_tokens_details": {"audio_tokens": 400}}
    result = score(output={"model": "gpt-4o-audio-preview", "usage": used})
    assert (result["cost_usd"], result["cost_at_least_usd"], result["audio_tokens"]) == (
        None,
        0.0065,
        400,
    )
    assert result["note"] == "no price is known of: input_audio"


def test_details_are_told_where_there_are_any():
    used = {
        **USED,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    result = score(output={"model": "gpt-4o", "usage": used})
    assert (result["cached_tokens"], result["cost_usd"]) == (600, 0.00675)
    assert "reasoning_tokens" not in result


def test_the_price_is_that_of_the_rows_time():
    def cost(day):
        row = {"started_at": datetime.fromisoformat(day), "output": {"model": "o3", "usage": USED}}
        return costing.score(row, Prices())["cost_usd"]

    assert (cost("2025-06-09T23:59:59+00:00"), cost("2025-06-10T00:00:00+00:00")) == (0.03, 0.006)


def test_a_summary_of_several_models_is_one_sum():
    summary = {"usage": {"gpt-4o": USED, "o3": USED}}
    result = costing.of_summary(summary, Prices(), AT)
    assert (result["model"], result["prompt_tokens"], result["cost_usd"]) == (
        "gpt-4o, o3",
        2000,
        0.0135,
    )
    assert (
        costing.of_summary({"usage": {"gpt-4o": USED, "our-own": USED}}, Prices(), AT)["cost_usd"]
        is None
    )
    assert costing.of_summary({"usage": {}}, Prices(), AT) is None
    half = {"own-a": {"prompt_tokens": 7}, "own-b": {"prompt_tokens": 5}}
    found = costing.of_summary({"usage": half}, Prices(), AT)
    assert (found["prompt_tokens"], found["completion_tokens"]) == (12, None)


@pytest.mark.parametrize(
    "row",
    [
        {"output": {"usage": "a lot", "model": 3}},
        {"output": {"usage": {"prompt_tokens": 1e99}}, "summary": [], "attributes": "x"},
        {"summary": {"usage": {"gpt-4o": None}}, "output": {"choices": "x"}},
        {
            "kind": "generation",
            "inputs": {"model": "gpt-4o", "messages": [3]},
            "output": {"choices": [3]},
        },
        {
            "kind": "generation",
            "inputs": {"model": "gpt-4o", "messages": [{"role": 3, "content": {"a": 1}}]},
            "output": "x",
        },
    ],
)
def test_a_row_of_any_shape_does_no_harm(row):
    result = score(**row)
    assert result is None or result["cost_usd"] is None or result["cost_usd"] >= 0
