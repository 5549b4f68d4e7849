"""A real Streamlit application in a browser: rows by session, nothing twice in reruns, thumbs are feedback."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason='needs Streamlit: pip install "llmwatch[streamlit]"')

from browsing import chromium
from served import until

from llmwatch import StreamTable
from llmwatch.remarks import say

APP = Path(__file__).with_name("streamlit_app.py")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@contextmanager
def served():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1",
               "--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "streamlit", "run", str(APP), *options])
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{address}/_stcore/health"), seconds=60)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(address):
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def rows():
    return list(StreamTable("demo/traces").rows())


def roots():
    return [row for row in rows() if row["parent_id"] is None]


def said_of(row):
    found = say.history(row["id"], project="demo")
    return [(each["name"], each["value"]) for each in found if each["state"] == "live"]


def ask(page, question):
    box = page.get_by_placeholder("question")
    box.fill(question)
    box.press("Enter")
    page.get_by_text(f"answer to {question}").wait_for(timeout=30_000)


def thumb(page, name):
    return page.get_by_role("radio", name=name)


def test_a_session_of_a_chat(llmwatch_store, browser):
    with served() as address:
        page = browser.new_page()
        page.goto(address)
        ask(page, "why?")
        ask(page, "how?")
        thumb(page, "Thumbs up").nth(0).click()
        thumb(page, "Thumbs down").nth(1).click()
        until(lambda: all(said_of(row) for row in roots()))
        page.get_by_role("button", name="again").click()  # a rerun, in which nothing is new
        thumb(page, "Thumbs up").nth(1).click()  # another mind
        until(lambda: said_of(roots()[1]) == [("reaction", "👍")])
        page.get_by_label("What was wrong?").nth(1).fill("the year")
        page.get_by_label("What was wrong?").nth(1).press("Enter")
        until(lambda: ("note", "the year") in said_of(roots()[1]))
        thumb(page, "Thumbs up").nth(0).click()  # taken back
        until(lambda: not said_of(roots()[0]))
        other = browser.new_page()
        other.goto(address)
        ask(other, "when?")
    assert [row["inputs"]["question"] for row in roots()] == ["why?", "how?", "when?"]
    assert len(rows()) == 6
    assert {row["attributes"]["via"] for row in rows()} == {"streamlit"}
    sessions = [row["session_id"] for row in roots()]
    assert sessions[0] == sessions[1] != sessions[2]
    assert all(sessions)
    told = [
        (event["name"], event["state"]) for event in say.history(roots()[1]["id"], project="demo")
    ]
    assert told == [("reaction", "edited"), ("reaction", "live"), ("note", "live")]
