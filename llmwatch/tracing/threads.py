"""Threads that carry the context of the code that starts them, so that calls inside find their parent."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    """`concurrent.futures.ThreadPoolExecutor`, each task in a copy of its submitter's context."""

    def submit(
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        return super().submit(partial(copy_context().run, fn, *args, **kwargs))


class Thread(threading.Thread):
    """`threading.Thread`, running in a copy of the context that `start` was called in."""

    def start(self) -> None:
        self._started_in = copy_context()
        super().start()

    def run(self) -> Any:
        self._started_in.run(super().run)
