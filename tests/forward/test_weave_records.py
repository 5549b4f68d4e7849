"""What Weave's own client records here arrives there too: images, scorers, evaluations, datasets, nested objects."""

from __future__ import annotations

import asyncio

import pytest
import weave
from sending import PROJECT

import llmwatch

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")


class Length(weave.Scorer):
    most: int = 3

    @weave.op
    def score(self, output):
        return {"brief": len(output) <= self.most}


@weave.op
def echo(text):
    return text


def dangling(sending):
    """Refs in what arrived that lead to nothing there."""
    kept, found = sending.server.kept, set()

    def look(value):
        if isinstance(value, dict):
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)
        elif isinstance(value, str) and value.startswith("weave:///"):
            found.add(value)

    for thing in (*kept.calls.values(), *kept.objects.values(), *kept.feedback.values()):
        look(thing)
    return {ref for ref in found if not is_there(kept, ref)}


def is_there(kept, ref):
    entity, project, kind, name = ref.removeprefix("weave:///").split("/")[:4]
    where = f"{entity}/{project}"
    if kind == "call":
        return (where, name) in kept.calls
    if kind == "table":
        return (where, name) in kept.tables
    object_id, _, digest = name.partition(":")
    return (where, object_id, digest) in kept.objects


def files_missing(sending):
    kept, missing = sending.server.kept, set()

    def look(value):
        if isinstance(value, dict):
            if value.get("_type") == "CustomWeaveType":
                missing.update(
                    d for d in value.get("files", {}).values() if (PROJECT, d) not in kept.files
                )
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    for thing in (*kept.calls.values(), *kept.objects.values()):
        look(thing)
    return missing


def test_an_image_that_weave_saved_arrives_with_its_file(sending):
    image = pytest.importorskip("PIL.Image")
    echo(image.new("RGB", (4, 4), (9, 8, 7)))
    llmwatch.init("bot").flush()
    sending.send_all()
    (call,) = sending.calls.values()
    assert call["inputs"]["text"]["weave_type"] == {"type": "PIL.Image.Image"}
    assert files_missing(sending) == set()
    assert dangling(sending) == set()


def test_a_scorer_that_was_applied_arrives_as_runnable_feedback_with_its_scorer(sending):
    _, call = echo.call("four")
    asyncio.run(call.apply_scorer(Length(most=3)))
    llmwatch.init("bot").flush()
    sending.send_all()
    (said,) = sending.feedback.values()
    assert said["feedback_type"] == "wandb.runnable.Length"
    assert said["payload"]["output"] == {"brief": False}
    assert said["weave_ref"] == f"weave:///{PROJECT}/call/{call.id}"
    assert dangling(sending) == set()


def test_an_evaluation_arrives_whole_with_its_dataset_and_scorers(sending):
    dataset = weave.Dataset(name="golden", rows=[{"text": "one"}, {"text": "seven"}])
    evaluation = weave.Evaluation(name="brevity", dataset=dataset, scorers=[Length()])
    asyncio.run(evaluation.evaluate(echo))
    client = llmwatch.init("bot")
    client.flush()
    sending.send_all()
    here = {call.id for call in client.get_calls()}
    assert set(sending.calls) == here
    assert dangling(sending) == set()
    assert sending.forwarder.state.dead() == []


def test_an_object_keeps_its_digest_when_the_project_has_its_own_entity(home, server):
    from sending import Sending

    with Sending(server, home / "store"):
        llmwatch.init("team/bot", destination="wandb")
        ref = weave.publish({"nested": weave.publish({"v": 1}, "inner")}, "outer")
        llmwatch.init("team/bot").flush()
        from dataclasses import replace

        from llmwatch import destination, settings
        from llmwatch.forward.forwarder import Forwarder
        from llmwatch.store import open_store

        project = open_store().project("team", "bot")
        forwarder = Forwarder(
            project, settings.current(), replace(destination.read(project), paused="")
        )
        forwarder.run()
        forwarder.close()
    assert server.kept.object("team/bot", "outer", ref.digest)
