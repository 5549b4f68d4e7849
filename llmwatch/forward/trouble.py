"""What a failed request means: wait and try again, or this content will never be taken, or nobody lets us in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

LONGEST_WAIT_S = 300.0
LONGEST_RETRY_AFTER_S = 3600.0
_NOT_DONE = {429, 503}
_REFUSES_ALL = {401, 403}
_PASSES = {404, 408, 409, 421, 425, 429}
"""Of the 4xx, those that say nothing against the content: 404 is a project that is gone, or a proxy."""


class Later(Exception):
    """Not now: an outage, a limit, a key that is refused. Everything waits, nothing is lost."""

    def __init__(
        self, reason: str, *, after_s: float | None = None, in_doubt: bool = True, status: int = 0
    ) -> None:
        super().__init__(reason)
        self.after_s, self.in_doubt, self.status = after_s, in_doubt, status


class Rejected(Exception):
    """The server will not take this content, whenever it is sent."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def meaning(error: Exception) -> Later | Rejected:
    """What an error of the binding says about what was sent."""
    if isinstance(error, (Later, Rejected)):
        return error
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if response is None or status is None:
        return _without_answer(error)
    said = f"{status}: {_detail(response)}"
    if status in _REFUSES_ALL:
        return Later(f"W&B refuses these credentials ({said})", in_doubt=False, status=status)
    if status >= 500 or status in _PASSES:
        after = retry_after_s(response.headers.get("retry-after"))
        return Later(said, after_s=after, in_doubt=status not in _NOT_DONE, status=status)
    return Rejected(status, said)


def _without_answer(error: Exception) -> Later | Rejected:
    from pydantic import ValidationError

    said = f"{type(error).__name__}: {error}"
    # What cannot be written as JSON fails the same way every time; all else is the network or the account.
    if isinstance(error, (ValidationError, TypeError, UnicodeError, RecursionError, OverflowError)):
        return Rejected(0, said)
    return Later(said)


def _detail(response: object) -> str:
    try:
        body = response.json()  # type: ignore[attr-defined]
    except ValueError:
        return str(getattr(response, "text", ""))[:300]
    detail = body.get("detail") or body.get("reason") or body if isinstance(body, dict) else body
    if isinstance(
        detail, list
    ):  # what is wrong and where, without the contents that such errors repeat
        detail = "; ".join(
            f"{one.get('loc')}: {one.get('msg')}" for one in detail if isinstance(one, dict)
        )
    return str(detail)[:300]


def retry_after_s(text: str | None) -> float | None:
    """A `Retry-After` header in seconds, whether it is a number or a date."""
    if not text:
        return None
    try:
        wait = float(text)
    except ValueError:
        try:
            wait = parsedate_to_datetime(text).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER_S)


@dataclass
class Backoff:
    """When to try again: exponential with full jitter, and never before the server said."""

    first_s: float = 0.5
    now: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = field(default_factory=lambda: random.Random().random)  # noqa: S311
    failures: int = 0
    not_before: float = 0.0

    @property
    def wait_s(self) -> float:
        """How long there is still to wait."""
        return max(self.not_before - self.now(), 0.0)

    def failed(self, after_s: float | None = None) -> None:
        self.failures += 1
        most = min(self.first_s * 2 ** min(self.failures, 12), LONGEST_WAIT_S)
        drawn = self.first_s / 2 + self.chance() * (most - self.first_s / 2)
        self.not_before = self.now() + max(drawn, after_s or 0.0)

    def wait(self, seconds: float) -> None:
        """Nothing failed, but there is something to wait for."""
        self.not_before = self.now() + seconds

    def worked(self) -> None:
        self.failures, self.not_before = 0, 0.0
