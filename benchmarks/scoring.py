"""The worker scores 100,000 rows with all three built-in scorers, is killed three times, and an app goes on meanwhile.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --quick --check    # 1,500 rows; fails when a bar is missed

Rows a second while a worker lives; memory of the worker and its processes, early and late; how often each row was scored; what
a paced traced call takes in an app on the same store, idle (a worker with nothing to do) and while rows are scored.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from scoring_rows import write

from llmwatch import settings
from llmwatch.store import EVENTS, Project, open_store
from llmwatch.stream.query import Reader

ROOT = Path(__file__).resolve().parent.parent

SCORERS = ("token_cost", "confidence", "safety")
KILLED_AT = (0.2, 0.45, 0.7)
CALLS_A_SECOND = 100
BLOCK_S = 4.0
SLOWER_AT_MOST = 2.0
PRIORITY: int | None = None
GROWS_AT_MOST = 1.3
"""The last third of the run may need so much more memory than the one before: what is noise, what is a leak."""
_CONFIG = f"[scoring]\nbuiltin = {json.dumps(SCORERS)}\nprocesses = 2\n"


class Worker:
    """The store's worker, as an app would start it."""

    def __init__(self, store: Path, config: Path) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT), settings.ROOT_ENV: str(config)}
        env |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        command = [sys.executable, "-m", "llmwatch.worker", str(store)]
        self.process = subprocess.Popen(command, env=env)
        if PRIORITY is not None:
            self._raise_to(PRIORITY)

    def _raise_to(self, priority: int) -> None:
        """The worker gives way to everything else on the machine; for figures of a busy one, it does not."""
        pid = self.process.pid
        while os.getpriority(os.PRIO_PROCESS, pid) < 10:
            time.sleep(0.02)
        os.setpriority(os.PRIO_PROCESS, pid, priority)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def memory_mb(self) -> float:
        """Private memory of the worker and the processes below it."""
        return sum(_private_mb(pid) for pid in (self.process.pid, *_below(self.process.pid)))

    def cpu_s(self) -> float:
        """Processor time of the worker and the processes below it so far."""
        ticks = sum(_ticks(pid) for pid in (self.process.pid, *_below(self.process.pid)))
        return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """In user and system mode, with those of children that ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15])
    return 0


def _below(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(text) for text in path.read_text().split()]
    return found


def _private_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Private_Dirty"):
                return int(line.split()[1]) / 1024
    return 0.0


@dataclass
class Run:
    """What was seen while rows were scored."""

    rows: int
    alive_s: float = 0.0
    cpu_s: float = 0.0
    kills: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """(share done, MiB), while no worker is starting."""
    worker: Worker | None = None
    stopped_s: float = 0.0
    turn: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The worker and the processes below it do nothing meanwhile."""
        with self.turn:
            worker, since = self.worker, time.monotonic()
            pids = [] if worker is None else [worker.process.pid, *_below(worker.process.pid)]
            _signal(pids, signal.SIGSTOP)
            try:
                yield
            finally:
                _signal(pids, signal.SIGCONT)
                self.stopped_s += time.monotonic() - since


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Scored:
    """How far scoring is, read as anyone would."""

    def __init__(self, project: Project) -> None:
        self._reader = Reader(project)

    def rows(self) -> int:
        sql = f"SELECT count(*) FROM main.\"{EVENTS}\" WHERE kind = 'score' AND name = 'safety'"
        return int(self._reader.execute(sql, [], [EVENTS]).rows[0][0])

    def times_each(self) -> dict[tuple[str, str], int]:
        sql = f"SELECT row_id, name, count(*) FROM main.\"{EVENTS}\" WHERE kind = 'score' GROUP BY ALL"
        return {(row, name): n for row, name, n in self._reader.execute(sql, [], [EVENTS]).rows}

    def close(self) -> None:
        self._reader.close()


def score_all(store: Path, config: Path, project: Project, run: Run) -> None:
    """Until every row is scored: a worker, killed at each share of `KILLED_AT` and started again."""
    scored = Scored(project)
    kills = [int(share * run.rows) for share in KILLED_AT]
    began = time.monotonic()
    run.worker, since = Worker(store, config), time.monotonic()
    try:
        while (done := scored.rows()) < run.rows:
            with run.turn:
                if run.kills < len(kills) and done >= kills[run.kills]:
                    run.cpu_s += run.worker.cpu_s()
                    run.worker.kill()
                    run.kills += 1
                    print(f"  killed at {done:,} rows", flush=True)
                    run.worker, since = Worker(store, config), time.monotonic()
                elif time.monotonic() - since > 8:
                    run.memory.append((done / run.rows, run.worker.memory_mb()))
            time.sleep(0.5)
        run.alive_s = time.monotonic() - began - run.stopped_s
        run.cpu_s += run.worker.cpu_s()
    finally:
        run.worker.end()
        scored.close()


def paced(store: Path, seconds: float) -> list[int]:
    """The calls of an app, in microseconds each."""
    command = [sys.executable, str(ROOT / "benchmarks" / "scoring_rows.py")]
    arguments = [str(store), str(seconds), str(CALLS_A_SECOND)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *arguments], env=env, check=True, capture_output=True, text=True
    )
    return list(json.loads(done.stdout))


def percentile(values: list[int], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def memory_growth(run: Run) -> tuple[float, float, float] | None:
    """Median MiB of the middle and of the last third, and their ratio; None where a worker hardly lived in one of them."""
    middle = [mb for share, mb in run.memory if 0.33 <= share < 0.66]
    last = [mb for share, mb in run.memory if share >= 0.66]
    if not middle or not last:
        return None
    return median(middle), median(last), median(last) / median(middle)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1,500 rows, too few to tell whether memory grows")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument(
        "--priority", type=int, metavar="NICE", help="of the worker; below 10 it needs root"
    )
    args = parser.parse_args()
    global PRIORITY
    PRIORITY = args.priority
    rows = 1_500 if args.quick else args.rows
    with tempfile.TemporaryDirectory() as scratch:
        return measure(Path(scratch), rows, check=args.check)


def measure(scratch: Path, rows: int, *, check: bool) -> int:
    store, config = scratch / "store", scratch / "config"
    config.mkdir()
    (config / "llmwatch.toml").write_text(_CONFIG)
    settings.use(settings.Settings(worker=False, store=str(store)))
    project = open_store(store).project("local", "bot")
    ids = write(project, rows)
    run, idle, busy = Run(rows), list[int](), list[int]()
    scoring = threading.Thread(target=score_all, args=(store, config, project, run))
    scoring.start()
    time.sleep(3)
    while scoring.is_alive():
        with run.stopped():
            idle += paced(store, BLOCK_S)
        busy += paced(store, BLOCK_S)
    scoring.join()
    return tell(run, idle, busy, project, ids, check=check)


def tell(
    run: Run, idle: list[int], busy: list[int], project: Project, ids: list[str], *, check: bool
) -> int:
    scored = Scored(project)
    each = scored.times_each()
    scored.close()
    once = sum(each.get((row, name), 0) == 1 for row in ids for name in SCORERS)
    twice = sum(n > 1 for n in each.values())
    memory = memory_growth(run)
    ratios = {f"p{int(q * 100)}": percentile(busy, q) / percentile(idle, q) for q in (0.5, 0.99)}
    print(
        f"{run.rows:,} rows by {len(SCORERS)} scorers, worker killed {run.kills} times: {run.rows / run.alive_s:,.0f} rows/s, "
        f"{run.rows / run.cpu_s:,.0f} a processor second"
    )
    print(
        f"scored exactly once: {once:,} of {len(ids) * len(SCORERS):,} (row, scorer); twice: {twice}"
    )
    print("memory of worker and children:", _grown(memory))
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        figures = f"{percentile(idle, share)} us with the worker stopped, {percentile(busy, share)} us while scoring"
        print(
            f"a paced traced call, {name}: {figures} ({ratios[name]:.2f}x; {len(idle)} and {len(busy)} calls)"
        )
    missed = []
    if once != len(ids) * len(SCORERS) or twice:
        missed.append("not every row was scored exactly once")
    if memory and memory[2] > GROWS_AT_MOST:
        missed.append(f"memory grew {memory[2]:.2f}x")
    missed += [
        f"{name} of a call is {ratio:.2f}x"
        for name, ratio in ratios.items()
        if ratio > SLOWER_AT_MOST
    ]
    print(
        "; ".join(missed)
        if missed
        else f"all bars met: once each, p50 {ratios['p50']:.2f}x, p99 {ratios['p99']:.2f}x, memory: {_grown(memory)}"
    )
    return 1 if check and missed else 0


def _grown(memory: tuple[float, float, float] | None) -> str:
    if memory is None:
        return "not measured, the run was too short"
    return "{:.0f} MiB in the middle third, {:.0f} in the last ({:.2f}x)".format(*memory)


if __name__ == "__main__":
    sys.exit(main())
