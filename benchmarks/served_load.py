"""A load generator: connections that each send the next request when the last was answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

QUESTION = "How do I reset the key of my account? " * 5


@dataclass
class Load:
    """What a block of requests came to."""

    model_s: float
    acknowledged: list[int] = field(default_factory=list)
    unanswered: list[int] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.acknowledged) / self.seconds

    def latency(self, share: float) -> float:
        return sorted(self.took_ms)[int(len(self.took_ms) * share)]


def block(
    port: int,
    numbers: Iterator[int],
    *,
    seconds: float,
    model_s: float = 0,
    connections: int = 16,
    midway: Callable[[], None] | None = None,
) -> Load:
    """Ask for some seconds; `midway` is called half-way."""
    return asyncio.run(_block(port, numbers, seconds, model_s, connections, midway))


async def _block(
    port: int,
    numbers: Iterator[int],
    seconds: float,
    model_s: float,
    connections: int,
    midway: Callable[[], None] | None,
) -> Load:
    load, began = Load(model_s), time.perf_counter()
    if midway is not None:
        asyncio.get_running_loop().call_later(seconds / 2, midway)
    until = began + seconds
    await asyncio.gather(*(_connection(port, numbers, until, load) for _ in range(connections)))
    load.seconds = time.perf_counter() - began
    return load


async def _connection(port: int, numbers: Iterator[int], until: float, load: Load) -> None:
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await _requests(reader, writer, numbers, until, load)
        except (ConnectionError, asyncio.IncompleteReadError):
            continue  # its worker was killed: the others take the next connection
        finally:
            writer.close()


async def _requests(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    numbers: Iterator[int],
    until: float,
    load: Load,
) -> None:
    while time.perf_counter() < until:
        number, began = next(numbers), time.perf_counter()
        body = json.dumps({"n": number, "question": QUESTION, "model_s": load.model_s}).encode()
        try:
            writer.write(
                b"POST /ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            answer = await _answer(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            load.unanswered.append(number)
            raise
        assert answer["n"] == number
        load.acknowledged.append(number)
        load.took_ms.append((time.perf_counter() - began) * 1000)


async def _answer(reader: asyncio.StreamReader) -> dict[str, object]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    fields = head.lower().split(b"content-length:")[1]
    body = await reader.readexactly(int(fields.split(b"\r\n")[0]))
    assert status == b"200", body
    answer: dict[str, object] = json.loads(body)
    return answer
