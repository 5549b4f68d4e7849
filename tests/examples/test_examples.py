"""Every example runs with its one command, offline, and leaves the rows it speaks of."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmwatch import StreamTable

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OF_OTHERS = ("WANDB_", "WEAVE_", "WF_", "LLMWATCH_", "OPENAI_", "OTEL_")
NOT_PROGRAMS = {"local_model.py", "local_server.py"}
PROGRAMS = sorted(path for path in EXAMPLES.glob("*.py") if path.name not in NOT_PROGRAMS)


@pytest.fixture
def run(tmp_path):
    """Runs an example in a process and a store of its own; gives what it printed."""

    def started(name, *arguments):
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *arguments],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    return started


def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_OTHERS)}
    return {
        **kept,
        "HOME": str(home),
        "PYTHONPATH": str(EXAMPLES.parent),
        "LLMWATCH_STORE": str(home / "store"),
        "LLMWATCH_WORKER": "false",
        "WANDB_ERROR_REPORTING": "false",
        # An example that wants the network does not get it.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def rows(tmp_path, name, sql):
    return StreamTable(name, store=tmp_path / "store").query(sql).rows


def test_the_table_names_every_example_and_the_command_its_docstring_gives():
    page = (EXAMPLES / "README.md").read_text("utf-8")
    for path in [*PROGRAMS, EXAMPLES / "typescript" / "run.py"]:
        told = ast.get_docstring(ast.parse(path.read_text("utf-8")), clean=False)
        name = path.relative_to(EXAMPLES).as_posix()
        command = re.search(rf"^ *(\S+ (?:run )?examples/{re.escape(name)})", told, re.MULTILINE)
        assert command is not None or name == "quickstart.py", f"{name} does not say how it is run"
        assert f"({name})" in page
        assert f"`{command[1] if command else f'python examples/{name}'}`" in page


def test_the_quickstart(run, tmp_path):
    assert "resolved, as labelled later: 15 of 20" in run("quickstart.py")


@pytest.mark.slow
def test_rag_takes_the_address_out_of_the_answer(run, tmp_path):
    printed = run("rag.py")
    assert "press reset and confirm" in printed
    assert "jo.miller@example.com" not in printed
    steps = dict(
        rows(
            tmp_path,
            "example-rag/traces",
            "SELECT coalesce(model, kind, 'answer'), count(*) FROM traces GROUP BY 1",
        )
    )
    assert steps["retrieval"] == steps["generation"] == steps["answer"] == 4
    assert steps["text-embedding-3-small"] == 5


@pytest.mark.slow
def test_the_service_has_requests_as_roots_and_feedback_on_them(run, tmp_path):
    printed = run("service.py")
    assert "ada: success, 👍" in printed
    assert "cy: error, 👎" in printed
    kinds = "SELECT kind, count(*) FROM traces WHERE parent_id IS NULL GROUP BY 1"
    assert rows(tmp_path, "example-service/traces", kinds) == [("request", 3)]


@pytest.mark.slow
def test_the_streamed_chat_knows_when_the_first_token_came(run):
    turns = re.findall(
        r"first token after (\d+) of (\d+) ms, (\d+) \+ (\d+) tokens, ([\d.]+) USD",
        run("streaming_chat.py"),
    )
    assert len(turns) == 3
    assert all(int(first) < int(all_) and float(usd) > 0 for first, all_, _, _, usd in turns)


@pytest.mark.slow
def test_the_agent_goes_on_when_a_tool_fails(run):
    printed = run("agent.py")
    assert "lamp: 4 in stock, 29.0 euros." in printed
    assert "We have no sofa." in printed
    assert "tool stock: 2 calls, 1 failed" in printed


@pytest.mark.slow
def test_the_batch_goes_on_where_it_was(run):
    first = run("batch.py")
    assert "0 of 40 documents are done already" in first
    assert "failed: report-007 (ValueError)" in first
    assert "39 of 40 documents are done already" in run("batch.py")


@pytest.mark.slow
def test_housing_is_judged_by_prices_that_come_later_and_says_where_it_is_wrong(run):
    printed = run("housing.py")
    assert re.search(r"first two weeks: .* as usual", printed)
    assert re.search(r"last two weeks: .* worse than the baseline", printed)
    assert "error of place = lake" in printed


@pytest.mark.slow
def test_spans_of_opentelemetry_are_rows(run, tmp_path):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    printed = run("opentelemetry_in.py")
    assert printed.count("small: success") == 2
    assert "agent: error" in printed


@pytest.mark.slow
def test_prometheus_is_told_what_the_application_did(run):
    counts = dict(
        re.findall(
            r'inference_requests_total\{.*status="(\w+)".*\} ([\d.]+)', run("prometheus_grafana.py")
        )
    )
    assert sum(map(float, counts.values())) == 200
    assert float(counts["error"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "verdict"), [((), "promote"), (("--bad",), "roll back")])
def test_the_canary_is_promoted_or_rolled_back(run, arguments, verdict):
    assert f"requests: {verdict}\n" in run("canary.py", *arguments)


@pytest.mark.slow
def test_the_custom_scorer_scores_rows_and_an_evaluation(run):
    printed = run("custom_scorer.py")
    assert "is_brief: 3 rows scored" in printed
    assert "avoids: 3 rows scored" in printed
    assert "'true_count': 2" in printed


@pytest.mark.slow
def test_typescript_rows_nest(run, tmp_path):
    if shutil.which("npm") is None:
        pytest.skip("needs Node and npm")
    home = tmp_path / "examples"
    shutil.copytree(EXAMPLES, home, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    installed = subprocess.run(
        command, cwd=home / "typescript", capture_output=True, text=True, check=False
    )
    if installed.returncode != 0:
        pytest.skip(f"npm cannot install: {installed.stderr[-200:]}")
    printed = run(str(home / "typescript" / "run.py"))
    assert "answer: success\n  retrieve: success\nanswer: error\n  retrieve: success" in printed


@pytest.mark.slow
def test_the_streamlit_chat_answers_and_takes_thumbs(tmp_path):
    pytest.importorskip("streamlit")
    program = """
import json, sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file(sys.argv[1], default_timeout=120).run()
app.chat_input[0].set_value("What is a vector?").run()
app.get("feedback")[0].set_value(1).run()
assert not app.exception, app.exception
print(json.dumps([message.markdown[0].value for message in app.chat_message]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(EXAMPLES / "streamlit_chat.py")],
        cwd=EXAMPLES,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    question, answer = json.loads(done.stdout.splitlines()[-1])
    assert question == "What is a vector?"
    assert "vector" in answer
    asked = "SELECT session_id IS NOT NULL, status FROM traces WHERE kind = 'response'"
    assert rows(tmp_path, "example-streamlit/traces", asked) == [(True, "success")]
    said = "SELECT value->>'emoji' FROM feedback"
    assert rows(tmp_path, "example-streamlit/traces", said) == [("👍",)]


@pytest.mark.slow
def test_the_gradio_chat_answers(tmp_path):
    pytest.importorskip("gradio")
    program = """
import openai, gradio_client
import llmwatch
from local_model import local_model
from gradio_chat import make_demo
llmwatch.init("example-gradio", destination="local")
with local_model(), openai.OpenAI() as client:
    _, url, _ = make_demo(client).launch(prevent_thread_lock=True, quiet=True)
    print(gradio_client.Client(url, verbose=False).predict("What is a vector?", api_name="/chat"))
llmwatch.finish()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=EXAMPLES,
        env={**environment(tmp_path), "GRADIO_ANALYTICS_ENABLED": "False"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "vector" in done.stdout
    events = "SELECT count(*) FROM traces WHERE kind = 'event' AND status = 'success'"
    assert rows(tmp_path, "example-gradio/traces", events)[0][0] >= 1
