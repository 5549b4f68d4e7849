from __future__ import annotations

import threading

import pytest
from local_backend import PROJECT, Local, moment
from weave.trace.errors import InvalidFieldError, InvalidRequest


def one(local, call_id="c1", **req):
    return local.server.call_read({"project_id": PROJECT, "id": call_id, **req}).call


def test_every_field_of_a_call_comes_back(local):
    fields = {
        "op_name": "weave:///local/p/op/predict:abc",
        "display_name": "shown",
        "trace_id": "t",
        "parent_id": "parent",
        "thread_id": "thread",
        "turn_id": "turn",
        "attributes": {"a": {"b": 1}},
        "inputs": {"q": "é", "n": [1, 2.5, None, True]},
        "wb_user_id": "u",
        "wb_run_id": "local/p/r",
        "wb_run_step": 3,
    }
    local.start("c1", 0, **fields)
    local.end("c1", 2, output=["any", {"json": None}], summary={"mine": 1}, wb_run_step_end=4)
    call = one(local)
    assert {name: getattr(call, name) for name in fields} == fields
    assert (call.started_at, call.ended_at) == (moment(0), moment(2))
    assert (call.output, call.wb_run_step_end) == (["any", {"json": None}], 4)
    assert call.summary["mine"] == 1
    assert call.project_id == PROJECT


def test_an_end_may_come_before_its_start(local):
    local.end("c1", 2, output=1)
    assert local.calls() == []
    local.start("c1", 0, inputs={"q": 1})
    call = one(local)
    assert (call.inputs, call.output) == ({"q": 1}, 1)
    assert call.summary["weave"]["status"] == "success"


def test_a_running_call_has_a_summary(local):
    local.start("c1")
    assert one(local).summary == {"weave": {"status": "running", "trace_name": "predict"}}


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ({}, "success"),
        ({"exception": "boom"}, "error"),
        ({"exception": "boom", "output": "still"}, "error"),
        ({"summary": {"status_counts": {"success": 1, "error": 2}}}, "descendant_error"),
        ({"summary": {"status_counts": {"success": 1, "error": 0}}}, "success"),
    ],
)
def test_the_status_is_computed_and_a_filter_finds_the_same(local, end, status):
    local.call("c1", **end)
    call = one(local)
    assert call.summary["weave"]["status"] == status
    assert call.output == end.get("output")
    expr = {"$eq": [{"$getField": "summary.weave.status"}, {"$literal": status}]}
    assert local.ids(expr) == ["c1"]


def test_latency_floors_to_milliseconds_and_the_name_is_the_ops_or_the_one_shown(local):
    local.call("c1", took=0.001999)
    local.call("c2", 1, took=1.5, display_name="mine")
    weave = [call.summary["weave"] for call in local.calls()]
    assert [w["latency_ms"] for w in weave] == [1, 1500]
    assert [w["trace_name"] for w in weave] == ["predict", "mine"]
    assert local.ids({"$eq": [{"$getField": "summary.weave.latency_ms"}, {"$literal": 1}]}) == [
        "c1"
    ]
    assert local.ids({"$eq": [{"$getField": "summary.weave.trace_name"}, {"$literal": "mine"}]})


def test_the_stored_summary_stays_as_it_was_sent(local):
    local.call("c1", summary={"usage": {"m": {"requests": 1}}, "weave": {"own": 1}})
    summary = one(local).summary
    assert summary["usage"] == {"m": {"requests": 1}}
    assert summary["weave"]["own"] == 1


def test_a_display_name_changes_and_goes(local):
    local.call("c1", display_name="before")
    local.ask("call_update", call_id="c1", display_name="after")
    assert one(local).display_name == "after"
    local.ask("call_update", call_id="c1", display_name="")
    call = one(local)
    assert (call.display_name, call.summary["weave"]["trace_name"]) == (None, "predict")
    assert call.ended_at is not None


def test_deleting_a_call_deletes_what_is_below_it(local):
    local.call("root")
    local.call("child", 1, trace_id="root", parent_id="root")
    local.call("grandchild", 2, trace_id="root", parent_id="child")
    local.call("other", 3)
    assert local.ask("calls_delete", call_ids=["child"]).num_deleted == 2
    assert local.ids() == ["root", "other"]
    assert one(local, "grandchild") is None


def test_a_missing_call_is_an_empty_stream(local):
    assert local.calls(filter={"call_ids": ["nothing"]}) == []


def test_calls_that_come_whole_are_one_line_each(local):
    complete = {
        "project_id": PROJECT,
        "id": "c1",
        "trace_id": "c1",
        "op_name": "o",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:00:01+00:00",
        "attributes": {},
        "inputs": {"q": 1},
        "output": 2,
        "summary": {},
    }
    local.server.calls_complete({"batch": [complete, {**complete, "id": "c2"}]})
    lines = [p.read_text() for p in local.store.root.rglob("spool/traces/*.jsonl")]
    assert lines[0].count("\n") == 2
    call = one(local)
    assert (call.started_at, call.output) == (moment(0), 2)


def test_a_batch_of_starts_and_ends_answers_each(local):
    start = {"project_id": PROJECT, "id": "c1", "trace_id": "t", "op_name": "o"}
    start |= {"started_at": moment(0), "attributes": {}, "inputs": {}}
    end = {"project_id": PROJECT, "id": "c1", "ended_at": moment(1), "summary": {}}
    batch = [
        {"mode": "start", "req": {"start": start}},
        {"mode": "end", "req": {"end": end}},
    ]
    answers = local.server.call_start_batch({"batch": batch}).res
    assert (answers[0].id, answers[0].trace_id) == ("c1", "t")
    assert one(local).summary["weave"]["status"] == "success"


def test_model_and_tokens_of_a_call_become_columns_but_not_a_parents_sums(local):
    usage = {"gpt": {"requests": 1, "prompt_tokens": 7, "completion_tokens": 5}}
    local.call("leaf", summary={"usage": usage, "status_counts": {"success": 1, "error": 0}})
    local.call("root", summary={"usage": usage, "status_counts": {"success": 2, "error": 0}})
    sql = "SELECT id, model, prompt_tokens, completion_tokens, latency_ms FROM traces ORDER BY id"
    rows = local.server._projects.get(PROJECT).reader().execute(sql).rows
    assert rows == [("leaf", "gpt", 7, 5, 1000.0), ("root", None, None, None, 1000.0)]


# --- order and pages -------------------------------------------------------------------------


def by(path, direction="asc"):
    return [{"field": path, "direction": direction}]


def test_calls_come_by_start_then_id(local):
    for call_id, at in [("b", 1), ("a", 1), ("c", 0)]:
        local.call(call_id, at)
    assert local.ids() == ["c", "a", "b"]
    assert local.ids(sort_by=[]) == ["a", "b", "c"]
    assert local.ids(sort_by=by("started_at", "desc")) == ["b", "a", "c"]


def test_pages_neither_overlap_nor_leave_out_where_the_order_ties(local):
    ids = [f"c{n:02}" for n in range(25)]
    for call_id in ids:
        local.call(call_id, inputs={"same": 1})
    for order in (None, [], by("inputs.same"), by("inputs.missing", "desc")):
        pages = [local.ids(sort_by=order, limit=10, offset=n) for n in (0, 10, 20)]
        assert sorted(call_id for page in pages for call_id in page) == ids


def test_a_dynamic_field_sorts_present_before_missing_then_numbers_then_text(local):
    values = {"ten": 10, "two": 2, "text": "b", "more": "a", "none": None, "list": [1]}
    for name, given in values.items():
        local.call(name, inputs={"v": given})
    local.call("absent")
    ascending = local.ids(sort_by=by("inputs.v"))
    descending = local.ids(sort_by=by("inputs.v", "desc"))
    assert ascending[:2] == ["two", "ten"]
    assert descending[:2] == ["ten", "two"]
    assert set(ascending[-2:]) == set(descending[-2:]) == {"none", "absent"}
    assert ascending.index("more") < ascending.index("text")
    assert descending.index("text") < descending.index("more")


def test_an_order_by_no_field_or_no_direction_is_refused(local):
    with pytest.raises(InvalidFieldError, match="nonsense"):
        local.calls(sort_by=by("nonsense"))
    with pytest.raises(InvalidRequest, match="sideways"):
        local.calls(sort_by=by("started_at", "sideways"))


# --- filters ---------------------------------------------------------------------------------


@pytest.fixture
def varied(local):
    local.call("c1", 0, thread_id="t1", turn_id="u1", wb_user_id="me")
    local.call("c2", 1, trace_id="c1", parent_id="c1", thread_id="t2", wb_run_id="r")
    local.call("c3", 2, op_name="weave:///local/p/op/other:abc")
    local.call("c4", 3, op_name="weave:///local/p/op/predict_more:abc")
    return local


@pytest.mark.parametrize(
    ("filter_", "ids"),
    [
        (None, "c1 c2 c3 c4"),
        ({}, "c1 c2 c3 c4"),
        ({"op_names": []}, "c1 c2 c3 c4"),
        ({"call_ids": None, "trace_ids": []}, "c1 c2 c3 c4"),
        ({"op_names": ["weave:///local/p/op/predict:abc"]}, "c1 c2"),
        ({"op_names": ["weave:///local/p/op/predict:*"]}, "c1 c2"),
        (
            {"op_names": ["weave:///local/p/op/predict:*", "weave:///local/p/op/other:abc"]},
            "c1 c2 c3",
        ),
        ({"call_ids": ["c2", "c4"]}, "c2 c4"),
        ({"trace_ids": ["c1"]}, "c1 c2"),
        ({"parent_ids": ["c1"]}, "c2"),
        ({"trace_roots_only": True}, "c1 c3 c4"),
        ({"trace_roots_only": False}, "c1 c2 c3 c4"),
        ({"thread_ids": ["t1", "t2"]}, "c1 c2"),
        ({"thread_ids": []}, ""),
        ({"turn_ids": []}, ""),
        ({"turn_ids": ["u1"]}, "c1"),
        ({"thread_ids": None}, "c1 c2 c3 c4"),
        ({"wb_user_ids": ["me"]}, "c1"),
        ({"wb_run_ids": ["r"]}, "c2"),
        ({"trace_ids": ["c1"], "trace_roots_only": True}, "c1"),
        ({"unknown": ["x"]}, "c1 c2 c3 c4"),
    ],
)
def test_filters_hold_together_and_each_takes_any_of_its_values(varied, filter_, ids):
    assert varied.ids(filter=filter_) == ids.split()


def test_refs_are_found_anywhere_inside_inputs_and_output(local):
    ref = "weave:///local/p/object/ds:abc"
    local.call("c1", inputs={"deep": [{"in": ref}]})
    local.call("c2", 1, inputs={"told": f"see {ref}"}, output={"a": ref})
    local.call("c3", 2, inputs={"longer": ref + "d"})
    assert local.ids(filter={"input_refs": [ref]}) == ["c1"]
    assert local.ids(filter={"input_refs": ["weave:///local/p/object/ds:*"]}) == ["c1", "c3"]
    assert local.ids(filter={"output_refs": [ref]}) == ["c2"]


# --- columns and expansion -------------------------------------------------------------------


def test_columns_select_parts_and_the_rest_is_empty(local):
    local.call("c1", inputs={"a": 1, "b": 2}, output=3, attributes={"x": 1})
    call = local.calls(columns=["inputs.a", "output"])[0]
    assert (call.inputs, call.output, call.attributes) == ({"a": 1, "b": 2}, 3, {})
    assert (call.ended_at, call.summary) == (None, None)
    call = local.calls(columns=["summary"])[0]
    assert (call.inputs, call.summary["weave"]["latency_ms"]) == ({}, 1000)
    for name in ("id", "trace_id", "project_id", "op_name", "started_at"):
        assert getattr(call, name)


def test_expanded_columns_hold_the_objects_with_their_refs(local):
    inner = f"weave:///local/p/object/inner:{local.publish('inner', {'deep': 7})}"
    outer = f"weave:///local/p/object/outer:{local.publish('outer', {'child': inner})}"
    local.call("c1", inputs={"o": outer, "n": 1})
    columns = ["inputs.o.child", "inputs.o"]
    expanded = local.calls(expand_columns=columns)[0].inputs
    assert expanded["o"]["_ref"] == outer
    assert expanded["o"]["child"] == {"deep": 7, "_ref": inner}
    kept = local.calls(expand_columns=columns, return_expanded_column_values=False)[0].inputs
    assert kept == {"o": outer, "n": 1}
    assert local.calls()[0].inputs["o"] == outer


def test_filters_and_sorts_go_through_expanded_columns(local):
    for n in (3, 1, 2):
        inner = f"weave:///local/p/object/inner:{local.publish('inner', {'deep': n})}"
        outer = f"weave:///local/p/object/outer:{local.publish('outer', {'child': inner})}"
        local.call(f"c{n}", inputs={"o": outer})
    deep, columns = "inputs.o.child.deep", ["inputs.o", "inputs.o.child"]
    expr = {"$gte": [{"$getField": deep}, {"$literal": 2}]}
    assert local.ids(expr, expand_columns=columns) == ["c2", "c3"]
    assert local.calls(sort_by=by(deep, "desc"), expand_columns=columns)[0].id == "c3"
    assert local.ids(expr) == []


def test_sizes_come_when_they_are_asked_for(local):
    local.call("c1", inputs={"q": "x" * 1000})
    local.call("c2", 1, trace_id="c1", parent_id="c1", inputs={"q": "x" * 500})
    calls = local.calls(include_storage_size=True, include_total_storage_size=True)
    assert calls[0].storage_size_bytes > 1000
    assert calls[0].total_storage_size_bytes > 1500
    assert calls[1].total_storage_size_bytes is None
    stats = local.ask("calls_query_stats", include_total_storage_size=True)
    assert stats.total_storage_size_bytes == calls[0].total_storage_size_bytes


# --- threads and processes -------------------------------------------------------------------


def test_many_threads_record_and_read_at_once(local):
    def work(name):
        for n in range(20):
            local.call(f"{name}{n}", n)
            if n % 5 == 0:
                local.calls(limit=5)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(local.ids()) == 80


def test_a_suspended_stream_stops_nobody(local):
    for n in range(3):
        local.call(f"c{n}", n)
    stream = local.server.calls_query_stream({"project_id": PROJECT})
    assert next(stream).id == "c0"
    local.call("late", 9)
    thread = threading.Thread(target=local.ids)
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert [call.id for call in stream] == ["c1", "c2"]


def test_calls_survive_compaction_and_a_new_server(local):
    from llmwatch import settings
    from llmwatch.stream import spool
    from llmwatch.stream.compact import compact

    local.call("c1", inputs={"q": 1}, output=2)
    local.start("c2", 1)
    before = local.calls()
    spool.close_all()
    compact(local.store.project("local", "p"), "traces", settings=settings.load(worker=False))
    local.end("c2", 5)
    again = Local(local.store)
    assert again.calls()[0] == before[0]
    assert again.calls()[1].summary["weave"]["latency_ms"] == 4000


def test_credentials_are_taken_out_before_the_spool(local):
    local.call("c1", inputs={"api_key": "abc123"}, output={"text": "sk-" + "a1b2" * 8})
    content = b"".join(p.read_bytes() for p in local.store.root.rglob("*") if p.is_file())
    assert b"abc123" not in content
    assert b"a1b2a1b2" not in content


def test_a_value_past_its_limit_is_cut_and_the_call_kept(store):
    from llmwatch import settings
    from llmwatch.backend.server import LocalTraceServer

    local = Local(store)
    local.server = LocalTraceServer(store, settings.load(worker=False, field_limit_kb=10))
    local.call("c1", inputs={"q": "x" * 100_000}, output="fine")
    call = one(local)
    assert call.output == "fine"
    assert 0 < len(str(call.inputs)) < 20_000
