"""The drift job's runs of two weeks: `python -m llmwatch.demo.drift_runs`, in a process of its own as the worker's are.

On its standard input is when each run was, as microseconds; the first of them is where the week ends that is the baseline.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone

import orjson

from llmwatch import clock, drift
from llmwatch.demo.rehearsal import PROJECT, TABLE

BASELINE = "first-week"
_EVERY = "2d"


def main() -> None:
    first, *runs = orjson.loads(sys.stdin.buffer.read())
    table = f"{PROJECT}/{TABLE}"
    with clock.use(now=lambda: int(first)):
        drift.save_baseline(BASELINE, table=table, window="7d", until=_moment(first))
    for at_us in runs:
        with clock.use(now=lambda at=at_us: int(at)):  # type: ignore[misc]
            drift.run(table, baseline=BASELINE, window=_EVERY, until=_moment(at_us))


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, timezone.utc)


if __name__ == "__main__":
    main()
