"""``python -m llmwatch.testing.openai_server --port 8080``: the server by itself."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from .server import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    given = _parser().parse_args(arguments)
    replies = json.loads(given.replies.read_text("utf-8")) if given.replies else None
    server = OpenAIServer(
        replies,
        port=given.port,
        require_key=given.require_key,
        delay=given.delay,
        token_delay=given.token_delay,
    )
    if given.error_rate:
        server.faults.add(status=given.error_status, rate=given.error_rate, seed=given.seed)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        for name, value in server.environment.items():
            print(f"export {name}={value}", flush=True)  # noqa: T201 - a program's output
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m llmwatch.testing.openai_server",
        description="A deterministic OpenAI-compatible server on the loopback, until interrupted.",
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--replies", type=Path, help="a JSON file: patterns to replies, or a list")
    parser.add_argument("--require-key", help="the only API key that is let in")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before an answer")
    parser.add_argument("--token-delay", type=float, default=0.0, help="seconds between tokens")
    parser.add_argument("--error-rate", type=float, default=0.0, help="share of requests that fail")
    parser.add_argument("--error-status", type=int, default=500, help="what they fail with")
    parser.add_argument("--seed", type=int, default=0, help="chooses the requests that fail")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
