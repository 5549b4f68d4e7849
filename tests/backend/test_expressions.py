from __future__ import annotations

import pytest
from local_backend import field, literal
from weave.trace.errors import InvalidFieldError, InvalidRequest


@pytest.fixture
def local(local):
    inputs = {
        "int": {"v": 5, "s": "five"},
        "float": {"v": 5.5, "s": "Five and a half"},
        "text": {"v": "5 apples", "s": "5"},
        "bool": {"v": True, "s": "true"},
        "null": {"v": None},
        "deep": {"v": {"a b": {"x.y": [1, {"k/~": "found"}]}}},
        "big": {"v": 2**60 + 1},
        "none": {},
    }
    for n, (name, given) in enumerate(inputs.items()):
        local.call(name, n, inputs=given)
    return local


V = field("inputs.v")


@pytest.mark.parametrize(
    ("expr", "ids"),
    [
        ({"$eq": [V, literal(5)]}, "int"),
        ({"$eq": (V, literal(5))}, "int"),
        ({"$eq": [literal(5), V]}, "int"),
        ({"$gt": [V, literal(5)]}, "float big"),
        ({"$lt": [literal(5), V]}, "float big"),
        ({"$gte": [V, literal(5)]}, "int float big"),
        ({"$lt": [V, literal(5.5)]}, "int"),
        ({"$lte": [V, literal(5.5)]}, "int float"),
        ({"$eq": [V, literal(2**60 + 1)]}, "big"),
        ({"$eq": [V, literal(2**60)]}, ""),
        ({"$eq": [V, literal(True)]}, "bool"),
        ({"$eq": [V, literal(1)]}, ""),
        ({"$eq": [V, literal("5")]}, "int"),
        ({"$eq": [field("inputs.s"), literal(5)]}, "text"),
        ({"$eq": [field("inputs.s"), literal(True)]}, "bool"),
        ({"$eq": [V, literal(None)]}, "null none"),
        ({"$eq": [V, field("inputs.s")]}, "bool"),
        ({"$in": [V, [literal(5), literal("5 apples")]]}, "int text"),
        ({"$in": [V, []]}, ""),
        ({"$eq": [field(r"inputs.v.a b.x\.y.0"), literal(1)]}, "deep"),
        ({"$eq": [field(r"inputs.v.a b.x\.y.1.k/~"), literal("found")]}, "deep"),
        ({"$contains": {"input": field("inputs.s"), "substr": literal("five")}}, "int"),
        (
            {
                "$contains": {
                    "input": field("inputs.s"),
                    "substr": literal("FIVE"),
                    "case_insensitive": True,
                }
            },
            "int float",
        ),
        ({"$contains": {"input": field("inputs"), "substr": literal("apples")}}, "text"),
        ({"$and": [{"$gt": [V, literal(1)]}, {"$lt": [V, literal(6)]}]}, "int float"),
        ({"$or": [{"$eq": [V, literal(5)]}, {"$eq": [V, literal(5.5)]}]}, "int float"),
        ({"$and": []}, "int float text bool null deep big none"),
        ({"$eq": [literal("1"), literal("1")]}, "int float text bool null deep big none"),
        ({"$gt": [literal("1"), literal(1)]}, ""),
    ],
)
def test_a_comparison_casts_the_field_as_the_literal_says(local, expr, ids):
    assert local.ids(expr) == ids.split()


@pytest.mark.parametrize(
    ("inner", "ids"),
    [
        ({"$eq": [V, literal(5)]}, "float big"),
        ({"$gt": [V, literal(5)]}, "int"),
        ({"$eq": [V, literal(True)]}, ""),
        ({"$eq": [field("inputs.nowhere"), literal(1)]}, ""),
        ({"$contains": {"input": field("inputs.s"), "substr": literal("five")}}, "float text bool"),
    ],
)
def test_what_is_missing_or_cannot_be_cast_never_matches_under_not_either(local, inner, ids):
    assert local.ids({"$not": [inner]}) == ids.split()


@pytest.mark.parametrize(
    ("to", "expr", "ids"),
    [
        ("exists", None, "int float text bool deep big"),
        ("double", ("$gt", 5.2), "float big"),
        ("int", ("$eq", 5), "int float"),
        ("string", ("$eq", "5"), "int"),
        ("bool", ("$eq", True), "bool"),
    ],
)
def test_a_field_is_converted_on_request(local, to, expr, ids):
    converted = {"$convert": {"input": V, "to": to}}
    asked = converted if expr is None else {expr[0]: [converted, literal(expr[1])]}
    assert local.ids(asked) == ids.split()


def test_a_missing_field_can_be_asked_for(local):
    asked = {"$not": [{"$convert": {"input": V, "to": "exists"}}]}
    assert local.ids(asked) == ["null", "none"]


def test_times_compare_with_iso_text_and_unix_seconds(local):
    started = field("started_at")
    assert local.ids({"$gte": [started, literal("2026-01-01T00:00:06Z")]}) == ["big", "none"]
    assert local.ids({"$lt": [started, literal(1767225601)]}) == ["int"]
    assert local.ids({"$lt": [started, literal("no time")]}) == []


def test_fixed_fields_are_fields_too(local):
    local.call("child", 99, parent_id="int", thread_id="th", wb_user_id="u")
    for path, given in [
        ("id", "child"),
        ("parent_id", "int"),
        ("thread_id", "th"),
        ("wb_user_id", "u"),
    ]:
        assert local.ids({"$eq": [field(path), literal(given)]}) == ["child"]
    assert local.ids({"$eq": [field("parent_id"), literal(None)]})[-1] == "none"
    assert len(local.ids({"$eq": [field("project_id"), literal("local/p")]})) == 9


def test_values_are_parameters_and_never_sql(local):
    hostile = "'; DROP VIEW traces; --"
    local.call("x", 99, inputs={hostile: hostile})
    expr = {"$eq": [field(f"inputs.{hostile}"), literal(hostile)]}
    assert local.ids(expr) == ["x"]


@pytest.mark.parametrize(
    "expr",
    [
        {"$where": "1"},
        {"$eq": [V]},
        {"$eq": [V, literal(1), literal(2)]},
        {"$not": [V, V]},
        {"$and": {"$eq": [V, V]}},
        {"$convert": {"input": V, "to": "date"}},
        "text",
        {"$eq": [V, V], "$gt": [V, V]},
    ],
)
def test_what_is_no_query_is_refused(local, expr):
    with pytest.raises(InvalidRequest):
        local.calls(expr)


def test_a_field_that_calls_do_not_have_is_refused(local):
    with pytest.raises(InvalidFieldError, match="nonsense"):
        local.calls({"$eq": [field("nonsense.x"), literal(1)]})


def test_feedback_fields_match_when_any_feedback_does(local):
    def runnable(call, name, version, output):
        return local.feedback(
            f"wandb.runnable.{name}",
            {"output": output},
            ref=f"weave:///local/p/call/{call}",
            runnable_ref=f"weave:///local/p/object/{name}:{version}",
        )

    runnable("int", "judge", "v1", {"score": 1})
    runnable("int", "judge", "v2", {"score": 3})
    runnable("float", "judge", "v2", {"score": 2})
    runnable("text", "other", "v1", {"score": 9})
    score = field("feedback.[wandb.runnable.judge].payload.output.score")
    ref = field("feedback.[wandb.runnable.judge].runnable_ref")
    assert local.ids({"$gt": [score, literal(1)]}) == ["int", "float"]
    assert local.ids({"$eq": [ref, literal("weave:///local/p/object/judge:v1")]}) == ["int"]
    assert local.ids({"$convert": {"input": score, "to": "exists"}}) == ["int", "float"]
    missing = {"$not": [{"$convert": {"input": score, "to": "exists"}}]}
    assert "text" in local.ids(missing)
    order = [{"field": score["$getField"], "direction": "desc"}]
    assert local.ids(sort_by=order)[:2] == ["int", "float"]
    anything = field("feedback.[*].payload.output.score")
    assert local.ids({"$eq": [anything, literal(9)]}) == ["text"]
