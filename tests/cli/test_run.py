"""`llmwatch run`: a program as Python runs it, with its calls recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from llmwatch import StreamTable
from llmwatch.cli.run import project_name
from llmwatch.testing.openai_server import openai_server

ROOT = Path(__file__).parents[2]
APP = """
    import atexit, sys, threading
    import openai

    client = openai.OpenAI()

    def complete(question):
        asked = [{"role": "user", "content": question}]
        return client.chat.completions.create(model="gpt-4o-mini", messages=asked)

    def embed(text):
        client.embeddings.create(model="text-embedding-3-small", input=text)

    if __name__ == "__main__":
        print(sys.argv)
        for word in sys.argv[1:]:
            print(complete(word).choices[0].message.content)
        embed("a")
        late = threading.Timer(0.2, embed, ["late"])
        late.start()
        atexit.register(embed, "last")
"""


@pytest.fixture
def home(llmwatch_store, tmp_path):
    with openai_server("Yes.") as server:
        yield Home(tmp_path, server)


class Home:
    """A directory with programs, run as a person would."""

    def __init__(self, path, server):
        self.path, self.server = path, server

    def run(self, text, *arguments, before=(), name="my app.py"):
        (self.path / name).write_text(textwrap.dedent(text), encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "llmwatch", "run", *before, name, *arguments],
            env={**os.environ, **self.server.environment, "PYTHONPATH": str(ROOT)},
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def said(done):
    return [line for line in done.stderr.splitlines() if line.startswith("llmwatch: ")]


def test_a_program_runs_unedited_with_its_arguments_and_its_calls_are_rows(home):
    done = home.run(APP, "why?", "--fast")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['my app.py', 'why?', '--fast']\nYes.\nYes.\n"
    with StreamTable("my-app/traces") as table:
        rows = list(table.rows())
    assert (
        sorted(row["model"] for row in rows) == ["gpt-4o-mini"] * 2 + ["text-embedding-3-small"] * 3
    )
    assert {row["attributes"]["llmwatch"]["caller"] for row in rows} == {
        "my app.py:complete",
        "my app.py:embed",
    }


def test_at_the_end_it_says_what_was_recorded_and_where_tracing_would_help(home):
    done = home.run(APP, "why?", "how?")
    counted, suggested = said(done)[1:]
    assert counted.endswith(
        "5 calls were recorded in local/my-app: llmwatch tail local/my-app/traces"
    )
    assert suggested.endswith("my app.py:11 embed (3 calls), my app.py:7 complete (2 calls)")


def test_functions_that_are_traced_already_are_not_suggested(home):
    traced = APP.replace("def complete", "@llmwatch.traced\n    def complete")
    done = home.run(traced.replace("import openai", "import llmwatch, openai"), "why?")
    assert "complete" not in done.stderr
    assert "embed (3 calls)" in done.stderr
    assert "5 calls were recorded" in done.stderr


def test_the_project_can_be_given(home):
    home.run(APP, "why?", before=("--project", "demo/bot"))
    with StreamTable("demo/bot/traces") as table:
        assert len(list(table.rows())) == 4


def test_calls_of_an_exit_handler_that_is_older_than_ours_are_rows(home):
    program = """
        import atexit
        import openai
        client = openai.OpenAI()
        def embed(text):
            client.embeddings.create(model="text-embedding-3-small", input=text)
        def complete():
            asked = [{"role": "user", "content": "why?"}]
            client.chat.completions.create(model="gpt-4o-mini", messages=asked)
        atexit.register(complete)
        embed("first")
        import weave
        weave.trace.api.get_client().flush()  # by now what reads has an exit handler of its own
    """
    done = home.run(program)
    assert "2 calls were recorded" in done.stderr, done.stderr


def test_exit_codes_pass_through(home):
    assert home.run("import sys; sys.exit(7)").returncode == 7
    refused = home.run("raise SystemExit('no')")
    assert refused.returncode == 1
    assert "no" in refused.stderr.splitlines()


def test_an_error_reads_as_without_llmwatch(home):
    program = "from llmwatch import NotFound\ndef fail():\n    raise NotFound('gone')\nfail()\n"
    done = home.run(program)
    plain = subprocess.run(
        [sys.executable, "my app.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=home.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == plain.returncode == 1
    kept = [line for line in done.stderr.splitlines() if not line.startswith("llmwatch: ")]
    assert [line.strip() for line in kept if "File" not in line] == [
        line.strip() for line in plain.stderr.splitlines() if "File" not in line
    ]
    assert "runpy" not in done.stderr
    assert "no calls were recorded" in done.stderr


def test_a_program_imports_what_lies_beside_it(home):
    (home.path / "beside.py").write_text("WORD = 'here'\n")
    done = home.run("import beside; print(beside.WORD, __name__)")
    assert done.stdout == "here __main__\n"


def test_a_program_that_is_not_there_is_said(home):
    done = subprocess.run(
        [sys.executable, "-m", "llmwatch", "run", "nothing.py"],
        cwd=home.path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "llmwatch: there is no program nothing.py\n")


@pytest.mark.parametrize(
    ("program", "project"),
    [("app.py", "app"), ("my app.py", "my-app"), ("__main__.py", "main"), ("ü.py", "program")],
)
def test_a_project_is_named_after_the_program(program, project):
    assert project_name(Path(program)) == project
