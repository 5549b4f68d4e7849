"""Which ids were written before: clients send again what they had no answer for, and it must not count twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from llmwatch import clock

KEPT = 100_000
"""Ids kept in memory; for older ones the store is asked."""


class Seen:
    """Knows the ids that this process wrote since it began, and asks the store about others.

    A UUIDv7 tells when it was made: one made since this began to keep ids was written by another process at most.
    """

    def __init__(self, look_up: Callable[[list[str]], Iterable[str]]) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}
        self._since_us = clock.now_us()

    def fresh(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that were not written before; from now on they count as written."""
        ids = dict.fromkeys(ids)
        with self._lock:
            unknown = [each for each in ids if each not in self._ids]
            since, now = self._since_us, clock.now_us()
            old = [each for each in unknown if not since < made_us(each) <= now]
        stored = set(self._look_up(old)) if old else set()
        with self._lock:  # another thread may have brought the same meanwhile
            fresh = {each for each in unknown if each not in stored and each not in self._ids}
            self._ids.update(dict.fromkeys(unknown, now))
            self._let_go()
        return fresh

    def forget(self, ids: Iterable[str]) -> None:
        """What could not be written is to be sent again."""
        with self._lock:
            for each in ids:
                self._ids.pop(each, None)

    def _let_go(self) -> None:
        if len(self._ids) <= KEPT:
            return
        for each in list(self._ids)[: KEPT // 2]:
            self._since_us = max(self._since_us, self._ids.pop(each))


def made_us(id_: str) -> int:
    """When a UUIDv7 was made, in microseconds; 0 of any other id.

    >>> made_us("019b76da-a800-7000-8000-000000000000")
    1767225600000000
    """
    if len(id_) == 36 and id_[14] == "7":
        with suppress(ValueError):
            return int(id_[:8] + id_[9:13], 16) * 1000
    return 0
