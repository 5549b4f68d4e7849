"""The drift jobs of a game day: `python -m llmwatch.gameday.drift_runs STORE`, in a process of its own as the worker's are.

On its standard input are the jobs: which table, by which arguments, and when each run is. A saved baseline that a job
names is made of the clean part.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

import orjson

from llmwatch import clock, drift
from llmwatch.cli import main as llmwatch_command

_NO_NAMES = {"weeks", "previous"}
_VERDICTS = {0, 4, 5}


def main() -> int:
    store = sys.argv[1]
    for job in orjson.loads(sys.stdin.buffer.read()):
        for name in _named(job["arguments"]):
            _save(name, job, store)
        for at_us in job["at"]:
            with clock.use(now=lambda at=at_us: int(at)):  # type: ignore[misc]
                code = llmwatch_command(
                    ["drift", "--store", store, "--table", job["table"], *job["arguments"]]
                )
            if code not in _VERDICTS:
                return code
    return 0


def _named(arguments: Iterable[str]) -> list[str]:
    told = [one.partition("=")[2] for one in arguments if one.startswith("--baseline=")]
    return [one.partition("@")[0] for one in told if one not in _NO_NAMES]


def _save(name: str, job: dict[str, Any], store: str) -> None:
    minutes = (job["clean"] - job["from"]) // 60_000_000
    until = datetime.fromtimestamp(job["clean"] / 1e6, timezone.utc)
    with clock.use(now=lambda: int(job["clean"])):
        drift.save_baseline(
            name, table=job["table"], window=f"{minutes}m", until=until, store=store
        )


if __name__ == "__main__":
    sys.exit(main())
