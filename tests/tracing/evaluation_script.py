"""An evaluation of traced functions: `... write` runs it, `... read ROW` reads it in another process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

import weave

import llmwatch
from llmwatch import StreamTable, traced

QUESTIONS = [{"question": text, "expected": text.upper()} for text in ("a", "bb", "ccc")]


SCORE = "wandb.runnable."


@traced
def look_up(question: str) -> str:
    return question.upper()


@traced(kind="generation")
def answer(question: str) -> dict:
    return {
        "text": look_up(question),
        "model": "gpt-4o-mini",
        "usage": {"prompt_tokens": 10, "completion_tokens": len(question)},
    }


@traced
async def answer_async(question: str) -> dict:
    return answer(question)


@traced
def is_right(expected: str, output: dict) -> dict:
    return {"right": output["text"] == expected}


@traced
async def length(output: dict) -> int:
    return len(output["text"])


class Brief(weave.Scorer):
    most: int = 2

    @traced
    def score(self, output: dict) -> dict:
        return {"brief": len(output["text"]) <= self.most}


def write() -> dict:
    evaluation = weave.Evaluation(
        name="capitals", dataset=QUESTIONS, scorers=[is_right, length, Brief()]
    )
    summary = asyncio.run(evaluation.evaluate(answer))
    again = asyncio.run(evaluation.evaluate(answer_async))
    _, row = answer.call("dddd")
    scored = asyncio.run(row.apply_scorer(Brief()))
    row.feedback.add_reaction("👍")
    row.feedback.add_note("well said")
    doomed = row.feedback.add_note("a mistake")
    row.feedback.purge(doomed)
    row.label({"resolved": True})
    return {"summary": summary, "again": again, "scored": scored.result, "row": row.id}


def read(row_id: str) -> dict:
    client = llmwatch.init("demo/bot")
    call = client.get_call(row_id)
    with StreamTable("demo/bot/traces") as table:
        (row,) = [each for each in table.rows() if each.id == row_id]
        labels, tokens = row.labels, sum(each.get("prompt_tokens") or 0 for each in table.rows())
    scores = client.get_feedback(limit=1000)
    counts = Counter(
        each.feedback_type.removeprefix(SCORE) for each in scores if each.weave_ref != call.ref.uri
    )
    roots = [
        c for c in client.get_calls() if c.op_name.split("/")[-1].startswith("Evaluation.evaluate:")
    ]
    return {
        "output": call.output["text"],
        "feedback": sorted((each.feedback_type, _said(each.payload)) for each in call.feedback),
        "labels": labels,
        "scores": counts,
        "tokens": tokens,
        "evaluations": [tree(client, root) for root in roots],
        "usage": [dict(root.summary["usage"]["gpt-4o-mini"]) for root in roots],
    }


def _said(payload: dict) -> object:
    return payload.get("emoji") or payload.get("note") or dict(payload["output"])


def tree(client, root) -> dict:
    """How many calls of each name there are below an evaluation, by the names on the way."""
    calls = {call.id: call for call in client.get_calls(filter={"trace_ids": [root.trace_id]})}
    return Counter(" > ".join(names(calls, call)[1:]) for call in calls.values())


def names(calls, call) -> list[str]:
    """From the root down."""
    own = call.op_name.split("/")[-1].split(":")[0]
    parent = calls.get(call.parent_id)
    return [*(names(calls, parent) if parent else []), own]


if __name__ == "__main__":
    if sys.argv[1] == "write":
        llmwatch.init("demo/bot")
        seen = write()
        llmwatch.finish()
    else:
        seen = read(sys.argv[2])
    print(json.dumps(seen))
