"""Every kind of function, and every way a call can end: the caller sees what it saw before, the row says it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor as PlainExecutor

import pytest
from kinds import ASYNC, KINDS, STREAMS

from llmwatch import faults, settings
from llmwatch.stream import spool
from llmwatch.testing import temporary_store
from llmwatch.tracing import Thread, ThreadPoolExecutor, context, current_row, recorder, traced

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
each_stream = pytest.mark.parametrize("kind", STREAMS, ids=lambda kind: kind.name)
each_async = pytest.mark.parametrize("kind", ASYNC, ids=lambda kind: kind.name)
STOPS = [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit]


def _raiser(error):
    def act(question):
        raise error

    return act


@each_kind
def test_a_return_is_the_very_object_and_a_row(kind, recorded):
    answer = {"text": "yes"}
    assert kind.run("why?", lambda question: answer) is answer
    row = recorded.only()
    assert row["status"] == "success"
    assert row["inputs"]["question"] == "why?"
    assert row["output"] == (["a", answer] if kind.streams else answer)


@each_kind
def test_an_error_passes_unchanged_and_is_recorded(kind, recorded):
    error = ValueError("no answer")
    with pytest.raises(ValueError, match="no answer") as caught:
        kind.run("why?", _raiser(error))
    assert caught.value is error
    assert error.__context__ is None
    assert error.__cause__ is None
    row = recorded.only()
    assert (row["status"], row["exception_type"]) == ("error", "ValueError")
    assert "no answer" in row["exception"]
    assert "in act" in row["exception"]
    if kind.streams:
        assert row["output"] == "a"


@pytest.mark.parametrize("stop", STOPS[1:4], ids=lambda stop: stop.__name__)
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if not kind.is_async], ids=lambda kind: kind.name
)
def test_what_is_no_exception_passes_too(kind, stop, recorded):
    error = stop("stop")
    with pytest.raises(stop) as caught:
        kind.run("why?", _raiser(error))
    assert caught.value is error
    assert recorded.only()["status"] == "error"


@each_async
def test_a_cancelled_task_is_cancelled_and_recorded(kind, recorded):
    async def scene():
        begun = asyncio.Event()

        @traced(name="waits")
        async def waits():
            begun.set()
            await asyncio.sleep(60)

        task = asyncio.ensure_future(kind.arun("why?", lambda question: "b"))
        waiting = asyncio.ensure_future(waits())
        await begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert waiting.cancelled()
        return await task

    assert asyncio.run(scene()) == "b"
    (row,) = recorded.named("waits")
    assert (row["status"], row["exception_type"].endswith("CancelledError")) == ("error", True)


@each_stream
def test_a_stream_closed_early_is_a_success_that_says_so(kind, recorded):
    async def read_one():
        made = kind.call("why?", lambda question: "b")
        if hasattr(made, "__await__"):
            made = await made
        if not kind.is_async:
            assert next(made) == "a"
            made.close()
            return
        assert await made.__anext__() == "a"
        await (made.aclose() if hasattr(made, "aclose") else made.close())

    asyncio.run(read_one())
    row = recorded.only()
    assert (row["status"], row["output"]) == ("success", "a")
    assert row["attributes"]["stream"] == {"ended": "closed early"}
    assert row["ttft_ms"] > 0


@each_stream
@pytest.mark.parametrize("started", [True, False], ids=["started", "never started"])
def test_an_abandoned_stream_is_recorded_when_it_is_collected(kind, started, recorded):
    async def abandon():
        made = kind.call("why?", lambda question: "b")
        if hasattr(made, "__await__"):
            made = await made
        if started:
            assert (await made.__anext__() if kind.is_async else next(made)) == "a"
        del made
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(abandon())
    how = "closed early" if started else "never started"
    assert recorded.only()["attributes"]["stream"] == {"ended": how}


@each_stream
def test_a_stream_left_open_is_written_when_recording_stops(kind, recorded):
    async def leave_open():
        made = kind.call("why?", lambda question: "b")
        if hasattr(made, "__await__"):
            made = await made
        await made.__anext__() if kind.is_async else next(made)
        recorder.deactivate()
        return made

    asyncio.run(leave_open())
    assert recorded.only()["attributes"]["stream"] == {"ended": "left open"}


@each_kind
def test_calls_find_their_parent(kind, recorded):
    @traced(name="inner")
    def inner(question):
        return question

    @traced(name="outer")
    async def outer():
        return await kind.arun("why?", inner)

    asyncio.run(outer())
    (root,), (leaf,) = recorded.named("outer"), recorded.named("inner")
    (middle,) = [row for row in recorded.rows() if row["id"] not in (root["id"], leaf["id"])]
    if kind.name in ("stream", "async_stream"):  # its items are made after the function returned
        assert leaf["parent_id"] == root["id"]
    else:
        assert leaf["parent_id"] == middle["id"]
    assert middle["parent_id"] == root["id"]
    assert "parent_id" not in root
    assert {row["trace_id"] for row in recorded.rows()} == {root["id"]}


@each_kind
def test_threads_and_tasks_keep_their_parent_apart(kind, recorded):
    @traced(name="root")
    def in_threads(count):
        with ThreadPoolExecutor(4) as pool:
            list(
                pool.map(
                    lambda number: kind.run(str(number), lambda question: question), range(count)
                )
            )
        thread = Thread(target=kind.run, args=("thread", lambda question: question))
        thread.start()
        thread.join()

    @traced(name="root")
    async def in_tasks(count):
        await asyncio.gather(
            *(kind.arun(str(number), lambda question: question) for number in range(count))
        )

    in_threads(8)
    asyncio.run(in_tasks(8))
    roots = recorded.named("root")
    children = [row for row in recorded.rows() if row["op_name"] != "root"]
    assert [root["op_name"] for root in roots] == ["root", "root"]
    assert len(children) == 17
    assert {child["parent_id"] for child in children} == {root["id"] for root in roots}
    assert current_row() is None


@each_kind
def test_a_plain_thread_starts_a_trace_of_its_own(kind, recorded):
    @traced(name="root")
    def root():
        with PlainExecutor(1) as pool:
            pool.submit(kind.run, "why?", lambda question: question).result()

    root()
    (child,) = [row for row in recorded.rows() if row["op_name"] != "root"]
    assert child["trace_id"] == child["id"]


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if not k.is_async and not k.streams], ids=lambda kind: kind.name
)
def test_recursion_nests(kind, recorded):
    def deeper(question):
        return question if question == "0" else kind.call(str(int(question) - 1), deeper)

    assert kind.call("3", deeper) == "0"
    parents = {row["id"]: row.get("parent_id") for row in recorded.rows()}
    assert len(parents) == 4
    assert sum(parent is None for parent in parents.values()) == 1


@each_kind
def test_a_store_that_cannot_be_written_changes_nothing(kind, tmp_path):
    with temporary_store(tmp_path / "s", strict=False) as store:
        (tmp_path / "s" / "local").write_text("a file where the entity's directory should be")
        recorder.configure(store.project("local", "demo"), settings.current())
        answer = object()
        faults.clear()
        assert kind.run("why?", lambda question: answer) is answer
        error = ValueError("no answer")
        with pytest.raises(ValueError, match="no answer") as caught:
            kind.run("why?", _raiser(error))
        assert caught.value is error
        assert error.__context__ is None
        assert sum(fault.lost for fault in faults.counts().values()) == 2
        recorder.deactivate()
        spool.close_all()


@each_kind
def test_without_init_a_call_is_only_a_call(kind):
    assert recorder.active() is None
    answer = object()
    assert kind.run("why?", lambda question: answer) is answer


@each_kind
def test_an_unsampled_root_records_nothing_below_it(kind, recorded):
    @traced(name="root", tracing_sample_rate=0)
    async def root():
        assert current_row() is None
        return await kind.arun("why?", lambda question: "b")

    assert asyncio.run(root()) == "b"
    assert recorded.rows() == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup is new in 3.11")
def test_a_task_group_is_one_trace(recorded):
    @traced
    async def child(number):
        await asyncio.sleep(0)

    @traced
    async def group():
        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(child(number))

    asyncio.run(group())
    assert len({row["trace_id"] for row in recorded.rows()}) == 1


def test_a_generator_consumed_elsewhere_stays_with_its_maker(recorded):
    @traced
    def inner():
        return 1

    @traced
    def parts():
        yield inner()
        yield inner()

    @traced
    def make():
        with context(user_id="u7"):
            return iter([parts()])

    made = next(make())
    found = []
    for read in (lambda: found.extend(next(made) for _ in range(1)), lambda: found.extend(made)):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert found == [1, 1]
    (parts_row,), (root,) = recorded.named("parts"), recorded.named("make")
    assert parts_row["parent_id"] == root["id"]
    assert {row["parent_id"] for row in recorded.named("inner")} == {parts_row["id"]}
    assert {row["user_id"] for row in recorded.named("inner")} == {"u7"}


def test_values_sent_and_errors_thrown_reach_the_generator(recorded):
    @traced
    def echo():
        got = yield "ready"
        try:
            yield got
        except KeyError as error:
            yield type(error).__name__
        return "done"

    talk = echo()
    assert [next(talk), talk.send("hello"), talk.throw(KeyError("k"))] == [
        "ready",
        "hello",
        "KeyError",
    ]
    with pytest.raises(StopIteration) as stop:
        next(talk)
    assert stop.value.value == "done"
    assert recorded.only()["output"] == "readyhelloKeyError"
