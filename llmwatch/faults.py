"""The boundary where llmwatch's own faults stop: counted, logged once per cause, raised only in tests."""

from __future__ import annotations

import functools
import logging
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from llmwatch.errors import LlmwatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("llmwatch")


@dataclass(frozen=True)
class Fault:
    """How often one cause was reported in this process, and how many records it cost."""

    cause: str
    count: int = 0
    lost: int = 0
    last_error: str = ""


_faults: dict[str, Fault] = {}
_lock = threading.RLock()  # a signal handler may report a fault inside a report
_strict = False


def report(cause: str, error: BaseException | None = None, *, lost: int = 0) -> None:
    """Count a fault of ours and say it, the first time and then at every tenfold count.

    `lost` is the number of records that this fault cost. Never raises, unless `strict` is on.
    """
    said = _describe(error)
    with _lock:
        before = _faults.get(cause) or Fault(cause)
        fault = replace(
            before,
            count=before.count + 1,
            lost=before.lost + lost,
            last_error=said or before.last_error,
        )
        _faults[cause] = fault
    # Outside the lock: a log handler of the user's may well write to a StreamTable of its own.
    if _is_power_of_ten(fault.count):
        logger.error("%s", _sentence(fault, said))
    if _strict:
        raise error if error is not None else LlmwatchError(cause)


def counts() -> dict[str, Fault]:
    """What has gone wrong in this process so far, by cause."""
    with _lock:
        return dict(_faults)


def clear() -> None:
    """Forget what was counted (a test's beginning)."""
    with _lock:
        _faults.clear()


class contained:  # noqa: N801 - it is used as a word: `with faults.contained("..."):`
    """Report what the block raises instead of raising it."""

    __slots__ = ("cause", "lost")

    def __init__(self, cause: str, *, lost: int = 0) -> None:
        self.cause, self.lost = cause, lost

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None or not _is_ours_to_stop(error):
            return False
        report(self.cause, error, lost=self.lost)
        return True


def guarded(cause: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a function report what it raises and return None instead."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
            with contained(cause):
                return function(*args, **kwargs)
            return None

        return call

    return decorate


@contextmanager
def strict(on: bool = True) -> Iterator[None]:
    """Raise faults where they are reported, in every thread: for tests, where a fault is a bug."""
    global _strict
    before, _strict = _strict, on
    try:
        yield
    finally:
        _strict = before


def _is_ours_to_stop(error: BaseException) -> bool:
    # A panic in a Rust extension (deltalake, orjson) is a BaseException, yet as much a fault as any other.
    # KeyboardInterrupt, SystemExit and a cancelled task are the user's and pass.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _is_power_of_ten(count: int) -> bool:
    digits = str(count)
    return digits[0] == "1" and not digits[1:].strip("0")


def _describe(error: BaseException | None) -> str:
    if error is None:
        return ""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error whose text cannot be made is still to be counted
        return type(error).__name__


def _sentence(fault: Fault, said: str) -> str:
    text = f"{fault.cause}: {said}" if said else fault.cause
    if fault.lost:
        text += f"; {fault.lost} record{'s' if fault.lost > 1 else ''} lost so far"
    if fault.count > 1:
        text += f" ({fault.count} times in this process)"
    return text


def _forget_the_parents_lock() -> None:
    # Another thread of the parent may hold it at the moment of the fork, and is not there to release it.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents_lock)
