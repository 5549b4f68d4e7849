"""The one tree of errors that llmwatch raises.

    LlmwatchError
    ├── InvalidName      (ValueError)   a project or table name that no store can hold
    ├── SettingsError    (ValueError)   a setting with a value that it cannot have
    ├── StoreError                      the store cannot be opened, read or written
    ├── QueryRefused     (ValueError)   SQL that is not one SELECT over the named views
    ├── InvalidBoard     (ValueError)   a board's spec that cannot be drawn, panel by panel
    ├── NotFound         (KeyError)     a row, table or project that is not there
    ├── BreakerOpen                     a call that a circuit breaker without a fallback did not make
    └── MissingExtra     (ImportError)  an optional part that is not installed

They are raised where the person asked for something. What goes wrong while recording is never raised
into the recorded code: see `llmwatch.faults`.
"""

from __future__ import annotations

from collections.abc import Sequence


class LlmwatchError(Exception):
    """Every error that llmwatch raises on purpose is one of these."""


class InvalidName(LlmwatchError, ValueError):
    """A project or table name that no store can hold."""


class SettingsError(LlmwatchError, ValueError):
    """A setting with a value that it cannot have, and where the value came from."""


class StoreError(LlmwatchError):
    """The store cannot be opened, read or written."""


class QueryRefused(LlmwatchError, ValueError):
    """SQL that is not one SELECT over the named views."""


class InvalidBoard(LlmwatchError, ValueError):
    """A board's spec that cannot be drawn; `problems` says what is wrong, each naming its panel."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


class NotFound(LlmwatchError, KeyError):
    """A row, table or project that is not there."""

    def __str__(self) -> str:
        # KeyError would print the repr of the message, quotes and escapes included.
        return str(self.args[0]) if self.args else ""


class BreakerOpen(LlmwatchError):
    """A call that was not made: its circuit breaker is open and has no fallback."""

    def __init__(self, breaker: str, retry_after_s: float) -> None:
        self.breaker, self.retry_after_s = breaker, retry_after_s
        super().__init__(
            f"the circuit breaker {breaker!r} is open; it probes again in {retry_after_s:.0f} s"
        )

    def __reduce__(self) -> tuple[type[BreakerOpen], tuple[str, float]]:
        return type(self), (self.breaker, self.retry_after_s)


class MissingExtra(LlmwatchError, ImportError):
    """An optional part that is not installed; the message is the command that installs it."""

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra = extra
        super().__init__(f'{needed_for} needs an extra: pip install "llmwatch[{extra}]"')

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), (self.extra, str(self).split(" needs an extra: ")[0])
