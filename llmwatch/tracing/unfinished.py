"""Rows whose end may never come: streams left suspended, records never finalised. Written at exit as they are."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import Any

from llmwatch import faults

_open: dict[int, Callable[[], None]] = {}


def add(key: Any, finish: Callable[[], None]) -> None:
    _open[id(key)] = finish


def remove(key: Any) -> None:
    _open.pop(id(key), None)


def finish_all() -> None:
    while _open:
        _, finish = _open.popitem()
        with faults.contained("a row left open could not be written", lost=1):
            finish()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)  # the parent writes them
atexit.register(finish_all)
