"""The app that is served: four workers, forked after everything was loaded, on one listening socket.

    python benchmarks/served_app.py traced|plain

Prints its port and the workers' pids as one JSON line; ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

import llmwatch

WORKERS = 4
DOCUMENTS = [
    f"Document {n}: the key of an account is reset on its security page." for n in range(8)
]


class Question(BaseModel):
    n: int
    question: str
    model_s: float


def make_app(*, traced: bool) -> FastAPI:
    """One request is one trace of three calls."""
    mark = llmwatch.traced if traced else lambda function: function

    @mark
    def retrieve(question: str) -> list[str]:
        return [document for document in DOCUMENTS if question[:3] != document[:3]]

    @mark
    def generate(question: str, documents: list[str]) -> str:
        return f"{question} {documents[0]}"

    @mark
    async def answer(n: int, question: str) -> str:
        return f"#{n}: {generate(question, retrieve(question))}"

    app = FastAPI()

    # What its model takes is waited for outside the calls: their arguments are the same in every block.
    @app.post("/ask")
    async def ask(asked: Question) -> dict[str, object]:
        await asyncio.sleep(asked.model_s)
        return {"n": asked.n, "answer": await answer(asked.n, asked.question)}

    return app


def main() -> None:
    traced = sys.argv[1] == "traced"
    if traced:
        llmwatch.init("demo/served")
    app = make_app(traced=traced)
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    pids = [fork_worker(app, listener) for _ in range(WORKERS)]
    print(json.dumps({"port": listener.getsockname()[1], "pids": pids}), flush=True)
    sys.stdin.read()
    for pid in pids:
        os.kill(pid, signal.SIGTERM)  # one that was killed stays a zombie until it is waited for
    for pid in pids:
        os.waitpid(pid, 0)


def fork_worker(app: FastAPI, listener: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        config = uvicorn.Config(
            app, log_level="error", access_log=False, timeout_graceful_shutdown=1
        )
        uvicorn.Server(config).run(sockets=[listener])
        llmwatch.finish()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
