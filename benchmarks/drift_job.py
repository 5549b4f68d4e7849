"""`llmwatch drift` on a table of a million rows: the last day against the same hours of four earlier weeks.

    python benchmarks/drift_job.py [--rows 1000000] [--store DIR] [--quick] [--check]

Rows of about 2.4 KB come at a steady pace through 29 days, compacted and merged as the worker would. The command runs
as a process of its own; its CPU and its peak memory are those of the whole process, imports included. For scale, the
same process reads one day's rows whole, which a job that loads what it does not use would have to do five times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from traffic import TABLE, Traffic, fill

from llmwatch import settings
from llmwatch.store import Project, open_store

DAY_US = 86_400_000_000
DAYS = 29
BAR_CPU_S, BAR_MB = 20.0, 800
RUNS = {
    "prompt length": ["--signal", "prompt_length"],
    "length and embedding": [],
    "length, latency, by model": [
        "--signal",
        "prompt_length",
        "--signal",
        "latency",
        "--slice",
        "model",
    ],
}
# The kernel's account of a child's peak begins with its parent's size; the child's own memory map knows better.
_TELL = """
import atexit, sys
peak = lambda: next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
atexit.register(lambda: print(peak(), file=sys.stderr))
"""
_DRIFT = """
import sys
from llmwatch.cli import main
sys.exit(main(sys.argv[1:]))
"""
_WHOLE = """
import sys
from llmwatch.stream.query import Reader
from llmwatch.store import open_store
reader = Reader(open_store(sys.argv[1]).project("local", "drift-bench"))
sql = "SELECT * FROM traces WHERE ts >= make_timestamptz(?) AND ts < make_timestamptz(?)"
print(len(reader.execute(sql, [int(sys.argv[2]), int(sys.argv[3])]).rows))
"""


@dataclass
class Cost:
    """Of one process."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    said: str
    code: int


def made(root: Path, rows: int) -> tuple[Project, int]:
    """The table, filled when it is not there yet, and when its last row was."""
    settings.use(
        settings.Settings(worker=False, store=str(root), segment_mb=512, segment_age_s=1e9)
    )
    project = open_store(root).project("local", "drift-bench")
    traffic = Traffic(rows)
    traffic.step = DAYS * DAY_US // rows
    if TABLE not in project.tables():
        fill(project, rows, traffic, lambda told: print(f"  {told}", flush=True))
    return project, traffic.start + rows * traffic.step


def cost(program: str, arguments: list[str]) -> Cost:
    """What a process takes: CPU by the kernel's account, imports included, and its largest memory."""
    command = [sys.executable, "-c", _TELL + program, *arguments]
    env = {**os.environ, "LLMWATCH_WORKER": "false", "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as beside:
        process = subprocess.Popen(command, stdout=out, stderr=beside, env=env)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        out.seek(0)
        said = out.read().decode()
        beside.seek(0)
        peak_kb = int(beside.read().split()[-1])
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    return Cost(wall, used.ru_utime + used.ru_stime, peak_kb / 1024, said, code)


def drift(root: Path, end_us: int, options: list[str]) -> Cost:
    """One run of the command."""
    from llmwatch.drift.windows import moment

    until = moment(end_us).isoformat()
    where = ["--store", str(root), "--table", f"drift-bench/{TABLE}", "--until", until]
    return cost(_DRIFT, ["drift", *where, "--json", "--no-record", *options])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--store", type=Path, help="keep the table here, and use it when it is there"
    )
    parser.add_argument("--quick", action="store_true", help="60,000 rows, under 45 s")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    args = parser.parse_args()
    rows = 60_000 if args.quick else args.rows
    with tempfile.TemporaryDirectory() as temporary:
        root = args.store or Path(temporary)
        _, end_us = made(root, rows)
        return measured(root, end_us, check=args.check)


def measured(root: Path, end_us: int, *, check: bool) -> int:
    whole = cost(_WHOLE, [str(root), str(end_us - DAY_US), str(end_us)])
    print(f"one day's rows read whole ({whole.said.strip()}): {told(whole)}")
    worst = 0.0, 0.0
    for name, options in RUNS.items():
        run = drift(root, end_us, options)
        found = json.loads(run.said)
        reference, window = found["rows"]
        print(
            f"{name:26} {window:,} rows against {reference:,}: {found['verdict']}, {told(run)}",
            flush=True,
        )
        worst = max(worst[0], run.cpu_s), max(worst[1], run.peak_mb)
    missed = worst[0] > BAR_CPU_S or worst[1] > BAR_MB
    print(
        f"at most {worst[0]:.1f} s of CPU (bar {BAR_CPU_S:g}) and {worst[1]:.0f} MB (bar {BAR_MB})"
    )
    return 1 if missed and check else 0


def told(run: Cost) -> str:
    return f"{run.cpu_s:.1f} s of CPU, {run.wall_s:.1f} s, {run.peak_mb:.0f} MB at its peak"


if __name__ == "__main__":
    sys.exit(main())
