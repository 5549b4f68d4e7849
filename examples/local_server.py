"""`llmwatch serve` in a process of its own, on a free port: what it prints are the variables of its clients."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def local_server() -> Iterator[dict[str, str]]:
    """The variables that send Weave's clients, and OpenTelemetry's exporters, here."""
    command = [sys.executable, "-m", "llmwatch", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            if not lines[-1]:
                raise SystemExit("llmwatch serve did not start; see above")
            yield dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        finally:
            process.terminate()
            process.wait(timeout=30)
