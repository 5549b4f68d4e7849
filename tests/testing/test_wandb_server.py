"""The stand-in for W&B answers Weave's own client, keeps what it gets by id, and fails as it is told."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import pytest

from llmwatch.testing.wandb_server import WandbServer
from llmwatch.testing.wandb_server.faults import Trouble

PLAIN_WEAVE = """
import weave
client = weave.init("team/demo")
@weave.op
def double(n): return 2 * n
_, call = double.call(21)
call.feedback.add_reaction("👍")
weave.publish(weave.Dataset(name="golden", rows=[{"n": 1}]))
client.finish()
print(client.get_call(call.id).output, weave.ref("golden:latest").uri)
"""
CALL = {
    "project_id": "team/demo", "id": "c1", "trace_id": "t1", "op_name": "f", "inputs": {}, "summary": {},
    "started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:00Z", "attributes": {},
}  # fmt: skip


@pytest.fixture
def server():
    with WandbServer() as started:
        yield started


@pytest.fixture
def client(server):
    key = server.environment["WANDB_API_KEY"]
    with httpx.Client(base_url=server.url, auth=("api", key)) as opened:
        yield opened


def send(client, *calls):
    return client.post("/v2/team/demo/calls/complete", json={"batch": list(calls)})


def test_an_unmodified_weave_client_logs_to_it_and_reads_back(server, tmp_path):
    import os

    env = {
        **os.environ,
        **server.environment,
        "HOME": str(tmp_path),
        "WEAVE_PRINT_CALL_LINK": "false",
    }
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_WEAVE],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1].startswith("42 weave:///team/demo/object/golden:"), (
        done.stderr
    )
    assert len(server.kept.calls_of("team/demo")) == 1
    (said,) = server.kept.feedback_of("team/demo").values()
    assert said["payload"] == {"emoji": "👍"}
    assert server.kept.duplicates == {}


def test_what_comes_twice_is_kept_once_and_counted(server, client):
    send(client, CALL)
    send(client, CALL)
    assert len(server.kept.calls_of("team/demo")) == 1
    assert server.kept.duplicates == {("call", "c1"): 2}


def test_a_call_that_is_not_whole_is_refused(server, client):
    answer = send(client, {"project_id": "team/demo", "id": "c1"})
    assert answer.status_code == 422
    assert server.kept.calls == {}


def test_another_key_is_refused(server):
    answer = httpx.post(
        f"{server.url}/calls/stream_query", json={"project_id": "team/demo"}, auth=("api", "x")
    )
    assert answer.status_code == 401


def test_a_lost_answer_is_of_work_that_was_done_and_a_cut_connection_is_not(server, client):
    server.faults.set(cut=1.0)
    with pytest.raises(httpx.TransportError):
        send(client, CALL)
    assert server.kept.calls == {}
    server.faults.set(lost=1.0)
    with pytest.raises(httpx.TransportError):
        send(client, CALL)
    assert len(server.kept.calls) == 1


def test_rules_decide_before_chance_does(server, client):
    server.faults.add(
        lambda path, body: Trouble(status=418) if body["batch"][0]["id"] == "c1" else None
    )
    assert send(client, CALL).status_code == 418
    assert send(client, {**CALL, "id": "c2"}).status_code == 200


def test_it_can_be_gone_for_a_while(server, client):
    server.faults.go_away(0.3)
    with pytest.raises(httpx.TransportError):
        send(client, CALL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert send(client, CALL).status_code == 200
            return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("it never came back")


def test_it_listens_again_at_the_same_place(server, client):
    send(client, CALL)
    server.close()
    with pytest.raises(httpx.TransportError):
        send(client, CALL)
    server.start()
    assert send(client, {**CALL, "id": "c2"}).status_code == 200
    assert len(server.kept.calls) == 2


def test_an_unknown_fault_is_refused(server):
    with pytest.raises(ValueError, match="cut, lost"):
        server.faults.set(explode=1.0)
