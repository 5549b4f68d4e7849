"""A program that uses Weave's public API only, with no account: `... write`, then `... read` elsewhere.

Prints one JSON object of what it saw. With `--weave-first`, Weave is imported before llmwatch; every
name look-up and every connection off this machine is counted, whatever made it.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import sys
from contextlib import suppress

lookups, seen = [], {}
HERE = ("127.0.0.1", "::1")
# registered before anything is imported, so that it runs last
atexit.register(lambda: print(json.dumps({"seen": seen, "lookups": lookups})))


def watch(event, args):
    if event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
        lookups.append([event, str(args[0])])
    elif event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in HERE:
        lookups.append([event, str(args[1])])


sys.addaudithook(watch)

if "--weave-first" in sys.argv:
    import weave

import llmwatch  # noqa: E402 - the order of the two imports is what is tested

if "--weave-first" not in sys.argv:
    import weave


@weave.op
def embed(text: str) -> list[int]:
    return [len(text)]


@weave.op
def retrieve(question: str) -> list[str]:
    return [f"doc {n}" for n in embed(question)]


@weave.op
async def answer(question: str) -> dict:
    await asyncio.sleep(0)
    return {"text": question.upper(), "docs": retrieve(question)}


@weave.op
def fail(question: str) -> None:
    raise ValueError(question)


class Length(weave.Scorer):
    least: int = 1

    @weave.op
    def score(self, output: dict, expected: str) -> dict:
        return {"right": output["text"] == expected, "long": len(output["text"]) >= self.least}


@weave.op
def brief(output: dict) -> bool:
    return len(output["text"]) < 5


ROWS = [{"question": q, "expected": q.upper()} for q in ("a", "bb", "ccc")]


def write(client):
    for n in range(6):
        with weave.thread(f"chat-{n % 2}"), weave.attributes({"n": n}):
            asyncio.run(answer(f"question {n}"))
    with suppress(ValueError):
        fail("no")
    weave.publish({"temperature": 0.1}, "config")
    weave.publish({"temperature": 0.2}, "config")
    dataset = weave.Dataset(name="questions", rows=ROWS)
    weave.publish(dataset)
    evaluation = weave.Evaluation(name="ev", dataset=dataset, scorers=[Length(), brief])
    summary = asyncio.run(evaluation.evaluate(answer))
    _, call = asyncio.run(answer.call("scored"))
    asyncio.run(call.apply_scorer(Length(), additional_scorer_kwargs={"expected": "SCORED"}))
    call.feedback.add_reaction("👍")
    note = call.feedback.add_note("good")
    call.feedback.add("stars", {"value": 4})
    call.feedback.purge(note)
    call.set_display_name("the scored one")
    client.flush()
    return {"evaluation": summary["Length"], "brief": summary["brief"]}


def queries(client):
    """Ten ways to ask for calls; how many each finds."""
    op = f"weave:///{client.project_id}/op/answer:*"
    long = {"$expr": {"$gt": [{"$getField": "attributes.n"}, {"$literal": 2}]}}
    said = {
        "$contains": {
            "input": {"$getField": "inputs.question"},
            "substr": {"$literal": "QUESTION"},
            "case_insensitive": True,
        }
    }
    failed = {"$eq": [{"$getField": "summary.weave.status"}, {"$literal": "error"}]}
    newest = [{"field": "started_at", "direction": "desc"}]
    asked = {
        "all": {},
        "by op": {"filter": {"op_names": [op]}},
        "roots": {"filter": {"trace_roots_only": True}},
        "thread": {"filter": {"thread_ids": ["chat-0"]}},
        "attribute": {"query": long},
        "text": {"query": {"$expr": said}},
        "failed": {"query": {"$expr": failed}},
        "page": {"sort_by": newest, "limit": 5, "offset": 2},
        "columns": {"filter": {"op_names": [op]}, "columns": ["output"]},
        "scored": {"scored_by": "Length", "include_feedback": True},
    }
    found = {name: list(client.get_calls(**req)) for name, req in asked.items()}
    assert all(call.output["text"] for call in found["columns"])
    assert [c.id for c in found["page"]] == [
        c.id for c in list(client.get_calls(sort_by=newest, page_size=3))[2:7]
    ]
    return {name: len(calls) for name, calls in found.items()}


def read(client):
    [scored] = [
        c for c in client.get_calls(include_feedback=True) if c.display_name == "the scored one"
    ]
    dataset = weave.ref("questions").get()
    root = client.get_call(scored.id)
    return {
        "queries": queries(client),
        "config": [dict(weave.ref(f"config:v{n}").get()) for n in (0, 1)],
        "latest": dict(weave.ref("config").get()),
        "rows": [dict(row) for row in dataset.rows],
        "feedback": sorted(f.feedback_type for f in scored.feedback),
        "children": [child.func_name for child in root.children()],
        "output": json.loads(json.dumps(root.output)),
        "name": scored.display_name,
    }


def main():
    client = llmwatch.init("scripted")
    if "write" in sys.argv:
        seen.update(write(client))
    seen.update(read(client))
    if "--no-finish" not in sys.argv:
        llmwatch.finish()


if __name__ == "__main__":
    main()
