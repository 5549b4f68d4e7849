"""What an application showed to whom lately, so that a thumb on a message finds the row that made it."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Any

SESSIONS = 5_000
ROWS = 200
"""Kept of each session."""


class Shown:
    """Texts and rows by session; in memory, bounded, of this process."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, deque[tuple[str, frozenset[str]]]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, session: str, row_id: str, output: Any) -> None:
        texts = frozenset(messages(output))
        with self._lock:
            rows = self._sessions.setdefault(session, deque(maxlen=ROWS))
            rows.append((row_id, texts))
            self._sessions.move_to_end(session)
            while len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)

    def row_of(self, session: str, message: Any) -> str | None:
        """The newest row of the session that showed this message."""
        wanted = frozenset(messages(message))
        with self._lock:
            rows = reversed(self._sessions.get(session, ()))
            return next((row_id for row_id, texts in rows if texts & wanted), None)

    def latest(self, session: str) -> str | None:
        with self._lock:
            rows = self._sessions.get(session)
            return rows[-1][0] if rows else None


def messages(output: Any) -> list[str]:
    """The texts that a function's output shows: of a conversation, its last message.

    >>> messages(
    ...     ("", [{"role": "user", "content": "why?"}, {"role": "assistant", "content": " so "}])
    ... )
    ['so']
    """
    if isinstance(output, str):
        text = output.strip()
        return [text] if text else []
    if isinstance(output, tuple):
        return [text for each in output for text in messages(each)]
    if isinstance(output, list):
        return messages(output[-1]) if output else []
    if isinstance(output, dict):
        return messages(output.get("content", output.get("text")))
    return messages(getattr(output, "content", None)) if hasattr(output, "content") else []
