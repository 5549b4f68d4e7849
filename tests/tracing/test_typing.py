"""What a type checker makes of a traced function."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest

SNIPPET = """
    from llmwatch.tracing import traced

    @traced
    def ask(question: str, k: int = 3) -> float: return 1.0

    @traced(kind="tool")
    async def fetch(url: str) -> bytes: return b""

    class Model:
        @traced
        def predict(self, question: str) -> int: return 1

        @traced
        @staticmethod
        def parse(text: str) -> int: return 1

    @traced(auto_log=False)
    def held(question: str) -> int: return 1

    async def main() -> None:
        reveal_type(ask("why?"))                  # float
        reveal_type(ask.call("why?"))             # tuple[float, llmwatch.tracing.row.Row]
        reveal_type(await fetch("x"))             # bytes
        reveal_type(await fetch.call("x"))        # tuple[bytes, llmwatch.tracing.row.Row]
        reveal_type(Model().predict("why?"))      # int
        reveal_type(Model.parse("1"))             # int
        reveal_type(held("why?").get())           # int

    ask(1)
    Model().predict()
    traced(kind="retreival")
"""


@pytest.mark.slow
def test_a_type_checker_sees_through_the_decorator(tmp_path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(textwrap.dedent(SNIPPET))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-pretty", str(snippet)],
        capture_output=True,
        text=True,
        check=False,
    )
    expected = re.findall(r"reveal_type.*# (.+)", SNIPPET)
    seen = [
        kind.replace("builtins.", "")
        for kind in re.findall(r'Revealed type is "(.+)"', done.stdout)
    ]
    assert seen == expected
    assert sorted(re.findall(r"snippet\.py:\d+: error: .*\[([\w-]+)\]", done.stdout)) == [
        "arg-type",
        "call-arg",
        "call-overload",
    ]
