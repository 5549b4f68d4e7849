"""The real server over a real store, and a real browser when there is one."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmwatch import settings
from llmwatch.testing.stores import temporary_store

pytest.importorskip("starlette", reason="the board needs llmwatch[board]")
uvicorn = pytest.importorskip("uvicorn", reason="the board needs llmwatch[board]")

sys.path.insert(0, str(Path(__file__).parent))
import support_traffic  # noqa: E402 - found through the line above

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@contextmanager
def served(store, **options) -> Iterator[str]:
    """The board of a store on a free port."""
    from llmwatch.board.server import guarded_app

    app = guarded_app(store, settings.load(store=str(store.root), worker=False), **options)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(64)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="session")
def support(tmp_path_factory):
    """A support bot's last day, made once: 400 traces, an incident, feedback, pictures."""
    with temporary_store(tmp_path_factory.mktemp("support")) as store:
        support_traffic.make(Path(store.root), traces=400)
    return store


@pytest.fixture(scope="session")
def board(support) -> Iterator[str]:
    with served(support) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    """Chromium, driven; tests that need it are skipped with what to install.

    For one file: while it is open its event loop runs in this process, and other files' tests start their own.
    """
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser) -> Iterator[Callable]:
    """Opens an address; after the test, nothing may have been said on the console or asked of another host."""
    said: list[str] = []
    contexts = []

    def opening(address: str, *, theme="dark", width=1440, height=900, rows=True, **more):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, **more
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on(
            "console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None
        )
        host = address.split("/")[2]
        page.on(
            "request",
            lambda r: (
                None
                if r.url.split("/")[2] == host or r.url.startswith(("data:", "blob:"))
                else said.append(f"asked {r.url}")
            ),
        )
        page.goto(address)
        if rows:
            page.wait_for_selector(".line:not(.blank)")
            page.wait_for_selector("main[aria-busy=false]")
        page.said = said
        return page

    yield opening
    for context in contexts:
        context.close()
    # a server that is stopped under a page cuts the page's live line
    assert [text for text in said if "net::ERR_" not in text] == []
