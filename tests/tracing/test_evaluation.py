"""Evaluations of traced functions, and what is said about the row that `.call()` gives; read in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import weave

import llmwatch
from llmwatch import StreamTable, traced

SCRIPT = Path(__file__).with_name("evaluation_script.py")
ROOT = Path(__file__).parents[2]


def run(home, *arguments):
    """What the script printed last; nothing that it recorded may be lost on the way."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "WEAVE", "LITELLM"))}
    given = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "LLMWATCH_STORE": str(home / "store"),
        "LLMWATCH_WORKER": "false",
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={**kept, **given},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Task failed" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    home = tmp_path_factory.mktemp("evaluation")
    return home, run(home, "write")


@pytest.fixture(scope="module")
def read(written):
    home, wrote = written
    return run(home, "read", wrote["row"])


def test_an_evaluation_runs_over_traced_functions(written):
    for summary in (written[1]["summary"], written[1]["again"]):
        assert summary["is_right"] == {"right": {"true_count": 3, "true_fraction": 1.0}}
        assert summary["length"] == {"mean": 2.0}
        assert summary["Brief"]["brief"]["true_count"] == 2


def test_its_calls_form_one_tree(read):
    plain, asynchronous = read["evaluations"]
    below = "Evaluation.predict_and_score > "
    for name in ("answer", "answer > look_up", "is_right", "length", "Brief.score"):
        assert plain[below + name] == 3
    assert asynchronous[below + "answer_async > answer > look_up"] == 3


def test_tokens_of_evaluated_calls_count_once(read):
    once = {"requests": 3, "prompt_tokens": 30, "completion_tokens": 6}
    assert read["usage"] == [once, once]
    assert read["tokens"] == 70  # six calls that were evaluated and one that was not, ten each


def test_a_row_that_call_returned_can_be_scored(written, read):
    assert written[1]["scored"] == {"brief": False}
    (name,) = [kind for kind, _ in read["feedback"] if kind.startswith("wandb.runnable.")]
    assert name == "wandb.runnable.Brief.score"
    assert [name, {"brief": False}] in read["feedback"]


def test_another_process_reads_what_was_said_about_a_row(read):
    assert read["output"] == "DDDD"
    said = [each for each in read["feedback"] if not each[0].startswith("wandb.runnable")]
    assert said == [
        ["wandb.note.1", "well said"],
        ["wandb.reaction.1", "👍"],
    ]  # one note was purged
    assert read["labels"] == {"resolved": True}


def test_scores_of_an_evaluation_are_feedback_of_the_evaluated_rows(read):
    assert read["scores"] == {"Brief": 6, "is_right": 6, "length": 6}


def test_the_op_name_of_a_fresh_row_is_the_ref_of_its_version(llmwatch_store):
    client = llmwatch.init("demo/bot")
    try:

        @traced
        def fresh():
            return 1

        _, row = fresh.call()
        assert row.op_name.startswith("weave:///demo/bot/op/fresh:")
        assert row.op_name == fresh.ref.uri
        assert client.get_call(row.id).op_name == row.op_name
    finally:
        llmwatch.finish()


def test_a_called_row_below_a_weave_op_counts_its_tokens_once(llmwatch_store):
    client = llmwatch.init("demo/bot")
    try:

        @traced
        def answer():
            return {"model": "m", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}

        @weave.op
        def outer():
            answer.call()
            return answer()["model"]

        _, call = outer.call()
        client.flush()
        assert call.summary["usage"]["m"]["prompt_tokens"] == 10
        with StreamTable("demo/bot/traces") as table:
            assert sum(row.get("prompt_tokens") or 0 for row in table.rows()) == 10
    finally:
        llmwatch.finish()
