"""Code written for Weave's old monitoring runs once its import is changed."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

import llmwatch
from llmwatch import errors, faults
from llmwatch.monitoring import (
    MonitorRecord,
    StreamTable,
    default_monitor,
    deinit_monitor,
    init_monitor,
    monitor,
)
from llmwatch.stream import compact

pytestmark = pytest.mark.usefixtures("llmwatch_store")
ROW_COLUMNS = {
    "result_id", "start_datetime", "end_datetime", "latency_ms", "inputs", "output", "exception",
}  # fmt: skip
SPAN_COLUMNS = {
    "trace_id", "span_id", "parent_id", "name", "status_code", "start_time_s", "end_time_s",
    "inputs", "output", "exception", "attributes", "summary", "timestamp",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_monitor_stays():
    yield
    deinit_monitor()


def only(rows):
    (row,) = rows
    return row


def spans(m):
    return {row["name"]: row for row in m.rows()}


# --- StreamTable --------------------------------------------------------------------------


def test_the_snippet_of_streamtable_runs_as_it_is():
    st = StreamTable("prodmon_demo")
    for i in range(3):
        img = Image.new("RGB", (4, 4), (i, 0, 0))
        st.log({"_id": i, "text": f"row {i}", "img": img})
    st.finish()
    rows = list(StreamTable("prodmon_demo").rows())
    assert [(row["_id"], row["text"]) for row in rows] == [(i, f"row {i}") for i in range(3)]
    assert [row["img"].getpixel((0, 0)) for row in rows] == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]


def test_a_row_gains_a_timestamp_if_it_has_none_and_its_client():
    st = StreamTable("p/t")
    st.log([{"a": 1}, {"a": 2, "timestamp": "2023-01-01"}])
    first, second = st.rows()
    assert list(first.data) == ["a", "_client_id", "timestamp"]
    assert second["timestamp"] == "2023-01-01"
    assert first["_client_id"] == second["_client_id"] == st.client_id


def test_each_writer_has_a_client_id_of_its_own():
    one, two = StreamTable("p/t"), StreamTable("p/t")
    one.log({"a": 1})
    two.log({"a": 2})
    assert [row["_client_id"] for row in one.rows()] == [one.client_id, two.client_id]
    assert one.client_id != two.client_id


def test_a_forked_child_is_a_client_of_its_own():
    st = StreamTable("p/t")
    st.log({"who": "parent"})
    child = os.fork()
    if child == 0:
        st.log({"who": "child"})
        os._exit(0)
    os.waitpid(child, 0)
    assert len({row["_client_id"] for row in st.rows()}) == 2


def test_the_row_that_was_logged_is_left_as_it_was():
    row = {"a": 1}
    StreamTable("p/t").log(row)
    assert row == {"a": 1}


def test_a_name_given_twice_is_a_value_error():
    with pytest.raises(ValueError, match="twice"):
        StreamTable("p/t", project_name="q")
    with pytest.raises(ValueError, match="twice"):
        monitor("p/t", project_name="q")(lambda: 1)


# --- monitor ------------------------------------------------------------------------------


def test_the_snippet_of_monitor_runs_as_it_is():
    @monitor()
    def complete(prompt_1, prompt_2):
        return f"{prompt_1} {prompt_2}"

    assert complete("hello", prompt_2="world") == "hello world"
    row = only(complete.rows())
    assert row["inputs"] == {"prompt_1": "hello", "prompt_2": "world"}
    assert (row["output"], row["exception"]) == ("hello world", None)
    assert set(row) >= ROW_COLUMNS
    assert row.id == row["result_id"]
    assert complete.rows().table.name == "test_monitoring-complete"
    assert row["start_datetime"] <= row["end_datetime"]


def test_the_rows_read_the_same_from_the_lake():
    @monitor("p/calls")
    def double(n):
        return n * 2

    double(4)
    table = double.rows().table
    before = [dict(row) for row in double.rows()]
    table.finish()
    assert compact.compact(table.project, table.name, settings=table._settings).rows == 1
    assert [dict(row) for row in double.rows()] == before
    found = table.query("SELECT result_id = id AS same, latency_ms, status FROM calls").dicts()
    assert found[0]["same"] is True
    assert found[0]["status"] == "success"


def test_frames_hold_the_inputs_and_the_output_too():
    @monitor("p/calls")
    def double(n):
        return n * 2

    double(4)
    frame = double.rows().select("result_id", "inputs", "output").to_arrow()
    assert [(r["inputs"], r["output"]) for r in frame.to_pylist()] == [('{"n":4}', "8")]
    assert double.rows().filter("output = '8'").count() == 1


def test_without_brackets_it_decorates_too():
    @monitor
    def f(x):
        return x

    assert f(1) == 1
    assert only(f.rows())["output"] == 1


def test_feedback_is_added_before_and_after_the_record_is_logged():
    @monitor("p/calls", auto_log=False)
    def answer(question):
        return question.upper()

    record = answer("why?")
    assert record.get() == "WHY?"
    assert list(answer.rows()) == []
    record.add_data({"rating": 5})
    record.finalize()
    record.finalize()
    record.add_data({"comment": "late"})
    row = only(answer.rows())
    assert (row.id, row["rating"], row["output"]) == (record.id, 5, "WHY?")
    assert [(f["name"], f["value"]) for f in row.feedback] == [("comment", "late")]


def test_a_record_that_was_not_finalised_is_logged_at_exit(tmp_path):
    program = (
        "from llmwatch.monitoring import monitor\n"
        "f = monitor('p/calls', auto_log=False)(lambda x: x + 1)\n"
        "f(1).add_data({'rating': 4})\n"
    )
    environment = {**os.environ, "LLMWATCH_STORE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    row = only(StreamTable("p/calls", store=tmp_path).rows())
    assert (row["output"], row["rating"]) == (2, 4)


def test_an_error_is_recorded_and_raised():
    @monitor("p/calls", auto_log=False)
    def fail():
        raise ValueError("no such user")

    with pytest.raises(ValueError, match="no such user"):
        fail()
    row = only(fail.rows())
    assert (row["exception"], row["output"]) == ("ValueError: no such user", None)


def test_without_raising_the_record_holds_the_error():
    @monitor("p/calls", raise_on_error=False)
    def divide(n):
        return 1 / n

    failed, went_well = divide(0), divide(1)
    assert isinstance(failed.exception, ZeroDivisionError)
    assert (failed.get(), went_well.get(), went_well.exception) == (None, 1.0, None)
    assert [row["exception"] for row in divide.rows()] == [
        "ZeroDivisionError: division by zero",
        None,
    ]


def test_a_keyboard_interrupt_is_never_swallowed():
    @monitor("p/calls", raise_on_error=False)
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert only(stop.rows())["exception"] == "KeyboardInterrupt: "


def test_async_functions_are_awaited():
    @monitor("p/calls", auto_log=False)
    async def answer(question):
        await asyncio.sleep(0)
        return question

    assert inspect.iscoroutinefunction(answer)
    record = asyncio.run(answer("q"))
    assert isinstance(record, MonitorRecord)
    record.finalize()
    assert only(answer.rows())["output"] == "q"


def test_generators_are_recorded_when_they_end():
    @monitor("p/calls")
    def words(n):
        for i in range(n):
            yield f"w{i} "

    stream = words(3)
    assert next(stream) == "w0 "
    assert list(words.rows()) == []
    assert list(stream) == ["w1 ", "w2 "]
    assert only(words.rows())["output"] == "w0 w1 w2 "


def test_a_generator_that_is_dropped_half_way_is_recorded_as_far_as_it_went():
    @monitor("p/calls")
    def words():
        yield "a"
        yield "b"

    stream = words()
    next(stream)
    del stream
    row = only(words.rows())
    assert (row["output"], row["stream"]) == ("a", {"ended": "closed early"})


def test_async_generators_are_recorded_when_they_end():
    @monitor("p/calls", raise_on_error=False)
    async def words():
        yield "a"
        raise ValueError("cut")

    async def read():
        record = words()
        return [word async for word in record.get()], record.exception

    found, error = asyncio.run(read())
    assert (found, str(error)) == (["a"], "cut")
    assert only(words.rows())["exception"] == "ValueError: cut"


def test_methods_of_every_kind_are_monitored():
    class Bot:
        @monitor("p/calls")
        def ask(self, q):
            return q

        @monitor("p/class")
        @classmethod
        def make(cls, n):
            return n

        @monitor("p/static")
        @staticmethod
        def add(a, b):
            return a + b

    bot = Bot()
    assert (bot.ask("q"), Bot.make(3), bot.add(1, 2)) == ("q", 3, 3)
    assert only(bot.ask.rows())["inputs"]["q"] == "q"
    assert only(Bot.make.rows())["output"] == 3
    assert only(Bot.add.rows())["inputs"] == {"a": 1, "b": 2}


def test_inputs_are_as_they_were_when_the_call_began():
    @monitor("p/calls")
    def grow(items):
        items.append(2)
        return items

    grow([1])
    row = only(grow.rows())
    assert (row["inputs"], row["output"]) == ({"items": [1]}, [1, 2])


def test_values_are_processed_before_they_are_recorded():
    @monitor(
        "p/calls",
        input_preprocessor=lambda inputs: {"length": len(inputs["text"])},
        output_postprocessor=str.upper,
    )
    def same(text):
        return text

    assert same("abc") == "abc"
    row = only(same.rows())
    assert (row["inputs"], row["output"]) == ({"length": 3}, "ABC")


def test_credentials_are_not_recorded():
    @monitor("p/calls")
    def call(api_key, text):
        raise ValueError(f"bad key {api_key}")

    with pytest.raises(ValueError, match="bad key"):
        call("sk-" + "a" * 40, text="Bearer " + "b" * 40)
    stored = json.dumps([dict(row) for row in call.rows()], default=str)
    assert "a" * 9 not in stored  # an id may have four of them
    assert "b" * 9 not in stored


def test_usage_of_an_answer_reaches_the_columns_of_calls():
    @monitor("p/calls")
    def chat(q):
        return {"model": "gpt-4o", "usage": {"prompt_tokens": 3, "completion_tokens": 5}}

    chat("q")
    found = chat.rows().table.query("SELECT model, prompt_tokens, completion_tokens FROM calls")
    assert found.rows == [("gpt-4o", 3, 5)]


def test_recording_follows_init_to_its_project(llmwatch_store):
    @monitor("calls")
    def f(x):
        return x

    f(1)
    assert f.rows().table.project.name == "monitoring"
    llmwatch.init("elsewhere", store=str(llmwatch_store.root), worker=False)
    try:
        f(2)
        assert f.rows().table.project.name == "elsewhere"
        assert only(f.rows())["output"] == 2
    finally:
        llmwatch.finish()


def test_a_store_that_cannot_be_written_does_not_stop_the_function(tmp_path):
    (tmp_path / "file").write_text("")
    program = (
        "from llmwatch.monitoring import init_monitor, monitor\n"
        "print(monitor()(lambda x: x + 1)(1))\n"
        "print(init_monitor('p/t').trace()(lambda x: x + 2)(1))\n"
    )
    environment = {**os.environ, "LLMWATCH_STORE": str(tmp_path / "file" / "store")}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2", "3"]
    assert "could not be opened" in done.stderr


# --- spans --------------------------------------------------------------------------------


def test_spans_nest_and_carry_attributes():
    m = init_monitor("team/p/pipeline")

    @m.trace(postprocess=len)
    def retrieve(query):
        return [query, "doc"]

    with m.attributes({"version": "v1"}), m.span("answer") as s:
        s.inputs = {"q": "why"}
        s.attributes["tier"] = "pro"
        with m.attributes({"step": 1}):
            retrieve("why")
        s.output = "because"
        s.summary["prompt_tokens"], s.summary["completion_tokens"] = 7, 2
        s.summary["cost"] = 0.5
    found = spans(m)
    outer, inner = found["answer"], found["retrieve"]
    assert set(outer) >= SPAN_COLUMNS
    assert set(inner) >= SPAN_COLUMNS
    assert outer["parent_id"] is None
    assert inner["parent_id"] == outer["span_id"]
    assert inner["trace_id"] == outer["trace_id"]
    assert outer["attributes"] == {"version": "v1", "tier": "pro"}
    assert inner["attributes"] == {"version": "v1", "step": 1}
    assert (inner["inputs"], inner["output"]) == ({"query": "why"}, 2)
    assert (outer["inputs"], outer["output"]) == ({"q": "why"}, "because")
    assert (outer["status_code"], outer["exception"]) == ("SUCCESS", None)
    assert outer["summary"]["total_tokens"] == 9
    assert outer["summary"]["latency_s"] >= inner["summary"]["latency_s"]
    assert outer["start_time_s"] <= inner["start_time_s"] <= inner["end_time_s"]


def test_spans_are_calls_to_boards_and_searches():
    m = init_monitor("p/pipeline")
    with m.span("outer"), m.span("inner") as s:
        s.attributes["model"], s.summary["cost"] = "gpt-4o", 0.25
    sql = "SELECT op_name, parent_id IS NULL, model, cost_usd, status FROM main.pipeline ORDER BY 1"
    found = m.rows().table.reader.execute(sql, tables=["pipeline"]).rows
    assert found == [
        ("inner", False, "gpt-4o", 0.25, "success"),
        ("outer", True, None, None, "success"),
    ]


def test_a_span_that_fails_says_how_and_so_does_its_parent():
    m = init_monitor("p/pipeline")
    with pytest.raises(KeyError), m.span("outer"), m.span("inner"):
        raise KeyError("k")
    assert {(r["status_code"], r["exception"]) for r in m.rows()} == {("ERROR", "KeyError: 'k'")}


def test_spans_of_tasks_have_the_parent_they_were_started_in():
    m = init_monitor("p/pipeline")

    @m.trace()
    async def step(n):
        await asyncio.sleep(0)
        with m.span(f"inner {n}"):
            await asyncio.sleep(0)

    async def run():
        with m.span("root"):
            await asyncio.gather(step(1), step(2))

    asyncio.run(run())
    rows = list(m.rows())
    by_id = {row["span_id"]: row for row in rows}
    for row in rows:
        if row["name"].startswith("inner"):
            assert row["name"][-1] == str(by_id[row["parent_id"]]["inputs"]["n"])
    assert len(rows) == 5
    assert len({row["trace_id"] for row in rows}) == 1


def test_a_traced_generator_is_the_parent_of_what_it_does_only():
    m = init_monitor("p/pipeline")

    @m.trace()
    def numbers():
        with m.span("inside"):
            pass
        yield 1
        yield 2

    with m.span("reader"):
        stream = numbers()
        next(stream)
        with m.span("between"):
            pass
        list(stream)
    found = spans(m)
    assert found["inside"]["parent_id"] == found["numbers"]["span_id"]
    assert found["between"]["parent_id"] == found["reader"]["span_id"]
    assert found["numbers"]["output"] == [1, 2]


def test_the_default_monitor_records_from_init_to_deinit(monkeypatch):
    monkeypatch.setattr("llmwatch.monitoring.spans._hinted", False)
    m = default_monitor()

    @m.trace()
    def f(x):
        return x

    assert f(1) == 1
    with pytest.raises(errors.LlmwatchError, match="init_monitor"):
        m.rows()
    init_monitor("p/pipeline")
    f(2)
    found = m.rows()
    deinit_monitor()
    f(3)
    assert [row["output"] for row in found] == [2]
    assert faults.counts() == {}
