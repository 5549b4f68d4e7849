"""What this store does not hold is read from W&B, within limits, and only where rows are sent there."""

from __future__ import annotations

import time

import pytest
from sending import PROJECT
from weave.trace.errors import NotFoundError

import llmwatch
from llmwatch.testing.wandb_server.faults import Trouble

THING = {"_type": "Object", "colour": "green"}


@pytest.fixture
def there(sending):
    """An object, a table, a file and a call that only W&B has."""
    kept = sending.server.kept
    call = {
        "project_id": PROJECT, "id": "c-1", "trace_id": "t-1", "op_name": "elsewhere", "inputs": {"a": 1}, "output": 2,
        "started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:01Z", "attributes": {}, "summary": {},
    }  # fmt: skip
    kept.put_call(call)
    obj = {"project_id": PROJECT, "object_id": "thing", "val": THING}
    return {
        "object": kept.put_object(obj),
        "table": kept.put_table(PROJECT, [{"q": 1}])[0],
        "file": kept.put_file(PROJECT, b"contents"),
    }


def ask(method, **req):
    from llmwatch.backend import session

    return getattr(session._session.server, method)({"project_id": "local/bot", **req})


def test_an_object_a_table_and_a_file_are_read_there(there):
    assert ask("obj_read", object_id="thing", digest=there["object"]).obj.val == THING
    assert ask("table_query", digest=there["table"]).rows[0].val == {"q": 1}
    assert ask("file_content_read", digest=there["file"]).content == b"contents"


def test_refs_lead_there_by_this_stores_name_and_by_wandbs(there):
    for project in ("local/bot", PROJECT):
        ref = f"weave:///{project}/object/thing:{there['object']}"
        assert ask("refs_read_batch", refs=[ref]).vals == [THING]


def test_a_call_is_found_by_its_id(there):
    client = llmwatch.init("bot")
    assert client.get_call("c-1").inputs == {"a": 1}


def test_a_search_is_a_search_of_this_store(there, sending):
    client = llmwatch.init("bot")
    assert list(client.get_calls()) == []
    assert sending.server.paths["/calls/stream_query"] == 0


def test_what_is_read_once_is_not_asked_again(there, sending):
    for _ in range(3):
        ask("obj_read", object_id="thing", digest=there["object"])
    assert sending.server.paths["/obj/read"] == 1


def test_what_is_nowhere_is_missing_as_before(sending):
    with pytest.raises(NotFoundError):
        ask("obj_read", object_id="nothing", digest="abc")


def test_an_outage_makes_things_missing_not_slow(there, sending):
    sending.server.faults.add(lambda path, _: Trouble(cut=True))
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(NotFoundError):
            ask("obj_read", object_id="thing", digest=there["object"])
    assert sum(sending.server.paths.values()) <= 2  # then it is left alone for a while
    assert time.monotonic() - began < 10


def test_a_project_that_is_not_sent_asks_nobody(home, server):
    llmwatch.init("bot", destination="local")
    with pytest.raises(NotFoundError):
        ask("obj_read", object_id="thing", digest="abc")
    assert sum(server.paths.values()) == 0
