"""What an endpoint gives back: a JSON object, or a stream of server-sent events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .errors import ApiError


@dataclass(frozen=True)
class Event:
    """One server-sent event; ``paced`` events carry a token and wait for the token delay."""

    data: dict[str, Any]
    name: str | None = None
    paced: bool = False

    def encode(self) -> bytes:
        head = f"event: {self.name}\n" if self.name else ""
        return f"{head}data: {json.dumps(self.data, separators=(',', ':'))}\n\n".encode()


@dataclass(frozen=True)
class EventStream:
    """The events, the bytes that end the stream, and how it says that it failed half-way."""

    events: Iterator[Event]
    failure: Callable[[ApiError, int], Event]
    ending: bytes = b""


Answered: TypeAlias = "dict[str, Any] | EventStream"
