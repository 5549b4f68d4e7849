"""Weave's npm client, unmodified, against a real server; what it logged is read here as any other row."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from serving import environment, server

from llmwatch import settings
from llmwatch.backend.server import LocalTraceServer
from llmwatch.store import open_store

PROGRAM = Path(__file__).with_name("npm_client.mjs")
PACKAGE = "weave@0.11.1"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A directory that has the package; skips where there is no Node, or no registry to be reached."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("the npm client needs Node and npm")
    home = tmp_path_factory.mktemp("node")
    (home / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", PACKAGE, "--no-audit", "--no-fund", "--prefix", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr[-200:]}")
    shutil.copy(PROGRAM, home)
    return home


@pytest.fixture(scope="module")
def logged(installed):
    store = installed / "store"
    with server(store) as variables:
        given = environment(installed, PATH=os.environ["PATH"], **variables)
        done = subprocess.run(
            ["node", PROGRAM.name],
            cwd=installed,
            env=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr + done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith("answers:")]
    return store, json.loads(said[-1].removeprefix("answers:"))


def test_it_reads_back_what_it_logged(logged):
    said = logged[1]
    assert said["answers"] == ["A", "BB", "CCC", "X", "YY"]
    assert said["one"] in said["answers"]
    assert said["summary"] == {"true_count": 1, "true_fraction": 0.5}
    assert said["prompt"] == "Say {word}"


def test_what_it_logged_are_rows_like_others(logged):
    backend = LocalTraceServer(open_store(logged[0]), settings.load(worker=False))
    calls = backend.calls_query({"project_id": "local/from-node"}).calls
    named = {}
    for call in calls:
        named.setdefault(call.op_name.rpartition("/")[2].partition(":")[0], []).append(call)
    assert len(named["answer"]) == len(named["embed"]) == 5
    assert {call.parent_id for call in named["embed"]} == {call.id for call in named["answer"]}
    assert "no" in named["fail"][0].exception
    assert named["see"][0].inputs["arg0"]["weave_type"]["type"] == "PIL.Image.Image"
    assert len(calls) == logged[1]["roots"] + sum(call.parent_id is not None for call in calls)
