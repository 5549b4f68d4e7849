"""`llmwatch.breaker`: when it trips, what it serves, how it recovers; time is set, so nothing waits."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import llmwatch
from llmwatch import BreakerOpen, StreamTable, clock, traced
from llmwatch.circuit import alerted, breaker
from llmwatch.cli import main
from llmwatch.errors import SettingsError


class Now:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us

    def passes(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


class Model:
    """What is called: it fails or is slow as told, and counts its calls."""

    def __init__(self, now: Now) -> None:
        self.now, self.calls, self.down, self.takes_s = now, 0, False, 0.0

    def __call__(self, question: str) -> str:
        self.calls += 1
        self.now.passes(self.takes_s)
        if self.down:
            raise TimeoutError("no answer")
        return f"answer to {question}"


@pytest.fixture
def now():
    breaker.forget()
    time = Now()
    with clock.use(now=time):
        yield time
    breaker.forget()


@pytest.fixture
def model(now):
    return Model(now)


def sorry(question: str) -> str:
    return f"sorry, {question}"


def call(function, times, question="why?"):
    answers = []
    for _ in range(times):
        try:
            answers.append(function(question))
        except TimeoutError:
            answers.append(None)
    return answers


def ask_through(model, **limits):
    @llmwatch.breaker("model", **{"fallback": sorry, "min_calls": 4, "rest_s": 30, **limits})
    def ask(question: str) -> str:
        """Ask it."""
        return model(question)

    return ask


# --- tripping ----------------------------------------------------------------------------------


def test_while_it_is_closed_answers_and_errors_pass_unchanged(model):
    ask = ask_through(model)
    assert ask("why?") == "answer to why?"
    model.down = True
    with pytest.raises(TimeoutError, match="no answer"):
        ask("why?")
    assert (ask.__name__, ask.__doc__) == ("ask", "Ask it.")


def test_it_opens_at_the_error_rate_and_the_fallback_answers_without_a_call(model):
    ask = ask_through(model, error_rate=0.5)
    call(ask, 2)
    model.down = True
    assert call(ask, 2) == [None, None]  # 2 of 4
    assert ask.breaker.state == "open"
    assert call(ask, 3) == ["sorry, why?"] * 3
    assert model.calls == 4


def test_it_stays_closed_below_the_rate_and_below_the_least_number_of_calls(model):
    ask = ask_through(model, error_rate=0.5, min_calls=5)
    model.down = True
    call(ask, 4)
    assert ask.breaker.state == "closed"
    model.down = False
    call(ask, 5)
    model.down = True
    call(ask, 0)
    assert ask.breaker.state == "closed"  # 4 of 9


def test_calls_count_for_the_window_only(model, now):
    ask = ask_through(model, window_s=60)
    model.down = True
    call(ask, 3)
    now.passes(66)
    call(ask, 3)
    assert ask.breaker.state == "closed"
    call(ask, 1)
    assert ask.breaker.state == "open"


def test_it_opens_when_calls_are_slow(model):
    ask = ask_through(model, slow_ms=1000, slow_rate=0.5)
    call(ask, 2)
    model.takes_s = 1.0
    assert call(ask, 2) == ["answer to why?"] * 2
    assert ask.breaker.state == "open"


def test_errors_that_are_the_askers_own_do_not_count(model):
    @llmwatch.breaker("model", min_calls=1, ignore=ValueError)
    def ask(question):
        raise ValueError(question)

    for _ in range(5):
        with pytest.raises(ValueError, match="why"):
            ask("why?")
    assert ask.breaker.state == "closed"
    assert ask.breaker._circuit.counts().calls == 0


def test_without_a_fallback_the_refusal_says_when_to_come_back(model, now):
    ask = llmwatch.breaker("model", min_calls=1, rest_s=30)(model)
    model.down = True
    call(ask, 1)
    now.passes(10)
    with pytest.raises(BreakerOpen, match=r"'model' is open; it probes again in 20 s") as refused:
        ask("why?")
    assert (refused.value.breaker, refused.value.retry_after_s) == ("model", 20)


def test_the_fallback_may_be_a_value(model):
    ask = ask_through(model, fallback="later", min_calls=1)
    ask.breaker.trip()
    assert ask("why?") == "later"


# --- recovering --------------------------------------------------------------------------------


def test_after_the_rest_probes_are_made_and_close_it(model, now):
    ask = ask_through(model, probes=2)
    model.down = True
    call(ask, 4)
    model.down = False
    now.passes(29.9)
    assert call(ask, 1) == ["sorry, why?"]
    now.passes(0.2)
    assert call(ask, 1) == ["answer to why?"]
    assert ask.breaker.state == "half_open"
    assert call(ask, 1) == ["answer to why?"]
    assert ask.breaker.state == "closed"


def test_a_probe_that_fails_opens_it_again_and_its_caller_gets_the_fallback(model, now):
    ask = ask_through(model)
    model.down = True
    call(ask, 4)
    now.passes(31)
    assert call(ask, 1) == ["sorry, why?"]
    assert (model.calls, ask.breaker.state) == (5, "open")
    now.passes(29)
    assert (call(ask, 1), model.calls) == (["sorry, why?"], 5)


def test_no_more_probes_run_at_once_than_are_needed(now):
    release, began = threading.Event(), threading.Semaphore(0)

    @llmwatch.breaker("model", fallback="instead", probes=2, rest_s=30)
    def ask():
        began.release()
        release.wait(10)
        return "answer"

    ask.breaker.trip()
    now.passes(31)
    with ThreadPoolExecutor(2) as pool:
        probes = [pool.submit(ask) for _ in range(2)]
        for _ in probes:
            assert began.acquire(timeout=10)
        assert [ask() for _ in range(5)] == ["instead"] * 5
        release.set()
        assert [probe.result(10) for probe in probes] == ["answer"] * 2
    assert ask.breaker.state == "closed"


def test_a_probe_that_hangs_does_not_keep_it_half_open_for_ever(now):
    held = llmwatch.breaker("model", probes=1, rest_s=30)
    held.trip()
    now.passes(31)
    held.__enter__()  # a probe that is never heard of again
    with pytest.raises(BreakerOpen):
        held.__enter__()
    now.passes(31)
    with held:
        pass
    assert held.state == "closed"


def test_what_began_before_it_opened_counts_for_nothing_after(now):
    held = llmwatch.breaker("model", min_calls=1, rest_s=30, probes=3)
    held.__enter__()
    held.trip()
    now.passes(31)
    with held:
        pass
    held.__exit__(TimeoutError, TimeoutError(), None)
    assert held.state == "half_open"


# --- the ways to use it ------------------------------------------------------------------------


def test_as_a_block_it_raises_when_the_call_is_not_to_be_made(model):
    model.down = True
    refused = 0
    for _ in range(6):
        try:
            with llmwatch.breaker("model", min_calls=3):
                model("why?")
        except TimeoutError:
            assert not refused
        except BreakerOpen:
            refused += 1
    assert (model.calls, refused) == (3, 3)


def test_blocks_of_two_breakers_nest(now):
    with llmwatch.breaker("a", min_calls=1) as a, pytest.raises(TimeoutError):  # noqa: SIM117
        with llmwatch.breaker("b", min_calls=1) as b:
            raise TimeoutError
    assert (a.state, b.state) == ("closed", "open")


def test_async_functions_and_fallbacks(now):
    async def elsewhere(question):
        await asyncio.sleep(0)
        return f"sorry, {question}"

    @llmwatch.breaker("model", fallback=elsewhere, min_calls=3)
    async def ask(question):
        await asyncio.sleep(0)
        raise TimeoutError

    async def many():
        first = await asyncio.gather(*(ask("why?") for _ in range(3)), return_exceptions=True)
        return [type(each) for each in first], await ask("why?")

    assert asyncio.run(many()) == ([TimeoutError] * 3, "sorry, why?")


def test_a_cancelled_call_says_nothing_unless_it_was_slow(now):
    @llmwatch.breaker("model", min_calls=1, slow_ms=1000)
    async def ask(takes_s):
        now.passes(takes_s)
        await asyncio.sleep(3600)

    async def cancelled(takes_s):
        task = asyncio.create_task(ask(takes_s))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled(0.1))
    assert ask.breaker.state == "closed"
    asyncio.run(cancelled(2))
    assert ask.breaker.state == "open"


def test_a_stream_is_judged_when_it_ends_and_timed_by_its_first_chunk(now):
    down = False

    @llmwatch.breaker("model", fallback=["sorry"], min_calls=3, error_rate=0.6, slow_ms=1000)
    def stream(question):
        yield "answer "
        now.passes(5)  # its reader is slow
        if down:
            raise TimeoutError
        yield question

    assert list(stream("why?")) == ["answer ", "why?"]
    assert stream.breaker.state == "closed"
    down = True
    for _ in range(2):
        with pytest.raises(TimeoutError):
            list(stream("why?"))
    assert list(stream("why?")) == ["sorry"]


def test_a_generator_is_sent_to_thrown_into_and_closed_as_without_a_breaker(now):
    heard = []

    @llmwatch.breaker("model")
    def talk():
        try:
            while True:
                try:
                    heard.append((yield len(heard)))
                except KeyError as error:
                    heard.append(error.args[0])
        finally:
            heard.append("closed")

    talking = talk()
    assert [next(talking), talking.send("a"), talking.throw(KeyError("b"))] == [0, 1, 2]
    talking.close()
    assert heard == ["a", "b", "closed"]
    assert talk.breaker._circuit.counts().calls == 1


def test_an_async_stream_falls_back_too(now):
    async def instead(question):
        for word in ("sorry, ", question):
            yield word

    @llmwatch.breaker("model", fallback=instead, min_calls=1)
    async def stream(question):
        raise TimeoutError
        yield question

    async def collected():
        return [chunk async for chunk in stream("why?")]

    with pytest.raises(TimeoutError):
        asyncio.run(collected())
    assert asyncio.run(collected()) == ["sorry, ", "why?"]


def test_methods_have_it_too(model):
    class Client:
        @llmwatch.breaker("method", fallback=lambda self, question: f"{self}: {question}")
        def ask(self, question):
            return model(question)

        def __str__(self):
            return "client"

    assert Client().ask("why?") == "answer to why?"
    Client.ask.breaker.trip()
    assert Client().ask("why?") == "client: why?"


def test_a_name_is_one_breaker(now):
    first = llmwatch.breaker("model", min_calls=7)
    assert llmwatch.breaker("model") is first
    assert llmwatch.breaker("model", min_calls=7) is first
    with pytest.raises(SettingsError, match="'model' already, with other limits"):
        llmwatch.breaker("model", min_calls=8)
    other = llmwatch.breaker("model", fallback="x")
    first.trip()
    assert other(sorry)("why?") == "x"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"error_rate": 50}, "error_rate is a share above 0 and up to 1, not 50"),
        ({"slow_ms": -1}, "slow_ms is a number above 0"),
        ({"probes": 0}, "probes is a whole number from 1 on"),
        ({"error_rate": None}, "never trips"),
        ({"ignore": "ValueError"}, "types of exceptions"),
        (
            {"timeout": 3},
            "unexpected keyword argument 'timeout'; a breaker takes fallback, error_rate",
        ),
    ],
)
def test_limits_that_cannot_be_are_said(now, limits, said):
    with pytest.raises(SettingsError, match=f"breaker 'model': .*{said}"):
        llmwatch.breaker("model", **limits)


def test_threads_hammering_it_lose_no_count_and_see_no_error_of_its_own(now):
    @llmwatch.breaker("model", min_calls=10**6)
    def ask(n):
        if n % 2:
            raise TimeoutError
        return n

    def asked(n):
        try:
            return ask(n)
        except TimeoutError:
            return None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(asked, range(4000)))
    counts = ask.breaker._circuit.counts()
    assert (counts.calls, counts.failed) == (4000, 2000)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_whose_parent_held_the_lock_goes_on(now):
    ask = llmwatch.breaker("model")(sorry)
    with ask.breaker._circuit._lock:
        child = os.fork()
        if not child:
            os._exit(0 if ask("why?") == "sorry, why?" else 1)
    assert os.waitpid(child, 0)[1] == 0


# --- what is recorded --------------------------------------------------------------------------


@pytest.fixture
def recording(llmwatch_store):
    llmwatch.init("shop")
    yield llmwatch_store
    llmwatch.finish()


def test_each_change_of_state_is_a_row(recording, model, now, capsys):
    ask = ask_through(model, probes=1)
    model.down = True
    call(ask, 6)
    model.down = False
    now.passes(31)
    call(ask, 1)
    rows = list(StreamTable("shop/breakers").rows())
    told = [
        (row["state"], row["was"], row["reason"], row["refused"], row["lasted_s"]) for row in rows
    ]
    assert told == [
        ("open", "closed", "errors", 0, 0.0),
        ("half_open", "open", "rest", 2, 31.0),
        ("closed", "half_open", "recovered", 0, 0.0),
    ]
    assert (rows[0]["breaker"], rows[0]["said"]) == ("model", "4 of 4 calls failed")
    assert (rows[0]["error_rate"], rows[0]["calls"], rows[0]["pid"]) == (1.0, 4, os.getpid())
    assert main(["breakers", "shop"]) == 0
    said = capsys.readouterr().out
    assert "closed" in said
    assert "the probe went well" in said
    assert "half_open" not in said


def test_before_init_it_works_and_records_nothing(llmwatch_store, model):
    ask = ask_through(model)
    model.down = True
    call(ask, 5)
    assert ask.breaker.state == "open"
    assert llmwatch_store.projects() == []


def test_the_row_that_the_fallback_answered_says_so(recording, model, now):
    guarded = ask_through(model)

    @traced
    def answer(question):
        return guarded(question)

    guarded.breaker.trip()
    answer("why?")
    row = next(iter(StreamTable("shop/traces").rows()))
    assert row["attributes"]["breaker"] == {"name": "model", "state": "open"}
    assert row["output"] == "sorry, why?"


def test_a_store_that_cannot_be_written_fails_no_call(recording, model, monkeypatch, caplog):
    from llmwatch import faults

    def broken(*_, **__):
        raise OSError("the disk is gone")

    monkeypatch.setattr("llmwatch.stream.table.StreamTable.__init__", broken)
    ask = ask_through(model)
    with faults.strict(False):
        model.down = True
        assert call(ask, 5)[-1] == "sorry, why?"
    assert "could not be recorded" in caplog.text


# --- alerts ------------------------------------------------------------------------------------


def fire(alert, state="firing", **told):
    StreamTable("shop/alerts").log(
        {
            "state": state, "alert": alert, "rule": "errors", "severity": "P0", "at_us": clock.now_us(),
            "table": "traces", "set": "traffic", "group": "{}", "metric": "errors/total_rate_percent",
            "said": "60%", **told,
        }
    )  # fmt: skip


def looked(ask):
    """Look as the thread beside the calls does."""
    ask.breaker._lookout.look()
    return ask.breaker.state


def test_an_alert_of_its_rule_opens_it_once(recording, model, now):
    ask = ask_through(model, alert="errors", probes=1)
    fire("a-1", rule="slow")
    assert looked(ask) == "closed"
    fire("a-2")
    assert looked(ask) == "open"
    assert next(iter(StreamTable("shop/breakers").rows()))["said"] == "P0 errors: 60%"
    now.passes(31)
    assert call(ask, 1) == ["answer to why?"]
    assert looked(ask) == "closed"  # though the alert goes on
    fire("a-2", "resolved")
    assert looked(ask) == "closed"
    fire("a-2", "reopened")
    assert looked(ask) == "open"


def test_a_call_starts_the_look_beside_it_and_not_at_every_call(recording, model, now, monkeypatch):
    looks = []
    done = threading.Event()
    monkeypatch.setattr(alerted.Lookout, "look", lambda self: (looks.append(1), done.set()))
    ask = ask_through(model, alert="errors")
    call(ask, 5)
    assert done.wait(10)
    assert looks == [1]
    lookout = ask.breaker._lookout
    with lookout._looking:  # the first look is over
        pass
    done.clear()
    now.passes(alerted.EVERY_S)
    call(ask, 1)
    assert done.wait(10)
    assert looks == [1, 1]
