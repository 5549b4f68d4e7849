"""What `StreamTable.log` costs its caller, beside SQLite in WAL mode in the same run.

    python benchmarks/spool.py [--quick] [--check] [--rounds N] [--dir DIR]

Rows of 2.4 KB, each made anew and timed from the dict to the acknowledgement, at 1 and at 4 processes. SQLite is given
its quick settings (WAL, synchronous=NORMAL, a prepared INSERT, orjson) and commits each row, as a record that must
survive the process does; rows have the same ids in both, which in SQLite are the primary key. Rounds of both alternate, and each figure is the median of its rounds: single rounds on a
shared machine differ by more than the things compared. A bare `os.write` of as many bytes is the floor of the disk.
No worker runs. Every acknowledged row is counted on the disk afterwards.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = (1, 4)
KINDS = ("llmwatch", "sqlite", "write")
ROWS = {"llmwatch": 10_000, "sqlite": 3_000, "write": 10_000}
TIGHT_ROWS = 50_000
WORDS = [f"word{n:04d}" for n in range(5000)]


def make_row(n: int) -> dict[str, object]:
    """About 2.4 KB of JSON; no two are alike."""
    text = " ".join(WORDS[(n * 31 + k * 17) % 5000] for k in range(254))
    return {
        "n": n,
        "question": text[:400],
        "answer": text[400:],
        "model": "gpt-5-mini",
        "latency_ms": n % 900,
    }


# One process


def llmwatch_log(directory: Path) -> Callable[[dict[str, object]], object]:
    from llmwatch import settings
    from llmwatch.stream.table import StreamTable

    settings.use(settings.load(worker=False))
    return StreamTable("bench/rows", store=directory / "store").log


def sqlite_log(directory: Path) -> Callable[[dict[str, object]], object]:
    import orjson

    from llmwatch.clock import new_id

    connection = sqlite3.connect(directory / "rows.db", timeout=60, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, ts INTEGER, data BLOB)"
    )

    def log(row: dict[str, object]) -> None:
        connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?)", (new_id(), time.time_ns(), orjson.dumps(row))
        )

    return log


def bare_write(directory: Path) -> Callable[[dict[str, object]], object]:
    import os

    path = directory / f"bare-{os.getpid()}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    line = json.dumps(make_row(0)).encode()
    return lambda _: os.write(fd, line)


LOGS = {"llmwatch": llmwatch_log, "sqlite": sqlite_log, "write": bare_write}


def child(kind: str, directory: Path, rows: int, out: Path) -> None:
    """Time each call into `out`; or with `rows` 0, all of many calls together."""
    log = LOGS[kind](directory)
    made = [make_row(n) for n in range(rows or 2000)]
    log(made[0])  # opens the segment, fills the caches
    print("ready", flush=True)
    sys.stdin.readline()
    times = _each(log, made) if rows else array("Q", [_all(log, made)])
    with out.open("wb") as file:
        times.tofile(file)


def _each(log: Callable[[dict[str, object]], object], made: list[dict[str, object]]) -> array[int]:
    times = array("Q")
    clock = time.perf_counter_ns
    for row in made:
        begun = clock()
        log(row)
        times.append(clock() - begun)
    return times


def _all(log: Callable[[dict[str, object]], object], made: list[dict[str, object]]) -> int:
    begun = time.perf_counter_ns()
    for _ in range(TIGHT_ROWS // len(made)):
        for row in made:
            log(row)
    return time.perf_counter_ns() - begun


# Many


def measure(kind: str, processes: int, rows: int, directory: Path) -> list[int]:
    """Nanoseconds of every call, of processes that begin together; the rows are counted after."""
    directory.mkdir()
    outs = [directory / f"times-{n}" for n in range(processes)]
    running = [_start(kind, directory, rows, out) for out in outs]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    times = array("Q")
    for process, out in zip(running, outs, strict=True):
        assert process.wait() == 0
        times.frombytes(out.read_bytes())
    _count(kind, directory, processes * (1 + (rows or TIGHT_ROWS)))
    shutil.rmtree(directory)
    return sorted(times)


def _start(kind: str, directory: Path, rows: int, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, "--child", kind, str(directory), str(rows), str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _count(kind: str, directory: Path, expected: int) -> None:
    if kind == "llmwatch":
        found = sum(p.read_bytes().count(b"\n") for p in directory.rglob("*-*.jsonl"))
    elif kind == "sqlite":
        with sqlite3.connect(directory / "rows.db") as connection:
            (found,) = connection.execute("SELECT count(*) FROM rows").fetchone()
        connection.close()
    else:
        return
    assert found == expected, f"{kind}: {found} of {expected} acknowledged rows are there"


@dataclass
class Figures:
    """Microseconds, the median over rounds; by (kind, processes)."""

    p50s: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    p99s: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    rates: list[float] = field(default_factory=list)

    def add(self, kind: str, processes: int, times: list[int]) -> None:
        self.p50s[kind, processes].append(times[len(times) // 2] / 1e3)
        self.p99s[kind, processes].append(times[len(times) * 99 // 100] / 1e3)

    def p50(self, kind: str, processes: int) -> float:
        return median(self.p50s[kind, processes])

    def p99(self, kind: str, processes: int) -> float:
        return median(self.p99s[kind, processes])

    def ratio(self, processes: int) -> float:
        return self.p50("sqlite", processes) / self.p50("llmwatch", processes)


def run(rounds: int, rows: dict[str, int], directory: Path) -> Figures:
    figures = Figures()
    for number in range(rounds):
        for processes in PROCESSES:
            # Turn the order about: what comes second finds the disk's cache fuller.
            for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
                times = measure(kind, processes, rows[kind], directory / "round")
                figures.add(kind, processes, times)
        (elapsed,) = measure("llmwatch", 1, 0, directory / "round")
        figures.rates.append(TIGHT_ROWS / (elapsed / 1e9))
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return figures


def show(figures: Figures) -> None:
    names = {"llmwatch": "StreamTable.log", "sqlite": "SQLite WAL", "write": "bare os.write"}
    print(f"{'microseconds a row':22}{'processes':>10}{'p50':>9}{'p99':>10}   p50 of each round")
    for processes in PROCESSES:
        for kind in KINDS:
            each = " ".join(f"{p50:.1f}" for p50 in figures.p50s[kind, processes])
            p50, p99 = figures.p50(kind, processes), figures.p99(kind, processes)
            print(f"{names[kind]:22}{processes:>10}{p50:>9.1f}{p99:>10.1f}   {each}")
    each = " ".join(f"{rate:,.0f}" for rate in figures.rates)
    print(f"rows/s of one process in a tight loop: {median(figures.rates):,.0f}   ({each})")


def bars(figures: Figures) -> list[tuple[str, bool]]:
    found = [
        (f"p50 {figures.ratio(n):.1f}x below SQLite at {n}", figures.ratio(n) >= 5)
        for n in PROCESSES
    ]
    ours, theirs = figures.p99("llmwatch", 4), figures.p50("sqlite", 4)
    found.append((f"p99 at 4 {ours:.1f} us (SQLite's p50 {theirs:.1f})", ours < theirs))
    rate = median(figures.rates)
    found.append((f"{rate:,.0f} rows/s", rate >= 100_000))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds of fewer rows, under 45 s")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is missed")
    parser.add_argument("--rounds", type=int, help="how many (15, or 3 with --quick)")
    parser.add_argument("--dir", type=Path, help="where to write (a new temporary directory)")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        kind, directory, rows, out = given.child
        child(kind, Path(directory), int(rows), Path(out))
        return 0
    scale = 2 if given.quick else 1
    rounds = given.rounds or (3 if given.quick else 15)
    with tempfile.TemporaryDirectory(dir=given.dir) as directory:
        figures = run(rounds, {kind: n // scale for kind, n in ROWS.items()}, Path(directory))
    show(figures)
    found = bars(figures)
    print("; ".join(("met: " if met else "MISSED: ") + said for said, met in found))
    return 1 if given.check and not all(met for _, met in found) else 0


if __name__ == "__main__":
    sys.exit(main())
