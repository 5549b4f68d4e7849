"""The watch on a million rows a day: 20 metric sets, windows of a minute, 5 group-bys; and its memory over a week.

    python benchmarks/watch.py
    python benchmarks/watch.py --quick --check    # a few minutes of traffic; fails when a bar is missed

Time is simulated: each minute 694 rows are logged (2 KB of text each), then the watch has its turn. CPU is the whole
process's in that turn, all threads, divided by the minute: the share of one core. A week has four busy minutes a day; memory is the
resident set after each day. The compactor runs in between, as the worker's would, and is not counted.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from llmwatch import StreamTable, clock, settings
from llmwatch.store import EVENTS, PARTS, Project
from llmwatch.stream import compact, events, merge
from llmwatch.testing import temporary_store
from llmwatch.watch.keeper import Keeper
from llmwatch.watch.sets import (
    Baseline,
    Check,
    Cost,
    Errors,
    Family,
    Health,
    Kpi,
    Latency,
    MetricSet,
    Predictions,
    Quality,
    Throughput,
)

A_MINUTE = 1_000_000 // 1440
TABLE = "shop/chats"
BY = ("model", "region", "tier", "version", ("model", "region"))
SPARE = 4.0
"""The bar: a minute of traffic takes at most a quarter of a minute of one core."""
GROWS_AT_MOST = 1.15
_TEXT = "Where is my order? It was to come on Tuesday and I have not heard from you. " * 25


def families() -> list[tuple[Family, ...]]:
    """Twenty sets: what people watch, and the same for parts of the traffic."""
    usual = Baseline(features={"temperature": {"mean": 1.0, "std": 0.2}})
    checks = tuple(Check(c, type="number", range=(0, 2)) for c in ("temperature", "top_p"))
    return [
        (Latency(), Throughput()),
        (Errors(),),
        (Cost(),),
        (Predictions(output="answer"),),
        (Health((*checks, Check("tier")), usual),),
        (Quality("answer", "truth"),),
        (Quality("price", "paid", "regression"),),
        (Kpi("basket", "basket", ("mean", "p95")), Kpi("resolved", "label.resolved")),
        (Latency("ttft"),),
        (Latency(), Throughput(), Errors(), Cost()),
    ]


def sets() -> list[MetricSet]:
    made = []
    for number, each in enumerate(families()):
        made.append(MetricSet(f"set {number}", TABLE, each, by=BY))
        made.append(MetricSet(f"set {number} eu", TABLE, each, by=BY, where="region = 'eu'"))
    return made


class Traffic:
    """Rows of one simulated minute after the other."""

    def __init__(self, project: Project) -> None:
        self.us = 1_760_000_040_000_000
        self._chance, self._table, self._project = random.Random(5), StreamTable(TABLE), project

    def minute(self, rows: int = A_MINUTE) -> None:
        """Log a minute of rows; one in fifty gets a label a little later."""
        step = 60_000_000 // rows
        start = self.us
        for n in range(rows):
            self.us = start + n * step
            row_id = self._table.add(self._row())
            if n % 50 == 0:
                events.add(
                    self._project,
                    kind="label",
                    name="truth",
                    value="yes",
                    row_id=row_id,
                    table="chats",
                )
                events.add(
                    self._project,
                    kind="label",
                    name="resolved",
                    value=True,
                    row_id=row_id,
                    table="chats",
                )
        self.us = start + 60_000_000

    def _row(self) -> dict[str, object]:
        chance = self._chance
        row: dict[str, object] = {
            "question": _TEXT,
            "latency_ms": chance.lognormvariate(6, 0.8),
            "ttft": chance.lognormvariate(4, 0.5),
            "model": chance.choice(("small", "large", "tiny")),
            "region": chance.choice(("eu", "us", "ap")),
            "tier": chance.choice(("free", "pro")),
            "version": chance.choice(("1.4", "1.5")),
            "answer": chance.choice(("yes", "no", f"about {chance.randint(1, 400)}")),
            "confidence": chance.random(),
            "temperature": chance.gauss(1, 0.2),
            "top_p": chance.random(),
            "price": chance.gauss(50, 9),
            "basket": chance.expovariate(0.02),
            "prompt_tokens": chance.randint(50, 900),
            "completion_tokens": chance.randint(5, 400),
            "cost_usd": chance.random() / 100,
        }
        if chance.random() < 0.02:
            row |= {"status": "error", "exception_type": "TimeoutError"}
        return row


def compact_all(project: Project) -> None:
    for table in ("chats", EVENTS, PARTS, "metrics"):
        compact.compact(project, table, seal=True)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def turn(keeper: Keeper) -> tuple[float, float]:
    """CPU and wall seconds of one turn."""
    cpu, wall = time.process_time(), time.perf_counter()
    keeper.turn()
    return time.process_time() - cpu, time.perf_counter() - wall


def kept_up(
    keeper: Keeper, traffic: Traffic, project: Project, minutes: int
) -> tuple[list[float], list[float]]:
    """The CPU of each minute's turn, and resident memory after every tenth."""
    spent, memory = [], []
    for number in range(minutes):
        traffic.minute()
        traffic.us += 6_000_000
        cpu, _ = turn(keeper)
        traffic.us -= 6_000_000
        spent.append(cpu)
        if number % 3 == 2:
            compact_all(project)
        if number % 10 == 9:
            memory.append(resident_mb())
    return spent, memory


def a_week(
    keeper: Keeper, traffic: Traffic, project: Project, days: int, hours: int
) -> list[float]:
    """Resident memory after each day."""
    memory = []
    for _ in range(days):
        for _ in range(hours):
            traffic.minute()
            traffic.us += 59 * 60_000_000 * (24 // hours)
            turn(keeper)
        compact_all(project)
        for table in ("chats", EVENTS, PARTS, "metrics"):
            merge.merge_small(project, table)
        memory.append(resident_mb())
    return memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--hours", type=int, default=4, help="busy minutes a day of the week")
    given = parser.parse_args()
    minutes, days, hours = (6, 3, 2) if given.quick else (given.minutes, 7, given.hours)
    with tempfile.TemporaryDirectory() as root, temporary_store(Path(root)) as store:
        project = store.project("local", "shop")
        traffic = Traffic(project)
        with clock.use(now=lambda: traffic.us):
            traffic.minute(10)
            keeper = Keeper(project, sets(), settings.current())
            keeper.turn()
            spent, by_ten = kept_up(keeper, traffic, project, minutes)
            memory = a_week(keeper, traffic, project, days, hours)
            told = StreamTable("shop/metrics").count()
            keeper.close()
    cpu = median(spent[1:])
    growth = memory[-1] / memory[0]
    print(
        f"20 metric sets, {len(BY)} group-bys, {A_MINUTE} rows a minute, {told:,} rows of metrics told"
    )
    print(f"CPU of a minute's turn: {cpu:.2f} s at the median, {max(spent[1:]):.2f} s at most")
    print(
        f"memory after each ten minutes without a pause: {', '.join(f'{mb:.0f}' for mb in by_ten)} MB"
    )
    print(f"memory after each day: {', '.join(f'{mb:.0f}' for mb in memory)} MB")
    good = 60 / cpu >= SPARE and growth <= GROWS_AT_MOST
    print(
        f"{60 / cpu:.0f} times as much traffic in one core's time (bar {SPARE:.0f}); "
        f"memory grows to {growth:.2f} of the first day's (bar {GROWS_AT_MOST})"
    )
    return 0 if good or not given.check else 1


if __name__ == "__main__":
    sys.exit(main())
