from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("weave_api_script.py")
ROOT = Path(__file__).parents[2]


def run(tmp_path, *arguments, script=SCRIPT, before=()):
    """What the script printed last, as JSON; in a process with no account and nothing of this one's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "WEAVE", "LITELLM"))}
    given = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "LLMWATCH_STORE": str(tmp_path / "store"),
        "LLMWATCH_WORKER": "false",
    }
    done = subprocess.run(
        [*before, sys.executable, str(script), *arguments],
        env={**kept, **given},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    home = tmp_path_factory.mktemp("api")
    return home, run(home, "write")["seen"]


def test_weaves_public_api_runs_with_no_account(written):
    seen = written[1]
    assert seen["evaluation"]["right"] == {"true_count": 3, "true_fraction": 1.0}
    assert seen["brief"]["true_count"] == 3
    assert seen["config"] == [{"temperature": 0.1}, {"temperature": 0.2}]
    assert seen["latest"] == {"temperature": 0.2}
    assert seen["rows"][1] == {"question": "bb", "expected": "BB"}
    assert seen["feedback"] == ["stars", "wandb.reaction.1", "wandb.runnable.Length"]
    assert (seen["children"], seen["output"]["text"]) == (["retrieve"], "SCORED")
    # 6 questions, 3 rows and the scored one, of which one half of the six is in a chat
    assert {k: seen["queries"][k] for k in ("by op", "thread", "failed", "page", "scored")} == {
        "by op": 10,
        "thread": 9,
        "failed": 1,
        "page": 5,
        "scored": 4,
    }


def test_another_process_reads_the_same_after_a_restart(written):
    home, seen = written
    again = run(home, "read")["seen"]
    assert again == {name: seen[name] for name in again}


def _without_network():
    """The command that runs another in an empty network namespace; None where that is not permitted."""
    if shutil.which("unshare") is None:
        return None
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return None


@pytest.mark.parametrize("order", [(), ("--weave-first",)], ids=["llmwatch first", "weave first"])
def test_with_no_network_it_runs_the_same_and_looks_no_name_up(written, tmp_path, order):
    command = _without_network()
    if command is None:
        pytest.skip("an empty network namespace is not permitted here")
    ran = run(tmp_path, "write", *order, before=command)
    assert ran["lookups"] == []
    assert ran["seen"]["queries"] == written[1]["queries"]


@pytest.mark.parametrize("order", [(), ("--weave-first",)], ids=["llmwatch first", "weave first"])
def test_with_a_network_there_it_looks_no_name_up(written, order):
    assert run(written[0], "read", *order)["lookups"] == []


def test_the_count_of_look_ups_can_count(tmp_path):
    program = tmp_path / "looks_up.py"
    program.write_text(
        f"import sys; sys.argv.append('--weave-first'); sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "import weave_api_script, socket\n"
        "try: socket.getaddrinfo('name.invalid', 80)\n"
        "except OSError: pass\n"
    )
    assert ["socket.getaddrinfo", "name.invalid"] in run(tmp_path, script=program)["lookups"]


def test_what_was_said_last_is_there_without_finish(tmp_path):
    seen = run(tmp_path, "write", "--no-finish")["seen"]
    assert run(tmp_path, "read")["seen"]["queries"] == seen["queries"]
