"""Deliveries: things in requests that W&B takes, each once, the refused ones apart from the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmwatch.backend import wire
from llmwatch.forward.trouble import Later, Rejected, meaning

if TYPE_CHECKING:
    from llmwatch.forward.state import State

MOST_THINGS = 500
MOST_BYTES = 8 << 20
LARGEST = 31 << 20
"""W&B takes requests of 32 MiB."""

_COUNTED_AS = {"row": "rows", "feedback": "feedback and scores"}

Post = Callable[[list[dict[str, Any]]], Any]
Known = Callable[[list[str]], set[str]]


@dataclass(frozen=True)
class Thing:
    """One row or one piece of feedback, ready to be sent."""

    id: str
    body: dict[str, Any]
    source: str
    size: int

    @classmethod
    def of(cls, body: dict[str, Any], source: str) -> Thing:
        return cls(body["id"], body, source, len(wire.dumps(body)))


class Delivery:
    """Sends things of one kind. `post` sends a request; `known` asks which ids the server has already.

    An id is marked as doubtful before it is sent and as sent after the answer. What is doubtful, because the
    answer was lost or the process killed, is asked about before it is sent again: so nothing arrives twice.
    """

    def __init__(self, kind: str, state: State, post: Post, known: Known) -> None:
        self._kind, self._state, self._post, self._known = kind, state, post, known

    def send(self, things: Sequence[Thing]) -> None:
        """Send what was not sent; raises `Later` when it has to wait, with the rest still to do."""
        by_id = {thing.id: thing for thing in things}
        for done in (self._state.sent_of(by_id), self._state.dead_of(self._kind, by_id)):
            for thing_id in done:
                by_id.pop(thing_id, None)
        self._clear_doubts(by_id)
        for request in _requests(list(by_id.values())):
            self._send(request)

    def _clear_doubts(self, by_id: dict[str, Thing]) -> None:
        doubtful = sorted(self._state.doubtful_of(by_id))
        if doubtful:
            there = self._known(doubtful)
            self._state.done(there)
            self._count([by_id.pop(thing_id) for thing_id in there])

    def _send(self, things: list[Thing]) -> None:
        if len(things) == 1 and things[0].size > LARGEST:
            size = things[0].size
            self._bury(
                things[0], Rejected(413, f"{size} bytes; W&B takes {LARGEST} in one request")
            )
            return
        ids = [thing.id for thing in things]
        self._state.begin(ids)
        try:
            self._post([thing.body for thing in things])
        except Exception as error:  # noqa: BLE001 - each library below raises its own; `meaning` sorts them
            self._failed(things, meaning(error))
            return
        self._state.done(ids)
        self._count(things)

    def _failed(self, things: list[Thing], why: Later | Rejected) -> None:
        if isinstance(why, Later):
            if not why.in_doubt:
                self._state.not_sent([thing.id for thing in things])
            raise why
        if len(things) == 1:
            self._bury(things[0], why)
            return
        middle = len(things) // 2  # one of them is refused: find it, send the others
        self._send(things[:middle])
        self._send(things[middle:])

    def _bury(self, thing: Thing, why: Rejected) -> None:
        self._state.bury(self._kind, thing.id, thing.source, why.status, str(why))

    def _count(self, things: Sequence[Thing]) -> None:
        with self._state.at_once():
            self._state.count(_COUNTED_AS.get(self._kind, self._kind), len(things))
            self._state.count("bytes", sum(thing.size for thing in things))


def _requests(things: Sequence[Thing]) -> Iterator[list[Thing]]:
    request: list[Thing] = []
    size = 0
    for thing in things:
        if request and (len(request) >= MOST_THINGS or size + thing.size > MOST_BYTES):
            yield request
            request, size = [], 0
        request.append(thing)
        size += thing.size
    if request:
        yield request
