"""A real `llmwatch serve` in a process of its own, for tests, and what a client of it has in its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_OTHERS = ("WANDB", "WEAVE", "WF_", "LITELLM", "LLMWATCH", "OTEL")


def environment(home: Path, **given: str) -> dict[str, str]:
    """An environment with nothing of this machine's account, and a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_OTHERS)}
    return {**kept, "HOME": str(home), "WANDB_ERROR_REPORTING": "false", **given}


@contextmanager
def server(store: Path, *arguments: str):
    """Yields the variables that the server printed for its clients."""
    command = [sys.executable, "-m", "llmwatch", "serve", "--port", "0", "--store", str(store)]
    given = {"PYTHONPATH": str(ROOT), "LLMWATCH_WORKER": "false"}
    with subprocess.Popen(
        [*command, *arguments],
        env=environment(store.parent, **given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            if not lines[0]:
                raise AssertionError(process.communicate()[1])
            yield dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        finally:
            process.terminate()
            process.communicate(timeout=30)
