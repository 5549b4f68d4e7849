"""Weave's questions to the embedded backend: calls filtered, sorted, paged and counted, feedback joined, memory flat.

    python benchmarks/backend.py                  # 100,000 calls, 10,000 feedbacks
    python benchmarks/backend.py --peer DIR       # and Weave 0.53.12's in-memory server; DIR: its environment, made when missing
    python benchmarks/backend.py --quick --check

Nine tenths of the calls are in the lake, the rest in the spool. Each question is asked in a process of its own kind, the best of
three counts (of the peer, which is slower, there is one); with --peer both must give the same calls in the same order. Streaming is asked of 100,000 calls while memory is watched.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]
os.environ["WANDB_ERROR_REPORTING"] = "false"

import backend_calls as given  # noqa: E402

PEER = "weave[trace-server]==0.53.12"
BATCH, REPEATS = 1000, 3
SLOWEST_S = 5.0
"""Any one question; a bar for the machine this runs on, the ratios matter more."""
MOST_GROWTH_MB = 64
"""While all calls are streamed, once the first thousand were read."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20,000 calls")
    parser.add_argument("--calls", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--peer", type=Path, help="environment of the peer, made when missing")
    args = parser.parse_args()
    count = args.calls or (20_000 if args.quick else 100_000)
    with tempfile.TemporaryDirectory() as scratch:
        ours = measure(Path(scratch) / "store", count)
        if args.peer:
            report(count, ours, None)
        theirs = ask_peer(args.peer, count, Path(scratch) / "peer.json") if args.peer else None
    missed = report(count, ours, theirs)
    print("MISSED:" if missed else "all bars met", "; ".join(missed))
    return 1 if missed and args.check else 0


def measure(store: Path, count: int) -> dict[str, Any]:
    from llmwatch import settings
    from llmwatch.backend.server import LocalTraceServer
    from llmwatch.store import open_store

    server = LocalTraceServer(open_store(store), settings.load(worker=False))
    seconds = {"writing": timed(lambda: fill(server, store, count))}
    server = LocalTraceServer(open_store(store), settings.load(worker=False))
    first = timed(lambda: server.calls_query_stats(given.STATS[0]))
    answers: dict[str, Any] = {}
    for name, requests in given.QUESTIONS.items():
        answers[name], seconds[name] = best(
            lambda requests=requests: [
                given.same(list(server.calls_query_stream(each))) for each in requests
            ]
        )
    answers["stats"], seconds["stats"] = best(
        lambda: [server.calls_query_stats(each).count for each in given.STATS]
    )
    seconds["latency by hour"] = best(lambda: server.call_stats(given.SERIES))[1]
    grown, streamed = stream(server, count)
    seconds["all of them, streamed"] = streamed
    return {"seconds": seconds, "answers": answers, "grown": grown, "first": first}


def fill(server: Any, store: Path, count: int) -> None:
    """Nine tenths of the calls, then compaction, then the rest."""
    batch: list[dict[str, Any]] = []
    said = iter(given.feedback(count))
    for number, call in enumerate(given.calls(count), 1):
        batch.append(call)
        if len(batch) == BATCH:
            server.calls_complete({"batch": batch})
            server.feedback_create_batch(
                {"batch": [next(said) for _ in range(BATCH // given.RATED)]}
            )
            batch = []
        if number == count * 9 // 10:
            compact(store)


def compact(store: Path) -> None:
    from llmwatch.stream import spool

    spool.close_all()
    command = [sys.executable, "-m", "llmwatch", "compact", "--merge", "--store", str(store)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def stream(server: Any, count: int) -> tuple[float, float]:
    """How many MB the process grew while it read every call, and in how many seconds."""
    calls = server.calls_query_stream(given.asked())
    began = time.perf_counter()
    for _ in range(1000):
        next(calls)
    before = highest = resident_mb()
    for number, _ in enumerate(calls):
        if number % 1000 == 0:
            highest = max(highest, resident_mb())
    assert number + 1001 == count, (number, count)
    return highest - before, time.perf_counter() - began


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def ask_peer(home: Path, count: int, into: Path) -> dict[str, Any]:
    python = home / "bin" / "python"
    if not python.exists():
        print(f"making {home} for {PEER} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", PEER], check=True)
    command = [str(python), str(HERE / "backend_peer.py"), str(count), "1", str(into)]
    subprocess.run(command, check=True, cwd=HERE)
    return json.loads(into.read_text(encoding="utf-8"))


def report(count: int, ours: dict[str, Any], theirs: dict[str, Any] | None) -> list[str]:
    print(f"{count:,} calls; seconds" + ("; in memory: Weave 0.53.12's server" if theirs else ""))
    missed = []
    for name, seconds in ours["seconds"].items():
        peer = theirs["seconds"].get(name) if theirs else None
        beside = f"{peer:10.3f} {seconds / peer:8.2f}x" if peer else ""
        print(f"  {name:40} {seconds:8.3f}{beside}")
        slow = name not in {"writing", "all of them, streamed"} and seconds > SLOWEST_S
        if slow:
            missed.append(f"{name} took {seconds:.1f} s")
    print(f"  {'the very first question':40} {ours['first']:8.3f}")
    print(f"  memory grew by {ours['grown']:.0f} MB while all were streamed")
    if ours["grown"] > MOST_GROWTH_MB:
        missed.append(f"memory grew by {ours['grown']:.0f} MB")
    for name, answer in (theirs["answers"] if theirs else {}).items():
        if answer != ours["answers"][name]:
            missed.append(f"{name}: another answer than the peer's")
    return missed


def timed(do: Any) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def best(ask: Any) -> tuple[Any, float]:
    found, times = None, []
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = ask()
        times.append(time.perf_counter() - began)
    return found, min(times)


if __name__ == "__main__":
    sys.exit(main())
