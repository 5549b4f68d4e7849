"""The boundary where our faults stop."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from llmwatch import faults
from llmwatch.errors import LlmwatchError


@pytest.fixture(autouse=True)
def _fresh():
    faults.clear()
    with faults.strict(on=False):
        yield
    faults.clear()


class PanicException(BaseException):
    """Named as the one that Rust extensions raise."""


def test_a_cause_is_said_once_and_then_at_every_tenfold_count(caplog):
    for _ in range(100):
        faults.report("the disk is full", OSError("no space"), lost=2)
    assert [record.getMessage() for record in caplog.records] == [
        "the disk is full: OSError: no space; 2 records lost so far",
        "the disk is full: OSError: no space; 20 records lost so far (10 times in this process)",
        "the disk is full: OSError: no space; 200 records lost so far (100 times in this process)",
    ]


def test_counts_say_what_each_cause_cost():
    faults.report("a", ValueError("x"), lost=1)
    faults.report("a", lost=3)
    faults.report("b")
    assert faults.counts()["a"] == faults.Fault("a", count=2, lost=4, last_error="ValueError: x")
    assert faults.counts()["b"].lost == 0


def test_counts_are_exact_across_threads():
    threads = [
        threading.Thread(target=lambda: [faults.report("t", lost=1) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults.counts()["t"].lost == 2000


def test_a_contained_fault_does_not_reach_the_caller():
    with faults.contained("recording"):
        raise RuntimeError("ours")
    assert faults.counts()["recording"].count == 1


def test_a_panic_of_a_rust_extension_is_contained():
    with faults.contained("compaction"):
        raise PanicException
    assert faults.counts()["compaction"].count == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_the_user_stops_passes_through(error):
    with pytest.raises(error), faults.contained("recording"):
        raise error


def test_a_guarded_function_gives_none_when_it_fails():
    @faults.guarded("halving")
    def half(number: int) -> float:
        return 1 / number

    assert (half(2), half(0)) == (0.5, None)
    assert half.__name__ == "half"


def test_strict_raises_where_the_fault_was_reported():
    with faults.strict():
        with pytest.raises(RuntimeError, match="ours"), faults.contained("recording"):
            raise RuntimeError("ours")
        with pytest.raises(LlmwatchError, match="nothing written"):
            faults.report("nothing written")


def test_an_error_whose_text_cannot_be_made_is_still_counted():
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError

    faults.report("odd", Unspeakable())
    assert faults.counts()["odd"].last_error == "Unspeakable"


def test_a_log_handler_that_faults_itself_does_not_hang():
    class Recording(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            faults.report("the handler", lost=1)

    handler = Recording()
    faults.logger.addHandler(handler)
    try:
        faults.report("first")
    finally:
        faults.logger.removeHandler(handler)
    assert faults.counts()["the handler"].count >= 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_another_thread_reports_can_report():
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with faults._lock:
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        faults.report("in the child")
        os._exit(0 if "in the child" in faults.counts() else 1)
    release.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
