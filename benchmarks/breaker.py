"""An application whose model fails, and then is slow, with and without a circuit breaker, under one load generator.

    python benchmarks/breaker.py [--quick] [--check]

The model is an HTTP server of its own; so is the application, which asks it in two routes that differ only in the breaker. Both
routes get the same load at the same time. Looked for: that the breaker trips, serves the fallback and recovers, and that no request
fails because of it: every answer that was an error was an error of the model's, of a call made while the breaker was closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NEEDED = ("starlette", "uvicorn")
CONNECTIONS = 8
PAUSE_S = 0.01
PHASES = ("well", "failing", "well again", "slow", "well at last")
MODEL = {"failing": "error", "slow": "slow"}
SLOW_S, SLOW_MS, REST_S = 0.8, 400, 0.5


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="phases of 4 seconds, not 10")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--app", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if any(find_spec(name) is None for name in NEEDED):
        print(f"this benchmark serves an app: pip install {' '.join(NEEDED)}")
        return 1
    if args.app:
        serve_app(args.app)
        return 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        missed = asyncio.run(measure(Path(scratch), 4 if args.quick else 10))
    return 1 if missed and args.check else 0


# --- HTTP, as little of it as is needed: a client library would take most of the time ------------


class Connections:
    """To one port; each is used by one request at a time, and kept."""

    def __init__(self, port: int) -> None:
        self._port, self._free = port, []

    async def get(self, path: str) -> tuple[int, bytes]:
        reader, writer = (
            self._free.pop()
            if self._free
            else await asyncio.open_connection("127.0.0.1", self._port)
        )
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        self._free.append((reader, writer))
        return int(head.split()[1]), body


# --- the application, in a process of its own ------------------------------------------------


class ModelFailed(Exception):
    """It answered with an error."""


def serve_app(model_port: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    import llmwatch

    llmwatch.init("demo/breaker", worker=False)
    model = Connections(model_port)
    failed: Counter[str] = Counter()

    @llmwatch.traced
    async def ask() -> str:
        status, _ = await model.get("/")
        if status != 200:
            raise ModelFailed(status)
        return "model"

    @llmwatch.breaker(
        "model", fallback="fallback", slow_ms=SLOW_MS, min_calls=5, window_s=1, rest_s=REST_S
    )
    async def ask_carefully() -> str:
        try:
            return await ask()
        except ModelFailed:
            failed["of calls that were made"] += 1
            raise

    def answering(function):
        async def endpoint(request):
            try:
                return JSONResponse({"by": await function()})
            except ModelFailed:
                return JSONResponse({"by": "error of the model's"}, status_code=502)

        return endpoint

    async def failures(request):
        return JSONResponse(failed)

    routes = [
        Route("/plain", answering(ask)),
        Route("/guarded", answering(ask_carefully)),
        Route("/failures", failures),
    ]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)  # before the port is told: the first requests wait for the server to start
    print(listener.getsockname()[1], flush=True)
    # Kept as long as the benchmark runs: a connection that waited its turn for five seconds was closed under the next request.
    config = uvicorn.Config(
        Starlette(routes=routes), log_level="error", access_log=False, timeout_keep_alive=600
    )
    uvicorn.Server(config).run(sockets=[listener])


# --- the model -------------------------------------------------------------------------------


class Model:
    """A tiny HTTP server that answers well, with errors, or late."""

    def __init__(self) -> None:
        self.mood, self.calls = "well", Counter()

    async def start(self) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader, writer) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                mood = MODEL.get(self.mood, "well")
                self.calls[self.mood] += 1
                await asyncio.sleep(SLOW_S if mood == "slow" else 0.005)
                status = b"503 Busy" if mood == "error" else b"200 OK"
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\n\r\nhi")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        except asyncio.CancelledError:  # the benchmark is over
            return


# --- the load --------------------------------------------------------------------------------


@dataclass
class Seen:
    """What one route answered in one phase."""

    answers: Counter = field(default_factory=Counter)
    took_ms: list[float] = field(default_factory=list)
    moments: list[tuple[float, str]] = field(default_factory=list)

    def p95(self) -> float:
        return sorted(self.took_ms)[int(len(self.took_ms) * 0.95)]


async def keep_asking(app, route, seen, phase) -> None:
    """One connection: the next request when the last was answered and a moment passed."""
    while phase.name:
        name, began = phase.name, time.perf_counter()
        try:
            by = json.loads((await asyncio.wait_for(app.get(route), 30))[1])["by"]
        except Exception as error:  # noqa: BLE001 - counted: no request may be lost
            by = type(error).__name__
        now = time.perf_counter()
        one = seen[route, name]
        one.answers[by] += 1
        one.took_ms.append((now - began) * 1000)
        one.moments.append((now, by))
        await asyncio.sleep(PAUSE_S)


@dataclass
class Phase:
    name: str | None = PHASES[0]


async def measure(scratch: Path, seconds: float) -> list[str]:
    model = Model()
    process, port = started(await model.start(), scratch)
    app = Connections(port)
    phase, seen = Phase(), {(route, p): Seen() for route in ("/plain", "/guarded") for p in PHASES}
    began = {}
    try:
        asking = [
            asyncio.create_task(keep_asking(app, route, seen, phase))
            for route in ("/plain", "/guarded")
            for _ in range(CONNECTIONS)
        ]
        for name in PHASES:
            phase.name = model.mood = name
            began[name] = time.perf_counter()
            await asyncio.sleep(seconds)
        phase.name = None
        await asyncio.gather(*asking)
        failed = json.loads((await app.get("/failures"))[1])
    finally:
        process.terminate()
        process.wait(20)
    return report(seen, began, failed, rows_of(scratch / "store"), model.calls)


def started(model_port: int, scratch: Path):
    environment = {**os.environ, "HOME": str(scratch), "LLMWATCH_STORE": str(scratch / "store")}
    process = subprocess.Popen(
        [sys.executable, __file__, "--app", str(model_port)],
        stdout=subprocess.PIPE,
        stderr=(scratch / "app.log").open("wb"),
        env=environment,
    )
    return process, int(process.stdout.readline())


def rows_of(store: Path) -> list[dict]:
    from llmwatch import StreamTable

    return list(StreamTable("demo/breaker/breakers", store=store).rows())


# --- what came of it -------------------------------------------------------------------------


def report(seen, began, failed, rows, calls) -> list[str]:
    print(
        f"{'phase':<14}{'route':<10}{'requests':>9}{'model':>8}{'fallback':>10}{'errors':>8}{'p95 ms':>9}"
    )
    for name in PHASES:
        for route in ("/plain", "/guarded"):
            one = seen[route, name]
            known = one.answers["model"], one.answers["fallback"]
            print(
                f"{name:<14}{route[1:]:<10}{one.answers.total():>9}{known[0]:>8}{known[1]:>10}"
                f"{one.answers.total() - sum(known):>8}{one.p95():>9.0f}"
            )
    states = [(row["state"], row["reason"]) for row in rows]
    print(f"changes of state: {', '.join(f'{state} ({why})' for state, why in states)}")
    guarded = [seen["/guarded", name] for name in PHASES]
    errors = sum((one.answers for one in guarded), Counter())
    of_model = errors["error of the model's"]
    others = errors.total() - errors["model"] - errors["fallback"] - of_model
    # A call that was made and failed would have failed without a breaker, too. Not all do: a probe's caller gets the fallback.
    of_breaker = others + max(0, of_model - failed.get("of calls that were made", 0))
    for name in MODEL:
        first = next((at for at, by in seen["/guarded", name].moments if by == "fallback"), None)
        after = PHASES[PHASES.index(name) + 1]
        back = next((at for at, by in seen["/guarded", after].moments if by == "model"), None)
        print(
            f"{name}: the first fallback after {said(first, began[name])}, "
            f"the model again {said(back, began[after])} after it was well"
        )
    told = {"failed because of the breaker": of_breaker, "answers": dict(errors), "calls to the model": calls}
    print(json.dumps(told))
    bars = {
        "it tripped on errors": ("open", "errors") in states,
        "it tripped on latency": ("open", "slow") in states,
        "it recovered": states[-1:] == [("closed", "recovered")],
        "fallbacks were served": all(seen["/guarded", name].answers["fallback"] for name in MODEL),
        "no request failed because of it": of_breaker == 0,
        "the model answers at last": seen["/guarded", PHASES[-1]].answers["model"] > 100,
    }
    missed = [bar for bar, kept in bars.items() if not kept]
    print(f"missed: {', '.join(missed)}" if missed else f"all kept: {', '.join(bars)}")
    return missed


def said(moment: float | None, since: float) -> str:
    return "never" if moment is None else f"{moment - since:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
