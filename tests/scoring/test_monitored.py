"""Monitors of Weave's score the calls they ask for, and Weave sees the scores."""

from __future__ import annotations

import pytest
import weave
from scoring_rows import run, said

import llmwatch
from llmwatch.scorers import Safety, TokenCost
from llmwatch.scoring.configured import lanes
from llmwatch.store import open_store

pytestmark = pytest.mark.usefixtures("llmwatch_store")


@pytest.fixture
def client():
    yield llmwatch.init("local/demo")
    llmwatch.finish()


@llmwatch.traced(kind="generation")
def answer(question: str) -> str:
    return question


@llmwatch.traced
def other(question: str) -> str:
    return question


def monitored():
    return [lane for lane in lanes(open_store()) if lane.name.startswith("monitor.")]


def test_a_monitor_scores_the_ops_it_names_and_weave_sees_it(client):
    safety = Safety(policy="strict")
    monitor = weave.Monitor(name="safe", scorers=[safety], op_names=["answer"])
    monitor.activate()
    _, call = answer.call("my mail is ann@example.com")
    other("nothing to see")
    [lane] = monitored()
    assert lane.specs[0].settings["policy"] == "strict"
    run(lane)
    assert [event["row_id"] for event in said()] == [call.id]
    [feedback] = client.get_call(call.id).feedback
    assert feedback.feedback_type == "wandb.runnable.safety"
    assert feedback.payload["output"]["flagged"] is True
    assert feedback.runnable_ref == safety.ref.uri


def test_a_monitor_that_is_not_active_has_no_lane(client):
    monitor = weave.Monitor(name="costs", scorers=[TokenCost()], op_names=["answer"])
    monitor.activate()
    assert len(monitored()) == 1
    monitor.deactivate()
    assert monitored() == []


def test_a_scorer_that_is_stored_code_is_not_run_but_told_of(client, caplog):
    class Mine(weave.Scorer):
        @weave.op
        def score(self, *, output: str) -> dict:
            raise AssertionError("never")

    weave.Monitor(name="mine", scorers=[Mine()], op_names=["answer"]).activate()
    assert monitored() == []
    assert "not run from the store" in caplog.text
