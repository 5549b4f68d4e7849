"""What tracing costs: llmwatch `@traced` beside `weave.op` and raw OpenTelemetry spans, in one run.

    python benchmarks/overhead.py            # A: a flat call; B: a three-span RAG trace; a paced call
    python benchmarks/overhead.py --kill     # who has what when the process is killed after its last call
    python benchmarks/overhead.py --quick --check

Each tracer runs in a process of its own, all pinned to the same core and taking turns, block by block. The
peers send to something that discards: `weave.op` to a server object in its process, OpenTelemetry to an HTTP
collector in another.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

PROMPT_A = "How do I reset the key of my account???x"
PROMPT_B = (
    "The key of an account is reset on its security page, by its owner or an administrator. " * 25
)[:2000]
CALLS_COMPACTED = 9000
SPANS = {"A": 1, "B": 3}
TRACERS = ("none", "llmwatch", "weave", "otel")
LIMITS = {"durable": {"otel": 0.3, "weave": 1 / 30}, "compacted": {"otel": 0.6, "weave": 1 / 15}}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls")
    parser.add_argument("--check", action="store_true", help="fail when a limit is missed")
    parser.add_argument("--kill", action="store_true", help="only the SIGKILL comparison")
    parser.add_argument("--child", choices=[*TRACERS, "weave-wal"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child)
    with tempfile.TemporaryDirectory() as scratch:
        missed = kill(Path(scratch)) if args.kill else measure(Path(scratch), quick=args.quick)
    for line in missed:
        print("MISSED:", line)
    return 1 if missed and args.check else 0


# The process of one tracer: it does what the driver says, a line at a time.


def child(name: str) -> int:
    from overhead_tracers import TRACER

    tracer = TRACER[name]()
    work = {"A": tracer.flat, "B": tracer.rag}
    prompt = {"A": PROMPT_A, "B": PROMPT_B}
    print("ready", flush=True)
    for line in sys.stdin:
        command, what, count = line.split()
        if command == "run":
            answer = block(work[what], prompt[what], int(count), tracer)
        elif command == "pace":
            answer = paced(work[what], prompt[what], int(count))
        elif command == "kill":
            for _ in range(int(count)):
                work[what](prompt[what])
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            answer = {"delivered": tracer.finish()}
        print(json.dumps(answer), flush=True)
    return 0


def block(function, prompt, count, tracer):
    wall, caller, whole = time.perf_counter(), time.thread_time(), time.process_time()
    for _ in range(count):
        function(prompt)
    caller = time.thread_time() - caller
    tracer.flush()
    us = 1e6 / count
    return {
        "caller": caller * us,
        "total": (time.process_time() - whole) * us,
        "wall": (time.perf_counter() - wall) * us,
    }


def paced(function, prompt, count):
    took, due = [], time.perf_counter()
    for _ in range(count):
        due += 0.001
        while (left := due - time.perf_counter()) > 0:
            time.sleep(left)
        start = time.perf_counter_ns()
        function(prompt)
        took.append((time.perf_counter_ns() - start) / 1000)
    took.sort()
    return {"p50": took[count // 2], "p99": took[count * 99 // 100]}


class Child:
    """Starts a tracer's process, on one core, and talks to it."""

    def __init__(self, name: str, scratch: Path, collector: str) -> None:
        self.name, self.home = name, scratch / name
        self.home.mkdir()
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "LLMWATCH_STORE": str(self.home / "store"),
            "LLMWATCH_WORKER": "false",
            "OVERHEAD_COLLECTOR": collector,
            "OVERHEAD_COUNT": str(self.home / "delivered"),
            "WANDB_ERROR_REPORTING": "false",
            "WEAVE_PRINT_CALL_LINK": "false",
            "WEAVE_ENABLE_WAL": "true" if name == "weave-wal" else "false",
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, {0})
        assert self.process.stdout.readline() == "ready\n", f"{name} did not start"

    def ask(self, *command):
        self.process.stdin.write(" ".join(map(str, command)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else None

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(scratch: Path, *, quick: bool) -> list[str]:
    blocks, size = (5, 200) if quick else (15, 600)
    missed: list[str] = []
    with Collector() as collector:
        children = [Child(name, scratch, collector.url) for name in TRACERS]
        for one in children:  # warm caches, first segments, published ops
            one.ask("run", "A", 100), one.ask("run", "B", 100)
        sent = {one.name: 400 for one in children}
        results: dict[str, dict[str, list[dict[str, float]]]] = {}
        spent: dict[str, list[float]] = {"A": [], "B": []}
        for what in "AB":
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in TRACERS}
            worker = Worker(scratch / f"compacted-{what}", what)
            for turn in range(blocks):
                for one in children:
                    runs[one.name].append(one.ask("run", what, size))
                    sent[one.name] += size * SPANS[what]
                if turn % 5 == 4:
                    spent[what].append(worker.compact(CALLS_COMPACTED))
            worker.close()
            results[what] = runs
        delivered = {one.name: one.ask("finish", "A", 0)["delivered"] for one in children}
        delivered["otel"] = collector.count()
        for what in "AB":
            missed += report(what, results[what], median(spent[what]))
        print("\nrows delivered (of sent)")
        for name in TRACERS[1:]:
            print(f"  {name:<10}{delivered[name]:>9} of {sent[name]}")
        if delivered["llmwatch"] != sent["llmwatch"]:
            missed.append("llmwatch did not deliver every row")
        missed += pace(children[1], scratch, 2 if quick else 9)
        for one in children:
            one.close()
    return missed


def report(what: str, runs: dict[str, list[dict[str, float]]], spent: float) -> list[str]:
    """Medians over the turns; a ratio is the median of the turns' own ratios, as this machine may change its speed."""
    title = {
        "A": "A: a flat call, 40 characters",
        "B": "B: a RAG trace, three spans, 2,000 characters",
    }
    own = median(run["caller"] for run in runs["none"])
    print(f"\n{title[what]} (µs a call, the function's own {own:.1f} taken off)")
    print(f"  {'':<10}{'caller CPU':>12}{'total CPU':>12}{'wall':>12}")
    for name in TRACERS[1:]:
        figures = (median(_cost(runs, name, key)) for key in ("caller", "total", "wall"))
        print(f"  {name:<10}" + "".join(f"{figure:>12.1f}" for figure in figures))
    print(f"  compaction{spent:>12.1f} µs a call, {spent / SPANS[what]:.1f} a row")
    missed = []
    for stage, more in (("durable", 0.0), ("compacted", spent)):
        ours = [us + more for us in _cost(runs, "llmwatch", "total")]
        for peer, limit in LIMITS[stage].items():
            theirs = _cost(runs, peer, "total")
            ratio = median(us / other for us, other in zip(ours, theirs, strict=True))
            verdict = "ok" if ratio <= limit else "MISSED"
            print(
                f"  {stage:<10}{median(ours):>8.1f} µs = {ratio:.3f} of {peer}, 1/{1 / ratio:.1f} "
                f"(at most {limit:.3f}) {verdict}"
            )
            if ratio > limit:
                missed.append(f"{what}, {stage}: {ratio:.3f} of {peer}, more than {limit:.3f}")
    return missed


def _cost(runs: dict[str, list[dict[str, float]]], name: str, key: str) -> list[float]:
    """What a tracer took in each turn, without the function itself."""
    return [run[key] - none[key] for run, none in zip(runs[name], runs["none"], strict=True)]


class Worker:
    """A process that records calls and then moves their rows to the lake, of which it tells the CPU."""

    def __init__(self, store: Path, what: str) -> None:
        self.what = what
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("overhead_tracers.py")), "compact", str(store)],
            env={**os.environ, "LLMWATCH_WORKER": "false", "LLMWATCH_STORE": str(store)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, {0})
        self.compact(100)  # as the tracers, it is warm

    def compact(self, calls: int) -> float:
        """The CPU of it in µs a call."""
        prompt = {"A": PROMPT_A, "B": PROMPT_B}[self.what]
        self.process.stdin.write(json.dumps([self.what, calls, prompt]) + "\n")
        self.process.stdin.flush()
        rows, seconds = json.loads(self.process.stdout.readline())
        assert rows == calls * SPANS[self.what], "not every row came to the lake"
        return seconds * 1e6 / calls

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def pace(one: Child, scratch: Path, turns: int) -> list[str]:
    """One call per millisecond, in turns with the other core idle and with it compacting at the worker's priority."""
    worker = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).with_name("overhead_tracers.py")),
            "busy",
            str(scratch / "busy"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout.readline() == "busy\n"
    took: dict[int, list[dict[str, float]]] = {signal.SIGSTOP: [], signal.SIGCONT: []}
    for _ in range(turns):
        for told, found in took.items():
            worker.send_signal(told)
            found.append(one.ask("pace", "A", 1000))
    worker.kill()
    worker.wait()
    print(f"\na paced call, one per ms (wall, µs; medians of {turns} turns of a second)")
    missed = []
    for key in ("p50", "p99"):
        idle, busy = (median(turn[key] for turn in found) for found in took.values())
        ratio = busy / idle
        print(f"  {key}  idle {idle:>8.1f}   worker busy {busy:>8.1f}   {ratio:.2f}x (at most 2)")
        if ratio > 2:
            missed.append(f"paced {key}: {ratio:.2f}x with the worker busy")
    return missed


def kill(scratch: Path) -> list[str]:
    """SIGKILL right after the last of 1,000 calls returned."""
    print("of 1,000 calls, after SIGKILL right behind the last")
    missed = []
    with Collector() as collector:
        for name in ("llmwatch", "weave", "weave-wal", "otel"):
            one = Child(name, scratch, collector.url)
            one.ask("kill", "A", 1000)
            one.process.wait()
            time.sleep(1)
            kept = _kept(name, one.home, collector)
            print(f"  {name:<10}{kept:>6} kept{1000 - kept:>6} lost")
            if name == "llmwatch" and kept != 1000:
                missed.append(f"llmwatch lost {1000 - kept} of 1,000 calls")
    return missed


def _kept(name: str, home: Path, collector: Collector) -> int:
    from overhead_tracers import spool_rows

    if name == "llmwatch":
        return spool_rows(home / "store")
    if name == "otel":
        return collector.count()
    delivered = home / "delivered"
    ids = set(delivered.read_text().split()) if delivered.exists() else set()
    for log in (home / ".weave").rglob("*.jsonl"):  # Weave's write-ahead log, whose next process would send it
        records = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line[-1] == "\n"]
        ids |= {record["req"]["end"]["id"] for record in records if record["type"] == "call_end"}
    return len(ids)


class Collector:
    """An OTLP collector that counts spans and forgets them, in a process of its own on the last core."""

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("overhead_tracers.py")), "collect"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._process.stdout.readline().strip()
        return self

    def count(self) -> int:
        from urllib.request import urlopen

        with urlopen(self.url + "/count") as answer:
            return int(answer.read())

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


if __name__ == "__main__":
    raise SystemExit(main())
