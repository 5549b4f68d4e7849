"""Is a week in which nothing happens quiet, with the default metric set and the default rules?

Calls are recorded by day and night for two weeks of simulated time, with latency that wanders, a few failures and the short bad
minutes that providers have. The watch has its turn and the rules are looked at as time goes by; the second week counts.

    python benchmarks/clean_week.py [--quick] [--check]
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from llmwatch import StreamTable, clock, settings
from llmwatch.store import PARTS, Project
from llmwatch.stream import compact, merge
from llmwatch.stream.query import Reader
from llmwatch.testing import temporary_store
from llmwatch.watch import default_sets, history
from llmwatch.watch.default_rules import DEFAULT
from llmwatch.watch.keeper import Keeper
from llmwatch.watch.rounds import look

MINUTE_US, DAY = 60_000_000, 1440
START = 1_760_313_600_000_000  # a Monday
BUSIEST = 30
STEP = 15
"""Minutes between turns: the worker has one each few seconds, but judges the same windows."""

ONE_FILE = {"segment_age_s": 3600.0}
"""The worker compacts files as they are sealed; here a turn would find those of fifteen minutes, each of which costs."""


class Calls:
    """What people ask of it, minute by minute."""

    def __init__(self) -> None:
        self.us = START
        self._chance, self._level, self._bad = random.Random(11), 0.0, 0
        self._table = StreamTable("shop/traces")

    def minutes(self, count: int) -> None:
        for _ in range(count):
            self._minute()
            self.us = self.us // MINUTE_US * MINUTE_US + MINUTE_US

    def _minute(self) -> None:
        chance = self._chance
        self._level = 0.995 * self._level + chance.gauss(0, 0.006)
        self._bad = (
            self._bad - 1 if self._bad else chance.randint(1, 3) * (chance.random() < 4 / DAY)
        )
        rows = self._rows()
        for _ in range(rows):
            self._table.log(self._call())
            self.us += MINUTE_US // (rows + 1)

    def _rows(self) -> int:
        minute = (self.us - START) // MINUTE_US
        hour = minute % DAY / 60
        shape = (
            0.06 + math.exp(-(((hour - 11) / 3) ** 2)) + 0.8 * math.exp(-(((hour - 16) / 3.5) ** 2))
        )
        weekend = 0.45 if minute // DAY % 7 >= 5 else 1.0
        mean = BUSIEST * shape * weekend
        return max(0, round(self._chance.gauss(mean, math.sqrt(mean))))

    def _call(self) -> dict[str, object]:
        chance = self._chance
        slow = 3 if self._bad else 1
        row: dict[str, object] = {
            "latency_ms": 900 * slow * math.exp(self._level) * chance.lognormvariate(0, 0.6),
            "output": chance.choice(("yes", "no", "ask again")),
            "confidence": min(1.0, max(0.0, chance.gauss(0.8, 0.12))),
            "prompt_tokens": chance.randint(50, 900),
            "completion_tokens": chance.randint(5, 400),
            "cost_usd": 0.004 * chance.lognormvariate(0, 0.8),
            "status": "success",
        }
        if chance.random() < (0.1 if self._bad else 0.006):
            row |= {"status": "error", "exception_type": "TimeoutError"}
        return row


def compacted(project: Project) -> None:
    for table in ("traces", PARTS, "metrics"):
        compact.compact(project, table, seal=True)
        merge.merge_small(project, table)


def played(project: Project, days: int) -> Counter[tuple[str, str]]:
    """The alerts of the second half of these days, by severity and rule."""
    calls = Calls()
    with clock.use(now=lambda: calls.us):
        calls.minutes(1)
        keeper = Keeper(project, [default_sets.default(project.id)], settings.current())
        reader = Reader(project)
        for step in range(days * DAY // STEP):
            calls.minutes(STEP)
            calls.us += 6_000_000
            keeper.turn()
            look(reader, DEFAULT, [])
            calls.us -= 6_000_000
            if step % 24 == 23:
                compacted(project)
        half = START + days * DAY // 2 * MINUTE_US
        told = history.alerts(reader)
        keeper.close()
        reader.close()
    return Counter((one.severity, one.rule) for one in told if one.fired_us >= half)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a day and half a day")
    parser.add_argument("--check", action="store_true", help="exit with 1 when the bar is missed")
    given = parser.parse_args()
    days = 1 if given.quick else 14
    began = time.process_time()
    with tempfile.TemporaryDirectory() as root, temporary_store(Path(root), **ONE_FILE) as store:
        found = played(store.project("local", "shop"), days)
        calls = StreamTable("shop/traces").count()
        windows = StreamTable("shop/metrics").count()
    by = Counter[str]()
    for (severity, _), count in found.items():
        by[severity] += count
    said = ", ".join(f"{severity} {rule} {count}" for (severity, rule), count in found.items())
    print(
        f"{calls:,} calls, {windows:,} windows, {days} days in {time.process_time() - began:.0f} s of CPU"
    )
    print(f"alerts in the last {days / 2:g} days: {said or 'none'} (bar: no P0, at most one P1)")
    return 1 if given.check and (by["P0"] or by["P1"] > 1) else 0


if __name__ == "__main__":
    sys.exit(main())
