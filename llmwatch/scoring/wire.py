"""How the scoring run and its child processes speak: a length, then a message."""

from __future__ import annotations

import os
import pickle
import select
import struct
import time
from typing import Any

import orjson

_LENGTH = struct.Struct(">Q")


class Gone(Exception):
    """The other side has ended."""


class TimedOut(Exception):
    """Nothing came in time."""


def send_task(fd: int, task: Any) -> None:
    """To a child: rows and specs, our own objects."""
    _send(fd, pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL))


def receive_task(fd: int) -> Any:
    return pickle.loads(_receive(fd, None))  # noqa: S301 - from the process that started this one


def send_answer(fd: int, answer: Any) -> None:
    """From a child: JSON only, since a person's code made what is in it."""
    _send(fd, orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS))


def receive_answer(fd: int, timeout_s: float) -> Any:
    return orjson.loads(_receive(fd, time.monotonic() + timeout_s))


def _send(fd: int, data: bytes) -> None:
    view = memoryview(_LENGTH.pack(len(data)) + data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except BrokenPipeError:
        raise Gone from None


def _receive(fd: int, until: float | None) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(fd, _LENGTH.size, until))
    return _exactly(fd, length, until)


def _exactly(fd: int, size: int, until: float | None) -> bytes:
    parts: list[bytes] = []
    while size:
        if (
            until is not None
            and not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]
        ):
            raise TimedOut
        data = os.read(fd, min(size, 1 << 20))
        if not data:
            raise Gone
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
