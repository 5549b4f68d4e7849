"""What a channel is."""

from __future__ import annotations

from typing import Protocol

from llmwatch.watch.messages import Message

TIMEOUT_S = 10.0


class Undelivered(Exception):
    """A message could not be sent. `final`: trying again would not help. Its text holds no secret."""

    def __init__(self, said: str, *, final: bool = False) -> None:
        super().__init__(said)
        self.final = final


class Channel(Protocol):
    """Somewhere that messages go."""

    @property
    def name(self) -> str: ...

    @property
    def severities(self) -> tuple[str, ...]: ...

    @property
    def resolved(self) -> bool:
        """Whether it is told when an alert is over."""
        ...

    def send(self, message: Message) -> None:
        """Send it now, within seconds; `Undelivered` when that could not be."""
        ...
