"""Which row showed a message: by session, the newest, within bounds."""

from __future__ import annotations

import pytest

from llmwatch.integrations import shown


def test_a_message_is_of_the_newest_row_of_its_session_that_showed_it():
    seen = shown.Shown()
    seen.add("s1", "r1", "yes")
    seen.add("s1", "r2", ("", [{"role": "user", "content": "sure?"}, {"content": "yes "}]))
    seen.add("s2", "r3", "yes")
    seen.add("s1", "r4", "no")
    assert seen.row_of("s1", "yes") == "r2"
    assert seen.row_of("s1", {"text": "no"}) == "r4"
    assert seen.row_of("s1", ["yes"]) == "r2"
    assert seen.row_of("s1", "sure?") is None
    assert seen.row_of("s3", "yes") is None
    assert (seen.latest("s1"), seen.latest("s3")) == ("r4", None)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(shown, "SESSIONS", 3)
    seen = shown.Shown()
    for n in range(10):
        seen.add(f"s{n}", f"r{n}", "hi")
    assert [seen.latest(f"s{n}") for n in (6, 7, 9)] == [None, "r7", "r9"]
    for n in range(shown.ROWS + 1):
        seen.add("s9", f"q{n}", str(n))
    assert (seen.row_of("s9", "0"), seen.row_of("s9", "1")) == (None, "q1")


@pytest.mark.parametrize("output", [None, 7, [], {}, {"content": None}, object(), ("", None)])
def test_what_shows_no_text_is_no_fault(output):
    assert shown.messages(output) == []


@pytest.mark.parametrize("name", ["gradio", "streamlit"])
def test_a_missing_framework_is_named_with_the_command_that_installs_it(name):
    import subprocess
    import sys

    code = f"import sys; sys.modules[{name!r}] = None; import llmwatch.integrations.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f'pip install "llmwatch[{name}]"' in done.stderr
