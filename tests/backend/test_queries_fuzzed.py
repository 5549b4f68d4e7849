"""Any query, sort, filter, page and columns: the calls that plain Python finds, in its order, or an InvalidRequest."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_backend import PROJECT, Local, moment
from plain_queries import Query, ordered, passes
from weave.trace.errors import InvalidFieldError, InvalidRequest

from llmwatch.store import open_store
from llmwatch.stream import spool

REF = "weave:///local/p/object/thing:abc"
HOSTILE = [
    "'; DROP VIEW traces; --",
    '"',
    "\\",
    "%",
    "_",
    "?",
    "$1",
    "{}",
    "\0",
    "é\u202e",
    "a.b",
    "x y",
    "~/",
    "[0]",
    "$",
]
VALUES = [
    *(
        5,
        -3,
        0,
        5.5,
        1e20,
        2**60 + 1,
        True,
        False,
        None,
        "5",
        "5.5",
        "-3",
        "1e3",
        "five",
        "",
        "true",
        "ABC",
        "abc",
    ),
    *([1, "two", {"k": 3}], {"k": "v", "n": 5}, [], {}, REF, *HOSTILE),
]
KEYS = ["v", "w", "k", "n", "0", "1", "a.b", "x y", *HOSTILE]
JSON_FIELDS = ("inputs", "output", "attributes")


def escaped(key):
    return key.replace("\\", "\\\\").replace(".", "\\.")


def made_calls():
    for n, value in enumerate(VALUES):
        failed = n % 7 == 6
        yield {
            "id": f"c{n:02}",
            "trace_id": f"t{n % 5}",
            "parent_id": None if n % 3 == 0 else f"c{n - 1:02}",
            "op_name": f"op{n % 4}",
            "thread_id": None if n % 2 else f"th{n % 3}",
            "inputs": {"v": value, "w": VALUES[(n * 7 + 3) % len(VALUES)], KEYS[n % len(KEYS)]: n},
            "attributes": {"n": n, "k": {"v": VALUES[-n - 1]}},
            "output": None if failed else value,
            "exception": "no" if failed else None,
        }


CALLS = list(made_calls())


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    local = Local(open_store(tmp_path_factory.mktemp("fuzz") / "store"))
    for n, call in enumerate(CALLS):
        start = {k: v for k, v in call.items() if k not in {"id", "output", "exception"}}
        local.call(call["id"], n, output=call["output"], exception=call["exception"], **start)
    yield local
    spool.close_all()


keys = st.sampled_from(KEYS).map(escaped)
paths = st.one_of(
    st.sampled_from(
        ["id", "trace_id", "parent_id", "op_name", "thread_id", "exception", "inputs.v", "inputs.w"]
    ),
    st.sampled_from(
        ["attributes.n", "attributes.k.v", "output.k", "output.2.k", "inputs.v.n", "inputs.nowhere"]
    ),
    st.builds("{}.{}".format, st.sampled_from(JSON_FIELDS), keys),
    st.builds("{}.{}.{}".format, st.sampled_from(JSON_FIELDS), keys, keys),
)
fields = paths.map(lambda path: {"$getField": path})
literals = st.sampled_from([each for each in VALUES if not isinstance(each, (list, dict))]).map(
    lambda value: {"$literal": value}
)
operands = st.one_of(fields, literals)
comparisons = st.builds(
    lambda operator, pair, turned: {operator: list(reversed(pair)) if turned else pair},
    st.sampled_from(["$eq", "$gt", "$gte", "$lt", "$lte"]),
    st.tuples(fields, operands).map(list),
    st.booleans(),
)
conditions = st.one_of(
    comparisons,
    st.builds(lambda field, some: {"$in": [field, some]}, fields, st.lists(literals, max_size=3)),
    st.builds(
        lambda field, part, folded: {
            "$contains": {"input": field, "substr": part, "case_insensitive": folded}
        },
        fields,
        st.sampled_from(["abc", "5", "", "e", *HOSTILE]).map(lambda value: {"$literal": value}),
        st.booleans(),
    ),
    fields.map(lambda field: {"$convert": {"input": field, "to": "exists"}}),
)
queries = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: {"$and": each}),
        st.lists(inner, max_size=3).map(lambda each: {"$or": each}),
        inner.map(lambda each: {"$not": [each]}),
    ),
    max_leaves=6,
)
sorts = st.lists(
    st.builds(
        lambda path, direction: {"field": path, "direction": direction},
        paths,
        st.sampled_from(["asc", "desc"]),
    ),
    max_size=2,
)
some = {
    "op_names": [f"op{n}" for n in range(5)],
    "trace_ids": [f"t{n}" for n in range(6)],
    "parent_ids": [call["id"] for call in CALLS],
    "call_ids": [call["id"] for call in CALLS],
    "thread_ids": ["th0", "th1", "th2", "nowhere"],
    "input_refs": [REF, "weave:///local/p/object/other:1"],
    "output_refs": [REF],
}
filters = st.fixed_dictionaries(
    {},
    optional={
        **{
            key: st.none() | st.lists(st.sampled_from(values), max_size=4)
            for key, values in some.items()
        },
        "trace_roots_only": st.booleans(),
    },
)
pages = st.fixed_dictionaries(
    {}, optional={"limit": st.integers(0, 8), "offset": st.integers(0, 40)}
)
quick = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(query=queries, filter_=filters, sort_by=sorts, page=pages)
def test_the_same_calls_in_the_same_order_as_plain_python(local, query, filter_, sort_by, page):
    found = [call for call in CALLS if passes(call, filter_) and Query(query).holds(call)]
    offset, limit = page.get("offset", 0), page.get("limit", len(CALLS))
    expected = [call["id"] for call in ordered(found, sort_by)][offset : offset + limit]
    req = {"filter": filter_, "sort_by": sort_by, **page}
    assert local.ids(query, **req) == expected


@quick
@given(
    columns=st.lists(
        st.sampled_from([*JSON_FIELDS, "inputs.v", "id", "exception", "summary"]), min_size=1
    )
)
def test_columns_choose_what_is_there_and_change_no_value(local, columns):
    parts = {column.split(".")[0] for column in columns}
    for call, made in zip(local.calls(columns=columns), CALLS, strict=True):
        assert (call.id, call.trace_id, call.op_name) == (
            made["id"],
            made["trace_id"],
            made["op_name"],
        )
        for part in JSON_FIELDS:
            nothing = None if part == "output" else {}
            assert getattr(call, part) == (made[part] if part in parts else nothing)
        assert (call.summary is not None) == ("summary" in parts)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(HOSTILE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "$and",
                    "$or",
                    "$not",
                    "$eq",
                    "$in",
                    "$contains",
                    "$convert",
                    "$getField",
                    "$literal",
                    "input",
                    "to",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@quick
@given(expr=anything, path=st.text(max_size=12), columns=st.lists(st.text(max_size=6), max_size=2))
def test_what_is_no_query_is_an_invalid_request_and_harms_nothing(local, expr, path, columns):
    order = [{"field": path, "direction": "asc"}]
    for req in (
        {"query": {"$expr": expr}},
        {"query": expr if isinstance(expr, dict) else None},
        {"sort_by": order},
    ):
        try:
            found = local.server.calls_query(
                {"project_id": PROJECT, "columns": columns, **req}
            ).calls
        except (InvalidRequest, InvalidFieldError):
            continue
        assert {call.id for call in found} <= {call["id"] for call in CALLS}
    assert local.server.calls_query_stats({"project_id": PROJECT}).count == len(CALLS)


@quick
@given(text=st.text(max_size=30), place=st.sampled_from(["path", "literal", "id", "sort", "op"]))
def test_no_text_becomes_sql(local, text, place):
    req = {
        "path": {
            "query": {
                "$expr": {"$eq": [{"$getField": f"inputs.{text}"}, {"$literal": "no such value"}]}
            }
        },
        "literal": {
            "query": {"$expr": {"$eq": [{"$getField": "inputs.nowhere"}, {"$literal": text}]}}
        },
        "id": {"filter": {"call_ids": [text]}},
        "sort": {"sort_by": [{"field": f"attributes.{text}", "direction": "asc"}], "limit": 0},
        "op": {"filter": {"op_names": [text + "no such op"]}},
    }[place]
    assert local.server.calls_query({"project_id": PROJECT, **req}).calls == []


def test_times_in_queries_are_not_python_code(local):
    for given_time in ("now()", "2026-01-01'::TIMESTAMP OR 1=1 --", moment(3).isoformat()):
        expr = {"$eq": [{"$getField": "started_at"}, {"$literal": given_time}]}
        assert len(local.ids(expr)) == int(given_time == moment(3).isoformat())
