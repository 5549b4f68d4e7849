"""From one store to another over HTTP: what is shipped passes the rules of a whole trace server, and reads back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sending import Sending

import llmwatch
from llmwatch import settings, traced
from llmwatch.backend.server import LocalTraceServer
from llmwatch.store import open_store

SOURCE = str(Path(llmwatch.__file__).parents[1])


@pytest.fixture
def served(tmp_path, monkeypatch):
    """`llmwatch serve` over another store, in the place of W&B."""
    there = tmp_path / "there"
    env = {**os.environ, "LLMWATCH_WORKER": "false", "PYTHONPATH": SOURCE}
    command = [sys.executable, "-m", "llmwatch", "serve", "--port", "0", "--store", str(there)]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        for name, value in variables(server).items():
            monkeypatch.setenv(name, value)
        yield there
        server.terminate()


def variables(server):
    """What the command prints to be exported."""
    found, deadline = {}, time.monotonic() + 60
    while len(found) < 3:
        assert time.monotonic() < deadline
        line = server.stdout.readline()
        assert line, "the server ended"
        found.update(re.findall(r"export (\w+)=(\S+)", line))
    return found


@traced
def answer(question):
    if question == "bad":
        raise ValueError(question)
    return {"answer": question}


def recorded(store, project):
    """Every call of a store with what was said about it, without what each server computes for itself."""
    server = LocalTraceServer(store, settings.load(worker=False))
    calls = server.calls_query_stream({"project_id": project, "include_feedback": True})
    return {call.id: told(call) for call in calls}


def told(call):
    said = sorted(
        (one["feedback_type"], str(one["payload"])) for one in call.summary["weave"]["feedback"]
    )
    op = call.op_name.rpartition("/")[2].partition(":")[0]
    return (
        op,
        call.parent_id,
        call.inputs,
        call.output,
        call.exception,
        call.started_at,
        call.ended_at,
        said,
    )


@pytest.mark.slow
def test_calls_and_feedback_read_back_as_they_were_recorded(home, served):
    with Sending(None, home / "store") as sending:
        _, row = answer.call("hi")
        row.feedback.add_reaction("👍")
        row.feedback.add_note("good")
        with pytest.raises(ValueError, match="bad"):
            answer("bad")
        llmwatch.init("bot").flush()
        sending.send_all()
        assert sending.forwarder.state.dead() == []
        here = recorded(open_store(sending.store), "local/bot")
        there = recorded(open_store(served), "local/bot")
    assert len(here) == 2
    assert there == here
