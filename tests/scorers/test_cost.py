"""TokenCost in the four ways that a scorer is used."""

from __future__ import annotations

import asyncio

import pytest
import weave

import llmwatch
from llmwatch import StreamTable, traced
from llmwatch.scorers import TokenCost
from llmwatch.scorers.protocol import name_of, parsed, score_many
from llmwatch.testing import temporary_store
from llmwatch.testing.openai_server import openai_server


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """An evaluation and a call of a function that asks a model, and the rows of both."""
    import openai

    with (
        temporary_store(tmp_path_factory.mktemp("cost")),
        openai_server("Hello there, friend.") as server,
    ):
        client = openai.OpenAI(base_url=server.url, api_key="test")
        weave_client = llmwatch.init("demo/cost")

        @traced
        def ask(question: str) -> str:
            asked = [{"role": "user", "content": question}]
            reply = client.chat.completions.create(model="gpt-4o-mini", messages=asked)
            return reply.choices[0].message.content

        evaluation = weave.Evaluation(
            dataset=[{"question": "hello"}, {"question": "hello"}], scorers=[TokenCost()]
        )
        summary = asyncio.run(evaluation.evaluate(ask))
        ask("hello")
        llmwatch.finish()
        weave_client = llmwatch.init("demo/cost")
        call = next(c for c in weave_client.get_calls() if "openai" in c.op_name)
        applied = asyncio.run(call.apply_scorer(TokenCost())).result
        llmwatch.finish()
        with StreamTable("demo/cost/traces") as table:
            stored = table.reader.execute("SELECT * FROM traces ORDER BY ts").dicts()
            found = score_many(
                TokenCost().in_project(table.reader), [parsed(row) for row in stored]
            )
        yield {"summary": summary, "applied": applied, "scores": found, "rows": stored}
        client.close()


COST = 8 * 0.15e-6 + 5 * 0.6e-6


def test_on_rows_only_the_call_of_the_model_costs(recorded):
    costs = [score["cost_usd"] for score in recorded["scores"] if score]
    assert costs == [pytest.approx(COST)] * 3
    assert len(recorded["rows"]) > len(costs)


def test_in_an_evaluation_a_prediction_costs_what_was_called_under_it(recorded):
    summary = recorded["summary"]["token_cost"]
    assert summary["cost_usd"]["mean"] == pytest.approx(COST)
    assert summary["prompt_tokens"]["mean"] == 8
    assert summary["estimated"] == {"true_count": 0, "true_fraction": 0.0}


def test_applied_to_a_call_it_says_the_same(recorded):
    assert recorded["applied"]["cost_usd"] == pytest.approx(COST)
    assert recorded["applied"]["tokens_from"] == "provider"


def test_its_name_is_that_of_the_score():
    assert name_of(TokenCost()) == "token_cost"
