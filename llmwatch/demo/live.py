"""The help desk from now on: real calls as people go on asking, a worker, and a board."""

from __future__ import annotations

import contextlib
import heapq
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import llmwatch
from llmwatch import clock, settings
from llmwatch.demo import application
from llmwatch.demo.model import Model, connected
from llmwatch.demo.rehearsal import PROJECT
from llmwatch.demo.traffic import DAY_US, Request, remarks
from llmwatch.errors import MissingExtra
from llmwatch.remarks import say

if TYPE_CHECKING:
    from llmwatch.demo.place import Place
    from llmwatch.demo.traffic import Remark
    from llmwatch.demo.two_weeks import Plan
    from llmwatch.tracing.row import Row

_AT_ONCE = 8
_ENDS_WITHIN_S = 6


class Live:
    """People who go on asking, `pace` questions a second."""

    def __init__(self, plan: Plan, place: Place, model: Model, pace: float) -> None:
        self._place, self._model, self._pace = place, model, pace
        self._requests = _from_now_on(plan)
        self._chance = Random(plan.seed)  # noqa: S311 - when somebody asks
        self._said: list[tuple[float, int, str, Remark]] = []
        self._lock = threading.Lock()
        self.answered = 0
        self.last: tuple[str, Row] | None = None

    def run(self, until: Callable[[], bool], seen: Callable[[Live], None]) -> None:
        """Ask and answer until told to end; `seen` is called several times a second."""
        with ThreadPoolExecutor(_AT_ONCE, "help-desk") as desk:
            due = time.monotonic()
            while not until():
                if time.monotonic() >= due:
                    desk.submit(self._serve, next(self._requests))
                    due = time.monotonic() + self._chance.expovariate(self._pace)
                self._say_what_is_due()
                seen(self)
                time.sleep(min(0.1, max(0.0, due - time.monotonic())))

    def _serve(self, request: Request) -> None:
        self._model.pace[request.question] = request.model_ms / 1000
        row = application.serve(request)
        with self._lock:
            self.answered += 1
            self.last = request.question, row
            for number, remark in enumerate(remarks(request)):
                at = time.monotonic() + remark.after_s
                heapq.heappush(self._said, (at, self.answered * 10 + number, row.id, remark))

    def _say_what_is_due(self) -> None:
        with self._lock:
            while self._said and self._said[0][0] <= time.monotonic():
                _, _, row_id, remark = heapq.heappop(self._said)
                _say(self._place, row_id, remark)


def _say(place: Place, row_id: str, remark: Remark) -> None:
    if remark.kind == "label":
        llmwatch.label(
            row_id, {remark.name: remark.value}, creator="help-desk",
            project=PROJECT, store=place.store.root,
        )  # fmt: skip
    else:
        say.said(place.project, row_id, remark.name, remark.value, creator="customer")


def _from_now_on(plan: Plan) -> Iterator[Request]:
    """What would have been asked next, as soon as somebody is to ask."""
    at_us = plan.end_us
    while True:
        for request in plan.requests(at_us, at_us + DAY_US):
            yield replace(request, at_us=clock.now_us())
        at_us += DAY_US


@contextmanager
def going_on(plan: Plan, place: Place, pace: float) -> Iterator[Live]:
    """The help desk with its model and its worker, until the end of the block."""
    with _worker(place), connected() as model:
        with contextlib.redirect_stderr(io.StringIO()):  # where it records was said already
            llmwatch.init(PROJECT, destination="local")
        try:
            yield Live(plan, place, model, pace)
        finally:
            llmwatch.finish()


@contextmanager
def _worker(place: Place) -> Iterator[None]:
    """A worker of our own, which does not outlive us, nor do the processes that it starts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llmwatch.worker", str(place.store.root)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us: it is to end after the table in hand
    )
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ENDS_WITHIN_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def check_board() -> None:
    """`MissingExtra` where a board cannot be had, before anybody waited for one."""
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise MissingExtra("board", "llmwatch demo") from error
    del starlette, uvicorn


@contextmanager
def board(place: Place, port: int | None) -> Iterator[str]:
    """The board of the demo's store in a thread of this process; gives its address."""
    import uvicorn

    from llmwatch.board.server import guarded_app, listening

    app = guarded_app(place.store, settings.current())
    with listening("127.0.0.1", port) as bound:
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, timeout_graceful_shutdown=1, lifespan="on"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_ENDS_WITHIN_S)


def open_in_browser(address: str) -> None:
    """Show a page, where there is a browser; a machine without one goes on without."""
    import webbrowser

    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(address)
