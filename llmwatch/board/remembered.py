"""Answers of queries that are still true: a table that was not written to since answers the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

Rows = list[tuple[Any, ...]]
MOST_ROWS = 100_000
"""Rows of answers that are kept for a table, some ten megabytes."""


class Remembered:
    """The last answers about one state of a table; another state forgets them all."""

    def __init__(self, state: Callable[[], object]) -> None:
        self._state = state
        self._of: object = None
        self._answers: OrderedDict[Hashable, Rows] = OrderedDict()
        self._rows = 0
        self._lock = threading.Lock()

    def get(self, question: Hashable, ask: Callable[[], Rows]) -> Rows:
        """The answer, asked for unless it is known. The state is looked at first: an answer is never older than it."""
        state = self._state()
        with self._lock:
            if state != self._of:
                self._of, self._rows = state, 0
                self._answers.clear()
            if (known := self._answers.get(question)) is not None:
                self._answers.move_to_end(question)
                return known
        answer = ask()
        self._keep(state, question, answer)
        return answer

    def _keep(self, state: object, question: Hashable, answer: Rows) -> None:
        with self._lock:
            if state != self._of or question in self._answers:
                return
            self._answers[question] = answer
            self._rows += len(answer) + 1
            while self._rows > MOST_ROWS:
                _, gone = self._answers.popitem(last=False)
                self._rows -= len(gone) + 1
