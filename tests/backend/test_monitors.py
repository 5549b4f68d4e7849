"""Active monitors, as the scoring run learns of them."""

from __future__ import annotations

import pytest
from local_backend import PROJECT

from llmwatch import settings
from llmwatch.backend import monitors
from llmwatch.stream.query import Reader

SCORER = f"weave:///{PROJECT}/object/Length:abc"
OP = f"weave:///{PROJECT}/op/predict:*"


def publish(local, name="watch", *, active=True, **fields):
    val = {
        "_type": "Monitor",
        "_class_name": "Monitor",
        "_bases": ["Object", "BaseModel"],
        "name": name,
    }
    asked = {
        "active": active,
        "scorers": [SCORER],
        "op_names": [OP],
        "sampling_rate": 1.0,
        **fields,
    }
    local.publish(name, {**val, **asked})


def active(local):
    return monitors.active(local.store.project("local", "p"), settings.load(worker=False))


def test_the_latest_version_decides(local):
    publish(local, "on")
    publish(local, "off", active=False)
    publish(local, "switched_off")
    publish(local, "switched_off", active=False)
    local.publish("config", {"active": True})
    [found] = active(local)
    assert (found.name, found.scorers, found.op_names) == ("on", (SCORER,), (OP,))
    assert found.ref.startswith(f"weave:///{PROJECT}/object/on:")


def test_a_deleted_monitor_is_not_active(local):
    publish(local)
    local.ask("obj_delete", object_id="watch")
    assert active(local) == []


def test_it_wants_ended_calls_of_its_ops_that_its_query_finds(local):
    query = {"$expr": {"$gt": [{"$getField": "inputs.n"}, {"$literal": 1}]}}
    publish(local, query=query)
    for n in range(4):
        local.call(f"c{n}", inputs={"n": n})
    local.call("other", op_name=f"weave:///{PROJECT}/op/other:abc", inputs={"n": 9})
    local.start("running", inputs={"n": 9})
    [found] = active(local)
    reader = Reader(local.store.project("local", "p"))
    ids = ["c1", "c2", "c3", "other", "running", "gone"]
    assert found.wanted(reader, PROJECT, ids) == {"c2", "c3"}
    reader.close()


@pytest.mark.parametrize(("rate", "low", "high"), [(0, 0, 0), (1, 1000, 1000), (0.25, 200, 300)])
def test_a_sample_is_the_same_each_time(local, rate, low, high):
    publish(local, sampling_rate=rate)
    [found] = active(local)
    sampled = [n for n in range(1000) if found.samples(f"c{n}")]
    assert low <= len(sampled) <= high
    assert sampled == [n for n in range(1000) if found.samples(f"c{n}")]


def test_one_that_weave_published_is_read(store, tmp_path):
    import weave

    import llmwatch

    client = llmwatch.init("p", store=str(store.root), worker=False)
    try:

        @weave.op
        def answer(question: str) -> str:
            return question

        query = {"$expr": {"$eq": [{"$getField": "inputs.question"}, {"$literal": "yes"}]}}
        answer("yes")
        answer("no")
        monitor = weave.Monitor(
            name="m", scorers=[], op_names=["answer"], sampling_rate=1, query=query
        )
        monitor.activate()
        client.flush()
        project = store.project("local", "p")
        [found] = monitors.active(project, settings.load(worker=False))
        ids = {call.id: call.inputs["question"] for call in client.get_calls()}
        reader = Reader(project)
        assert [ids[each] for each in found.wanted(reader, PROJECT, ids)] == ["yes"]
        reader.close()
    finally:
        llmwatch.finish()
