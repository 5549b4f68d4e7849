"""Ids and time that are the same in every run."""

from __future__ import annotations

import itertools
import random
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from llmwatch import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Time:
    """The time in a `deterministic` block: a step further each time it is read."""

    def __init__(self, start: datetime, step: timedelta) -> None:
        self._next = itertools.count(_us(start - _EPOCH), max(_us(step), 0))
        self._skipped = 0

    def __call__(self) -> int:
        return next(self._next) + self._skipped

    def advance(self, **how_long: float) -> None:
        """Let time pass: `time.advance(minutes=5)`."""
        self._skipped += _us(timedelta(**how_long))


@contextmanager
def deterministic(
    seed: int = 0, start: datetime = START, step: timedelta = timedelta(milliseconds=1)
) -> Iterator[Time]:
    """Ids and time in the block depend on `seed` and `start` only.

    >>> with deterministic() as time:
    ...     [clock.new_id()[:18], clock.now_us()]
    ['019b76da-a800-7000', 1767225600000000]
    """
    bits = random.Random(seed)  # noqa: S311 - to be the same each time is the point
    numbers = itertools.count()
    first_ns = _us(start - _EPOCH) * 1000

    def next_id() -> str:
        return clock.uuid7(first_ns + next(numbers) * 1_000_000, bits.getrandbits(62))

    time = Time(start, step)
    with clock.use(now=time, ids=next_id):
        yield time


def _us(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
