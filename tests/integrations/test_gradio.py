"""Real Gradio applications, used over HTTP and in a browser: events are rows, likes and flags are feedback."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason='needs Gradio: pip install "llmwatch[gradio]"')

from browsing import chromium
from served import until

from llmwatch import StreamTable
from llmwatch.remarks import say

APP = Path(__file__).with_name("gradio_app.py")
pytestmark = pytest.mark.slow


@contextmanager
def served(kind):
    """The address of an application in a process of its own, recording to the test's store."""
    process = subprocess.Popen(
        [sys.executable, str(APP), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        lines = iter(process.stdout.readline, "")
        yield next(line for line in lines if line.startswith("serving")).split()[1]
    finally:
        process.communicate("", timeout=60)


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def rows():
    return list(StreamTable("demo/traces").rows())


def events():
    return [row for row in rows() if row["kind"] == "event"]


def said_of(row):
    found = say.history(row["id"], project="demo")
    return [(each["name"], each["value"]) for each in found if each["state"] == "live"]


def ask(page, question):
    box = page.get_by_role("textbox").first
    box.fill(question)
    box.press("Enter")
    page.get_by_text(f"answer to {question}").wait_for(timeout=30_000)


@pytest.mark.parametrize("kind", ["chat", "stream", "steps"])
def test_a_chats_answers_are_rows_and_its_thumbs_are_feedback(llmwatch_store, browser, kind):
    with served(kind) as address:
        page = browser.new_page()
        page.goto(address)
        ask(page, "why?")
        ask(page, "how?")
        page.get_by_role("button", name="Dislike").nth(1).wait_for(timeout=30_000)
        page.get_by_role("button", name="Like", exact=True).first.click()
        page.get_by_role("button", name="Dislike").nth(1).click()
        until(lambda: all(said_of(row) for row in events()))
        page.close()
    first, second = events()
    assert [row["output"].strip() for row in (first, second)] == [
        "answer to why?",
        "answer to how?",
    ]
    assert first["inputs"] == {"message": "why?", "history": []}
    assert (said_of(first), said_of(second)) == ([("reaction", "👍")], [("reaction", "👎")])
    assert first["session_id"] == second["session_id"] is not None
    assert first["attributes"]["via"] == "gradio"
    below = [row["parent_id"] for row in rows() if row["kind"] == "generation"]
    assert below == [first["id"], second["id"]]


def test_an_error_of_the_application_reaches_its_user_and_is_recorded(llmwatch_store):
    from gradio_client import Client

    with served("chat") as address:
        client = Client(address, verbose=False)
        with pytest.raises(Exception, match="the application's own"):
            client.predict("break", api_name="/chat")
    (row,) = events()
    assert (row["status"], row["exception_type"]) == ("error", "gradio.exceptions.Error")


def test_an_interfaces_flags_are_feedback_and_still_go_to_its_file(llmwatch_store, browser):
    with served("interface") as address:
        page = browser.new_page()
        page.goto(address)
        page.get_by_label("text").first.fill("hey")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_function(
            "[...document.querySelectorAll('textarea')].some(t => t.value === 'HEYHEY')"
        )
        page.get_by_role("button", name="rude").click()
        until(lambda: said_of(*events()))
        page.close()
    (row,) = events()
    assert row["inputs"] == {"text": "hey", "times": 2}  # and nothing of Gradio's request
    assert said_of(row) == [("flag", "rude")]


def test_events_of_blocks_are_rows_by_session(llmwatch_store, browser):
    with served("blocks") as address:
        for question in ("why?", "how?"):
            page = browser.new_page()
            page.goto(address)
            ask(page, question)
            page.get_by_role("button", name="Like", exact=True).first.click()
            until(lambda: said_of(events()[-1]))
            page.close()
    assert len({row["session_id"] for row in events()}) == 2
    assert [said_of(row) for row in events()] == [[("reaction", "👍")]] * 2
