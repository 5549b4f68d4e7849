"""Live updates: a page is told that its table changed, and asks again what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson

from llmwatch.board.changes import mark
from llmwatch.board.desk import Desk
from llmwatch.board.source import Source

LOOK_S = 0.5
BEAT_S = 15.0


async def changes(desk: Desk, source: Source, seen: str | None) -> AsyncIterator[bytes]:
    """Server-sent events: `changed` with a number that counts up, a comment now and then to keep the line.

    `seen` is the mark that the page was given first: what came between then and now is a change too.
    """
    seen = seen or await desk.run(mark, source.project, source.table)
    number, quiet = 0, 0.0
    yield b"retry: 2000\n\n"
    while True:
        await asyncio.sleep(LOOK_S)
        now = await desk.run(mark, source.project, source.table)
        if now != seen:
            seen, number, quiet = now, number + 1, 0.0
            yield _event("changed", number)
        elif (quiet := quiet + LOOK_S) >= BEAT_S:
            quiet = 0.0
            yield b": still here\n\n"


def _event(name: str, number: int) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps({"n": number}) + b"\n\n"
