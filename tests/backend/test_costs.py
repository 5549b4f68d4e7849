from __future__ import annotations

import pytest
from local_backend import field, literal, moment
from weave.trace.errors import InvalidFieldError


def add(local, llm_id="gpt", prompt=1.0, completion=2.0, at=None):
    price = {"prompt_token_cost": prompt, "completion_token_cost": completion}
    if at is not None:
        price["effective_date"] = moment(at)
    return local.ask("cost_create", costs={llm_id: price}).ids[0][1]


def costs(local, call_id):
    [call] = local.calls(filter={"call_ids": [call_id]}, include_costs=True)
    return call.summary["weave"].get("costs")


def used(local, call_id, at=0, **tokens):
    local.call(call_id, at, summary={"usage": {"gpt": {"requests": 1, **tokens}}})


def test_prices_are_kept_found_and_purged(local):
    ids = [add(local, "a", 1), add(local, "b", 2)]
    found = local.ask("cost_query").results
    assert [(c.id, c.llm_id, c.prompt_token_cost) for c in found] == [
        (ids[0], "a", 1.0),
        (ids[1], "b", 2.0),
    ]
    assert found[0].prompt_token_cost_unit == "USD"
    assert found[0].effective_date.tzinfo is not None
    by_name = {"$expr": {"$in": [field("llm_id"), [literal("b")]]}}
    assert [c.llm_id for c in local.ask("cost_query", query=by_name).results] == ["b"]
    local.ask("cost_purge", query={"$expr": {"$in": [field("id"), [literal(ids[0])]]}})
    assert [c.id for c in local.ask("cost_query").results] == [ids[1]]
    with pytest.raises(InvalidFieldError):
        local.ask("cost_query", query={"$expr": {"$eq": [field("nonsense"), literal(1)]}})


def test_a_call_costs_its_tokens_at_the_projects_price(local):
    add(local, prompt=0.5, completion=2, at=-1)
    used(local, "c1", prompt_tokens=10, completion_tokens=3, total_tokens=13)
    cost = costs(local, "c1")["gpt"]
    assert (cost["prompt_tokens"], cost["completion_tokens"], cost["total_tokens"]) == (10, 3, 13)
    assert (cost["prompt_tokens_total_cost"], cost["completion_tokens_total_cost"]) == (5, 6)
    assert (cost["prompt_token_cost"], cost["completion_token_cost"]) == (0.5, 2)
    assert (cost["provider_id"], cost["pricing_level"]) == ("default", "project")
    assert cost["effective_date"].startswith("2025-12-31")


def test_input_tokens_are_prompt_tokens(local):
    add(local, at=-1)
    used(local, "c1", input_tokens=10, output_tokens=3)
    assert costs(local, "c1")["gpt"]["prompt_tokens_total_cost"] == 10


def test_the_latest_price_in_effect_when_the_call_started_counts(local):
    for price, at in [(3, 100), (1, -10), (2, 5)]:
        add(local, prompt=price, at=at)
    for call_id, at in [("before", 4), ("at", 5), ("after", 200)]:
        used(local, call_id, at, prompt_tokens=1)
    totals = [costs(local, c)["gpt"]["prompt_tokens_total_cost"] for c in ("before", "at", "after")]
    assert totals == [1, 2, 3]


def test_without_a_price_the_tokens_are_known_and_the_cost_is_not(local):
    used(local, "c1", prompt_tokens=10)
    cost = costs(local, "c1")["gpt"]
    assert (cost["prompt_tokens"], cost["prompt_tokens_total_cost"]) == (10, None)


def test_calls_that_used_no_model_have_no_costs(local):
    local.call("c1")
    assert costs(local, "c1") is None


def test_a_known_model_costs_its_built_in_price_where_the_project_said_none(local):
    tokens = {"prompt_tokens": 1000, "completion_tokens": 500}
    local.call("c1", 0, summary={"usage": {"gpt-4o-mini": tokens}})
    cost = costs(local, "c1")["gpt-4o-mini"]
    assert (cost["prompt_tokens_total_cost"], cost["completion_tokens_total_cost"]) == (
        0.00015,
        0.0003,
    )
    assert (cost["pricing_level"], cost["provider_id"]) == ("default", "openai")
    add(local, "gpt-4o-mini", prompt=1.0, at=-1)
    assert costs(local, "c1")["gpt-4o-mini"]["pricing_level"] == "project"


def test_cached_tokens_cost_what_the_cache_does(local):
    inside = {"prompt_tokens_details": {"cached_tokens": 600}}
    tokens = {"prompt_tokens": 1000, "completion_tokens": 0, **inside}
    local.call("c1", 0, summary={"usage": {"gpt-4o": tokens, "own": tokens}})
    add(local, "own", prompt=0.5, at=-1)
    found = costs(local, "c1")
    assert found["gpt-4o"]["prompt_tokens_total_cost"] == pytest.approx(
        400 * 2.5e-6 + 600 * 1.25e-6
    )
    assert found["own"]["prompt_tokens_total_cost"] == 500  # the project gave no price of the cache
