"""A FastAPI app under load, with and without llmwatch, on four forked workers each; then one is killed.

    python benchmarks/served.py
    python benchmarks/served.py --quick --check    # under a minute; fails when a limit is missed

Every request is a trace of three calls; the app's model answers at once, or takes 20 ms. The two apps take turns, block by block, in one run; the worker that
compacts runs meanwhile. Rows are compared with the answers that the load generator saw: each answered request must
be one whole trace, also when its worker got SIGKILL.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from served_load import Load, block

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SPANS = 3
# How long the app's model takes, and the least throughput with llmwatch then, as a share of that without. An app that
# answers at once does nothing but what is measured: 0.3 ms of FastAPI beside three calls recorded and compacted.
CASES = {0.0: 0.5, 0.02: 0.9}
NEEDED = ("fastapi", "uvicorn")


Pair = tuple[Load, Load]
"""A block of the plain app and the block of the traced one after it."""


class Served:
    """An app in processes of its own."""

    def __init__(self, kind: str, scratch: Path) -> None:
        environment = {
            **os.environ,
            "HOME": str(scratch),
            "LLMWATCH_STORE": str(scratch / "store"),
            "LLMWATCH_WORKER_IDLE_S": "2",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "served_app.py"), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(scratch / f"{kind}.log").open("wb"),
            env=environment,
        )
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.port: int = said["port"]
        self.pids: list[int] = said["pids"]

    def kill_one(self) -> None:
        os.kill(self.pids[0], signal.SIGKILL)

    def close(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter blocks")
    parser.add_argument("--check", action="store_true", help="fail when a limit is missed")
    args = parser.parse_args()
    if any(find_spec(name) is None for name in NEEDED):
        print(f"this benchmark serves an app: pip install {' '.join(NEEDED)}")
        return 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        missed = measure(
            Path(scratch), rounds=4 if args.quick else 12, seconds=1.2 if args.quick else 3
        )
    return 1 if missed and args.check else 0


def measure(scratch: Path, *, rounds: int, seconds: float) -> list[str]:
    numbers = itertools.count()
    plain, traced = Served("plain", scratch), Served("traced", scratch)
    try:
        for app in (plain, traced):
            block(app.port, itertools.count(-(10**9)), seconds=1)  # everything is imported and warm
        pairs = [
            (
                block(plain.port, itertools.count(), seconds=seconds, model_s=model_s),
                block(traced.port, numbers, seconds=seconds, model_s=model_s),
            )
            for _ in range(rounds)
            for model_s in CASES
        ]
        killed = block(traced.port, numbers, seconds=2 * seconds, midway=traced.kill_one)
    finally:
        plain.close()
        traced.close()
    try:
        return report(pairs, killed, traces(scratch / "store"))
    finally:
        end_worker(scratch / "store")


def traces(store: Path) -> dict[int, list[int]]:
    """How many rows each trace has, by the request that it is of."""
    from llmwatch.store import open_store
    from llmwatch.stream.query import Reader

    sql = (
        "SELECT (root.inputs->>'$.n')::BIGINT AS n, count(*) FROM traces AS each "
        "JOIN traces AS root ON each.trace_id = root.id WHERE n >= 0 GROUP BY root.id, n"
    )
    reader = Reader(open_store(store).project("demo", "served"))
    found: dict[int, list[int]] = {}
    for number, rows in reader.execute(sql).rows:
        found.setdefault(number, []).append(rows)
    reader.close()
    return found


def end_worker(store: Path) -> None:
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(json.loads((store / "worker.json").read_text())["pid"], signal.SIGTERM)


def report(pairs: list[Pair], killed: Load, found: dict[int, list[int]]) -> list[str]:
    ratios = {model_s: ratio([p for p in pairs if p[0].model_s == model_s]) for model_s in CASES}
    answered = [n for _, load in pairs for n in load.acknowledged]
    inexact = sum(found.get(n) != [SPANS] for n in answered)
    lost = sum(found.get(n) != [SPANS] for n in killed.acknowledged)
    unasked = len(found.keys() - {*answered, *killed.acknowledged, *killed.unanswered})
    print(f"rows: {len(answered):,} answered requests, {inexact} not exactly one trace of {SPANS}")
    print(
        f"kill -9 of a worker: {len(killed.acknowledged):,} answered, {lost} of them lost; "
        f"{len(killed.unanswered)} were never answered"
    )
    slow = [
        f"throughput {ratios[model_s]:.2f} is below {least} with a model of {model_s * 1000:.0f} ms"
        for model_s, least in CASES.items()
        if ratios[model_s] < least
    ]
    wrong = {
        f"{inexact} requests are not exactly one trace": inexact,
        f"{lost} answered requests were lost by kill -9": lost,
        f"{unasked} traces are of no request": unasked,
        "no request was cut off: the kill came too late": not killed.unanswered,
    }
    missed = [*slow, *(text for text, bad in wrong.items() if bad)]
    for line in missed:
        print("MISSED:", line)
    each = ", ".join(f"{r:.2f} with a model of {m * 1000:.0f} ms" for m, r in ratios.items())
    print(f"throughput with llmwatch, of that without: {each}")
    return missed


def ratio(pairs: list[Pair]) -> float:
    """The median of what neighbours in time compare to; prints both sides."""
    print(f"model of {pairs[0][0].model_s * 1000:.0f} ms")
    for name, loads in zip(("plain", "traced"), zip(*pairs, strict=True), strict=True):
        print(
            f"  {name:7} {median(load.per_second for load in loads):7.0f} requests/s, "
            f"p50 {median(load.latency(0.5) for load in loads):.1f} ms, "
            f"p99 {median(load.latency(0.99) for load in loads):.1f} ms"
        )
    return median(traced.per_second / plain.per_second for plain, traced in pairs)


if __name__ == "__main__":
    raise SystemExit(main())
