"""Weave's public API from end to end: `write` says everything once, `read` asks everything, prints it as JSON.

With `--http` it is an unmodified Weave client that knows a server by its environment only; without, the backend is in
this process. What is printed holds no id and no time, so that it is the same wherever it ran.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
import wave
from datetime import datetime, timedelta, timezone

if "--http" not in sys.argv:
    import llmwatch

import weave
from PIL import Image
from pydantic import Field
from weave.flow import leaderboard
from weave.flow.saved_view import SavedView
from weave.trace.weave_client import get_ref

PROJECT = "everything"
ROWS = [{"question": q, "expected": q.upper()} for q in ("a", "bb", "ccc")]


@weave.op
def tokenize(text: str) -> list[str]:
    return list(text)


@weave.op(kind="llm")
def complete(prompt: str) -> dict:
    count = len(prompt)
    usage = {"prompt_tokens": count, "completion_tokens": 1, "total_tokens": count + 1}
    return {"text": prompt.upper(), "model": "tiny-1", "usage": usage}


@weave.op
def answer(question: str, config: dict | None = None) -> dict:
    return {"text": complete("".join(tokenize(question)))["text"]}


@weave.op
def fail(reason: str) -> None:
    raise ValueError(reason)


@weave.op
def parts():
    yield from ("a", "b", "c")


@weave.op
def look(picture: Image.Image, sound: wave.Wave_read, note: weave.Content) -> Image.Image:
    return picture.rotate(90)


class Upper(weave.Model):
    suffix: str = ""

    @weave.op
    def predict(self, question: str) -> dict:
        return {"text": question.upper() + self.suffix}


class Right(weave.Scorer):
    @weave.op
    def score(self, output: dict, expected: str) -> dict:
        return {"right": output["text"] == expected}


@weave.op
def length(output: dict) -> int:
    return len(output["text"])


class Thing(weave.Object):
    size: int
    tags: list[str] = Field(default_factory=list)


def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((4, 4))


def sound() -> wave.Wave_read:
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\1\0" * 80)
    content.seek(0)
    return wave.open(content)


# --- writing ------------------------------------------------------------------------------


def write(client):
    write_objects(client)
    write_calls(client)
    client.flush()
    write_evaluations(client)
    client.flush()
    write_feedback(client)
    delete_some(client)
    client.flush()


def write_objects(client):
    for temperature in (0.1, 0.2):
        weave.publish({"temperature": temperature, "nested": {"k": [1, 2]}}, "config")
        client.flush()  # what is published over HTTP is on its way for a while
    weave.publish(Thing(name="thing", size=3, tags=["x"]))
    weave.publish(weave.Dataset(name="questions", rows=ROWS))
    weave.publish(weave.MessagesPrompt([{"role": "user", "content": "Hi {name}"}]), "greeting")
    weave.publish(weave.StringPrompt("Say {word}"), "saying")
    weave.publish(picture(), "picture")
    weave.publish(sound(), "sound")
    weave.publish(weave.Content.from_text("hello", mimetype="text/markdown"), "note")
    weave.publish(weave.Markdown("# hi"), "markdown")
    weave.publish({"when": datetime(2026, 1, 2, tzinfo=timezone.utc), "large": 2**60}, "odd")
    first = weave.ref("config:v0").get().ref
    weave.set_aliases(first, "production")
    weave.add_tags(first, ["good", "old"])
    weave.remove_tags(first, ["old"])
    spec = weave.AnnotationSpec(
        name="stars", field_schema={"type": "integer", "minimum": 1, "maximum": 5}
    )
    weave.publish(spec, "stars")
    weave.Monitor(
        name="watch", scorers=[Right()], op_names=["answer"], sampling_rate=0.5
    ).activate()
    client.add_cost("tiny-1", 0.5, 2.0, effective_date=datetime(2020, 1, 1, tzinfo=timezone.utc))
    view = SavedView("traces", "failed ones")
    view.add_filter("summary.weave.status", "equals", "error")
    view.add_columns("id", "op_name", "inputs.reason")
    view.save()


def write_calls(client):
    config = weave.ref("config:v1").get()
    for n in range(6):
        with weave.thread(f"chat-{n % 2}"), weave.attributes({"n": n, "even": n % 2 == 0}):
            answer(f"question {n}", config=config)
    with contextlib.suppress(ValueError):
        fail("no")
    list(parts())
    look(picture(), sound(), weave.Content.from_text("see"))
    _, call = answer.call("to be renamed")
    call.set_display_name("the renamed one")
    client.finish_call(
        client.create_call("by hand", {"x": 1}), output={"y": [1, None, True, 2**60, "é\0"]}
    )


def write_evaluations(client):
    evaluation = weave.Evaluation(
        name="ev", dataset=weave.ref("questions").get(), scorers=[Right(), length]
    )
    for suffix in ("", "!"):
        asyncio.run(evaluation.evaluate(Upper(name="Upper", suffix=suffix)))
    logger = weave.EvaluationLogger(name="by hand", model="hand-model", dataset=ROWS[:2])
    for row in ROWS[:2]:
        prediction = logger.log_prediction(inputs=row, output=row["expected"])
        prediction.log_score(scorer="exact", score=True)
        prediction.finish()
    logger.log_summary({"mean": 0.5})
    board = leaderboard.Leaderboard(
        name="board",
        columns=[
            leaderboard.LeaderboardColumn(
                evaluation_object_ref=get_ref(evaluation).uri,
                scorer_name="Right",
                summary_metric_path="right.true_fraction",
            )
        ],
    )
    weave.publish(board, "board")


def write_feedback(client):
    _, call = answer.call("judged")
    asyncio.run(call.apply_scorer(Right(), additional_scorer_kwargs={"expected": "JUDGED"}))
    call.feedback.add_reaction("👍🏽")
    note = call.feedback.add_note("to be taken back")
    call.feedback.add_note("kept", creator="ann")
    call.feedback.purge(note)
    for n in (3, 5):
        call.feedback.add("rating", {"value": n, "good": n > 3})
    client.server.feedback_create(
        {
            "project_id": client.project_id,
            "weave_ref": get_ref(call).uri,
            "feedback_type": "wandb.annotation.stars",
            "annotation_ref": stars(client),
            "payload": {"value": 4},
        }
    )
    client.flush()


def stars(client):
    """The ref of the annotation's schema."""
    [found] = client.server.objs_query(
        {"project_id": client.project_id, "filter": {"object_ids": ["stars"], "latest_only": True}}
    ).objs
    return f"weave:///{client.project_id}/object/stars:{found.digest}"


def delete_some(client):
    _, call = answer.call("to be deleted")
    client.flush()
    client.delete_call(call)
    weave.publish({"temperature": 0.3}, "config")
    client.delete_object_version(weave.ref("config:v2"))


# --- reading ------------------------------------------------------------------------------


def read(client):
    return {name: section(client) for name, section in SECTIONS.items()}


def objects(client):
    latest, first = weave.ref("config").get(), weave.ref("config:v0").get().ref
    thing = client.get(weave.ref("thing"), objectify=False)
    greeting = client.get(weave.ref("greeting"), objectify=False)
    return {
        "latest": plain(latest),
        "versions": [plain(weave.ref(f"config:v{n}").get()) for n in (0, 1)],
        "deleted": refused(lambda: weave.ref("config:v2").get()),
        "missing": refused(lambda: weave.ref("nowhere").get()),
        "digest": weave.ref("config").get().ref.digest,
        "thing": [thing.size, list(thing.tags)],
        "rows": [plain(row) for row in weave.ref("questions").get().rows],
        "row": plain(weave.ref("questions").get().rows[1]),
        "greeting": [plain(each) for each in greeting.messages],
        "saying": weave.ref("saying").get().format(word="x"),
        "odd": str(plain(weave.ref("odd").get())),
        "by alias": plain(weave.ref("config:production").get()),
        "tags": [sorted(weave.get_tags(first)), sorted(weave.list_tags())],
        "aliases": [sorted(weave.get_aliases(first)), sorted(weave.list_aliases())],
        "ops": sorted(
            {
                each.object_id
                for each in client.server.objs_query(
                    {
                        "project_id": client.project_id,
                        "filter": {"is_op": True, "latest_only": True},
                    }
                ).objs
            }
        ),
    }


def media(client):
    [call] = calls(client, "look")
    note = weave.ref("note").get()
    return {
        "picture": list(weave.ref("picture").get().tobytes()),
        "sound": weave.ref("sound").get().readframes(80).hex(),
        "note": [note.data.decode(), note.mimetype],
        "markdown": weave.ref("markdown").get().markup,
        "input": list(call.inputs["picture"].tobytes()),
        "output": call.output.size,
        "content": call.inputs["note"].data.decode(),
        "sound in a call": call.inputs["sound"].getnframes(),
    }


def queries(client):
    """Many ways to ask for calls; what each finds."""
    op = f"weave:///{client.project_id}/op/answer:*"
    config = weave.ref("config:v1")
    config_ref = client.get(config).ref.uri
    asked = {
        "all": {},
        "by op": {"filter": {"op_names": [op]}},
        "roots": {"filter": {"trace_roots_only": True}},
        "thread": {"filter": {"thread_ids": ["chat-0"]}},
        "no thread": {"filter": {"thread_ids": []}},
        "input ref": {"filter": {"input_refs": [config_ref]}},
        "attribute": {"query": expr("$gt", "attributes.n", 2)},
        "and": {
            "query": {
                "$expr": {
                    "$and": [ex("$eq", "attributes.even", True), ex("$gt", "attributes.n", 0)]
                }
            }
        },
        "not": {"query": {"$expr": {"$not": [ex("$eq", "attributes.n", 2)]}}},
        "text": {"query": contains("inputs.question", "QUESTION", case_insensitive=True)},
        "failed": {"query": expr("$eq", "summary.weave.status", "error")},
        "descendants": {"query": expr("$eq", "summary.weave.status", "descendant_error")},
        "named": {"query": expr("$eq", "display_name", "the renamed one")},
        "exists": {
            "query": {
                "$expr": {"$convert": {"input": {"$getField": "inputs.reason"}, "to": "exists"}}
            }
        },
        "in": {
            "query": {
                "$expr": {
                    "$in": [{"$getField": "attributes.n"}, [{"$literal": n} for n in (1, 5, 9)]]
                }
            }
        },
        "expanded": {
            "filter": {"op_names": [op]},
            "query": expr("$eq", "inputs.config.temperature", 0.2),
            "expand_columns": ["inputs.config"],
        },
        "rated": {"query": expr("$gt", "feedback.[rating].payload.value", 4)},
        "scored by": {"scored_by": "Right"},
        "page": {
            "sort_by": [{"field": "attributes.n", "direction": "desc"}],
            "limit": 3,
            "offset": 1,
        },
        "sorted by output": {
            "filter": {"op_names": [op]},
            "sort_by": [{"field": "output.text", "direction": "asc"}],
        },
    }
    found = {name: list(client.get_calls(**req)) for name, req in asked.items()}
    ordered = {
        "page": [call.attributes["n"] for call in found["page"]],
        "sorted by output": [call.output["text"] for call in found["sorted by output"]],
        "expanded": [plain(call.inputs["config"]["nested"]) for call in found["expanded"]][:1],
    }
    counted = {name: len(client.get_calls(**req)) for name, req in asked.items() if name != "page"}
    assert counted == {name: len(each) for name, each in found.items() if name != "page"}
    return {**{name: len(each) for name, each in found.items()}, **ordered}


def included(client):
    [judged] = [
        c for c in client.get_calls(include_feedback=True, include_costs=True) if is_judged(c)
    ]
    summary = judged.summary["weave"]
    projected = [
        c
        for c in client.get_calls(columns=["inputs.question"])
        if c.inputs.get("question") == "judged"
    ]
    return {
        "cost": {
            name: summary["costs"]["tiny-1"][name]
            for name in (
                "prompt_tokens",
                "prompt_tokens_total_cost",
                "completion_tokens_total_cost",
            )
        },
        "feedback": sorted(each["feedback_type"] for each in summary["feedback"]),
        "projected": [dict(projected[0].inputs), projected[0].output],
        "usage": plain(judged.summary["usage"]),
        "status": summary["status"],
    }


def call_trees(client):
    [renamed] = client.get_calls(query=expr("$eq", "display_name", "the renamed one"))
    [failed] = calls(client, "fail")
    [streamed] = calls(client, "parts")
    [by_hand] = client.get_calls(query=expr("$eq", "inputs.x", 1))
    child = next(iter(renamed.children()))
    read_back = client.get_call(renamed.id)
    return {
        "children": [c.func_name for c in renamed.children()],
        "grandchildren": [c.func_name for c in child.children()],
        "parent": child.parent_id == renamed.id and child.trace_id == renamed.trace_id,
        "exception": json.loads(failed.exception)["message"]
        if failed.exception[0] == "{"
        else failed.exception,
        "streamed": plain(streamed.output),
        "by hand": plain(by_hand.output),
        "again": [read_back.display_name, plain(read_back.output)],
        "missing": refused(lambda: client.get_call("00000000-0000-7000-8000-000000000000")),
        "deleted": len(client.get_calls(query=expr("$eq", "inputs.question", "to be deleted"))),
    }


def threads(client):
    found = client.server.threads_query_stream(
        {"project_id": client.project_id, "sort_by": [{"field": "thread_id", "direction": "asc"}]}
    )
    calls = list(client.get_calls(filter={"thread_ids": ["chat-1"]}))
    return {
        "threads": [[each.thread_id, each.turn_count] for each in found],
        "turns": len({call.turn_id for call in calls}),
    }


def evaluations(client):
    runs = calls(client, "Evaluation.evaluate")
    board = client.get(weave.ref("board"), objectify=False)
    column = leaderboard.LeaderboardColumn(
        evaluation_object_ref=board.columns[0].evaluation_object_ref
        if isinstance(board.columns[0].evaluation_object_ref, str)
        else get_ref(board.columns[0].evaluation_object_ref).uri,
        scorer_name="Right",
        summary_metric_path="right.true_fraction",
    )
    spec = leaderboard.Leaderboard(name="board", columns=[column])
    results = leaderboard.get_leaderboard_results(spec, client)
    outputs = [{k: v for k, v in plain(run.output).items() if k != "model_latency"} for run in runs]
    return {
        "outputs": outputs,
        "rows": len(calls(client, "Evaluation.predict_and_score")),
        "leaderboard": [[s.value for s in each.column_scores[0].scores] for each in results],
    }


def feedback(client):
    [judged] = [c for c in client.get_calls() if is_judged(c)]
    found = list(judged.feedback)
    asked = {
        "project_id": client.project_id,
        "start": ago(1),
        "end": ago(-1),
        "feedback_type": "rating",
    }
    metrics = [{"json_path": "value", "aggregations": ["avg", "max", "count"]}]
    metrics += [{"json_path": "good", "value_type": "boolean"}]
    stats = client.server.feedback_stats({**asked, "metrics": metrics})
    milliseconds = [int(each.timestamp() * 1000) for each in (ago(1), ago(-1))]
    aggregate = client.server.feedback_aggregate(
        {"project_id": client.project_id, "after_ms": milliseconds[0], "before_ms": milliseconds[1]}
    )
    spec_ref = stars(client)
    wrong = {
        "project_id": client.project_id,
        "weave_ref": get_ref(judged).uri,
        "feedback_type": "wandb.annotation.stars",
        "annotation_ref": spec_ref,
        "payload": {"value": 9},
    }
    with contextlib.suppress(Exception):  # over HTTP it is refused later, and told in the log
        client.server.feedback_create(wrong)
    client.flush()
    payloads = {
        each.feedback_type: plain(each.payload) for each in found if each.feedback_type != "rating"
    }
    payloads["wandb.runnable.Right"].pop("call_ref", None)
    return {
        "types": sorted(each.feedback_type for each in found),
        "payloads": payloads,
        "creators": sorted(each.creator or "" for each in found),
        "of one type": len(client.get_feedback(query=expr("$eq", "feedback_type", "rating"))),
        "reactions": len(client.get_feedback(reaction="👍🏽")),
        "stats": stats.window_stats,
        "schema": [
            [p.json_path, p.value_type] for p in client.server.feedback_payload_schema(asked).paths
        ],
        "aggregate": [each.total_count for each in aggregate.buckets],
        "against its schema": len(
            client.get_feedback(query=expr("$eq", "feedback_type", "wandb.annotation.stars"))
        ),
    }


def statistics(client):
    asked = {
        "project_id": client.project_id,
        "start": ago(1),
        "end": ago(-1),
        "granularity": 86400 * 3,
    }
    stats = client.server.call_stats(
        {
            **asked,
            "call_metrics": [{"metric": "call_count"}, {"metric": "error_count"}],
            "usage_metrics": [{"metric": "total_tokens"}, {"metric": "total_cost"}],
        }
    )
    [judged] = [c for c in client.get_calls() if is_judged(c)]
    usage = client.server.calls_usage({"project_id": client.project_id, "call_ids": [judged.id]})
    counted = client.server.calls_query_stats({"project_id": client.project_id})
    return {
        "calls": summed(stats.call_buckets, "sum_call_count"),
        "errors": summed(stats.call_buckets, "sum_error_count"),
        "tokens": summed(stats.usage_buckets, "sum_total_tokens"),
        "cost": summed(stats.usage_buckets, "sum_total_cost"),
        "usage": {model: each.total_tokens for model, each in usage.call_usage[judged.id].items()},
        "count": counted.count,
        "costs": [[c.llm_id, c.prompt_token_cost] for c in client.query_costs(llm_ids=["tiny-1"])],
        "project": client.server.project_stats(
            {"project_id": client.project_id}
        ).files_storage_size_bytes
        > 0,
    }


def views(client):
    [saved] = client.server.objs_query(
        {"project_id": client.project_id, "filter": {"base_object_classes": ["SavedView"]}}
    ).objs
    view = SavedView.load(f"weave:///{client.project_id}/object/{saved.object_id}:{saved.digest}")
    return {
        "label": view.label,
        "columns": [str(each.path) for each in view.base.definition.columns],
        "calls": len(list(view.get_calls())),
        "monitors": [
            each.object_id
            for each in client.server.objs_query(
                {"project_id": client.project_id, "filter": {"base_object_classes": ["Monitor"]}}
            ).objs
        ],
    }


def frames(client):
    frame = client.get_calls(query=expr("$gt", "attributes.n", -1)).to_pandas()
    dataset = weave.ref("questions").get().to_pandas()
    return {
        "calls": [len(frame), {"op_name", "inputs", "output", "attributes"} <= set(frame.columns)],
        "dataset": [list(dataset.columns), len(dataset)],
    }


SECTIONS = {
    "objects": objects,
    "media": media,
    "queries": queries,
    "included": included,
    "call trees": call_trees,
    "threads": threads,
    "evaluations": evaluations,
    "feedback": feedback,
    "statistics": statistics,
    "views": views,
    "frames": frames,
}


def calls(client, name):
    op = f"weave:///{client.project_id}/op/{name}:*"
    return list(client.get_calls(filter={"op_names": [op]}))


def ex(operator, path, literal):
    return {operator: [{"$getField": path}, {"$literal": literal}]}


def expr(operator, path, literal):
    return {"$expr": ex(operator, path, literal)}


def contains(path, text, **options):
    return {
        "$expr": {
            "$contains": {"input": {"$getField": path}, "substr": {"$literal": text}, **options}
        }
    }


def is_judged(call):
    return call.func_name == "answer" and call.inputs.get("question") == "judged"


def ago(days):
    return datetime.now(timezone.utc) - timedelta(days=days)


def summed(buckets, name):
    return sum(bucket.get(name) or 0 for bucket in buckets)


def refused(ask):
    try:
        return repr(ask())
    except Exception as error:  # noqa: BLE001 - which one it is, is what is asked
        return f"refused: {status(error)}"


def status(error):
    """The kind of an error: Weave's own in process, an answer's over HTTP."""
    code = getattr(getattr(error, "response", None), "status_code", None)
    if "(status 404)" in str(error):
        code = 404
    named = {404: "not found", 400: "invalid"}
    if code is not None:
        return named.get(code, code)
    known = {
        "NotFoundError": "not found",
        "ObjectDeletedError": "not found",
        "InvalidRequest": "invalid",
    }
    return known.get(type(error).__name__, type(error).__name__)


def plain(value):
    return json.loads(json.dumps(value, default=str))


def main():
    client = weave.init(PROJECT) if "--http" in sys.argv else llmwatch.init(PROJECT)
    if "write" in sys.argv:
        write(client)
    print("answers:", json.dumps(read(client)))
    if "--http" in sys.argv:
        weave.finish()
    else:
        llmwatch.finish()


if __name__ == "__main__":
    main()
