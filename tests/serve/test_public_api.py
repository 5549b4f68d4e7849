"""The same program of Weave's public API: in process, over HTTP with an unmodified client, and after a restart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from serving import ROOT, environment, server

SCRIPT = Path(__file__).with_name("public_api.py")

pytestmark = pytest.mark.slow


def answers(home: Path, *arguments: str, **given: str):
    """What the program printed; `given` is all that it knows of where it records."""
    home.mkdir(exist_ok=True)
    # the client remembers on the disk what a server at this address has
    cache = {"WEAVE_SERVER_CACHE_DIR": str(home / "cache"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env=environment(home, **cache, **given),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    said = [line for line in done.stdout.splitlines() if line.startswith("answers:")]
    return json.loads(said[-1].removeprefix("answers:"))


def here(store: Path) -> dict[str, str]:
    return {"LLMWATCH_STORE": str(store), "LLMWATCH_WORKER": "false", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def in_process(home):
    return answers(home / "a", "write", **here(home / "here"))


@pytest.fixture(scope="module")
def over_http(home):
    """What a client saw while it wrote, and what another saw after the server was started anew."""
    with server(home / "there") as variables:
        written = answers(home / "b", "--http", "write", **variables)
    with server(home / "there") as variables:
        read = answers(home / "c", "--http", "read", **variables)
    return written, read


def test_in_process_every_part_of_the_api_answers(in_process):
    assert in_process["objects"]["by alias"]["temperature"] == 0.1
    assert in_process["objects"]["deleted"] == "refused: not found"
    assert in_process["queries"]["scored by"] == 7
    assert in_process["included"]["cost"]["prompt_tokens_total_cost"] == 3
    assert in_process["evaluations"]["leaderboard"] == [[1.0], [0.0]]
    assert in_process["feedback"]["stats"]["value"] == {"avg": 4, "max": 5, "count": 2}
    assert in_process["feedback"]["against its schema"] == 1
    assert in_process["views"] == {
        "label": "failed ones",
        "columns": ["['id']", "['op_name']", "['inputs', 'reason']"],
        "calls": 1,
        "monitors": ["watch"],
    }


def test_in_process_the_answers_outlive_the_process(home, in_process):
    assert answers(home / "a", "read", **here(home / "here")) == in_process


def test_an_unmodified_client_over_http_gets_the_same_answers(in_process, over_http):
    assert over_http[0] == in_process


def test_over_http_the_answers_outlive_the_server(over_http):
    assert over_http[1] == over_http[0]


def test_what_came_over_http_reads_the_same_in_process(home, over_http):
    assert answers(home / "d", "read", **here(home / "there")) == over_http[0]
