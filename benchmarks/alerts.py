"""Do the default rules stay quiet in an ordinary week, and tell each incident once?

Weeks of traffic are made up (by day and night, workdays and weekends, with drifting latency and the short blips that
providers have), measured minute by minute, and judged by the rules as the watch does. Then incidents are put into a week.

    python benchmarks/alerts.py [--quick] [--check]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from llmwatch import StreamTable  # noqa: E402
from llmwatch.cli import main as llmwatch_command  # noqa: E402
from llmwatch.stream.query import Reader  # noqa: E402
from llmwatch.testing.stores import temporary_store  # noqa: E402
from llmwatch.watch import backtest  # noqa: E402
from llmwatch.watch.default_rules import DEFAULT  # noqa: E402
from llmwatch.watch.series import DRIFT, MINUTE_US, Known, Source  # noqa: E402

WEEKS, DAY, WEEK = 3, 1440, 7 * 1440
START = 1_800_000_000_000_000 // (7 * 86_400_000_000) * (7 * 86_400_000_000)
SHOP = Source("traces", "default")
BLIPS_A_DAY = 4
INCIDENTS = {
    "most calls fail": ("errors", 0.45, 25),
    "answers are slow": ("slow", 2.5, 45),
    "nothing is recorded": ("silence", 1.0, 120),
    "a column has nulls": ("nulls", 0.2, 40),
    "many answers are unsure": ("unsure", 0.5, 60),
    "calls cost more than usual": ("cost", 3.5, 120),
    "quality is below its baseline": ("quality", 1.0, 60),
    "prompts drift": ("drift", 1.0, 180),
}
ALSO = {"most calls fail": {"many calls fail"}}
"""What an incident may raise beside its own alert."""


def load(rng, minutes):
    """How many calls each minute: nights are quiet, weekends quieter."""
    hour = minutes % DAY / 60
    day = minutes // DAY % 7
    shape = 0.06 + np.exp(-(((hour - 11) / 3) ** 2)) + 0.8 * np.exp(-(((hour - 16) / 3.5) ** 2))
    shape = shape * np.where(day >= 5, 0.45, 1.0)
    return rng.poisson(60 * shape), shape / shape.max()


def wandering(rng, count, step):
    """A level that moves by itself, over hours."""
    out = np.empty(count)
    level = 0.0
    for place, noise in enumerate(rng.normal(0, step, count)):
        level = 0.995 * level + noise
        out[place] = level
    return np.exp(out)


def faults(incidents):
    """For each kind of incident, its strength minute by minute."""
    found = {kind: np.zeros(WEEKS * WEEK) for kind, _, _ in INCIDENTS.values()}
    first = (WEEKS - 1) * WEEK
    for day, (kind, strength, length) in enumerate(incidents):
        begin = first + (day % 5) * DAY + (10 * 60 + 30 if day < 5 else 15 * 60)
        found[kind][begin : begin + length] = strength
    return found


def windows(seed, incidents=()):
    """One window a minute: rows, and metrics by their names."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(WEEKS * WEEK)
    counts, busy = load(rng, minutes)
    going = faults(incidents)
    counts = np.where(going["silence"] > 0, 0, counts)
    speed = 900 * wandering(rng, len(minutes), 0.006) * (1 + 0.3 * busy)
    speed *= np.repeat(rng.normal(1, 0.04, WEEKS * 7), DAY)
    slow = np.maximum(1, going["slow"])
    failing = np.full(len(minutes), 0.006) + going["errors"]
    for begin in rng.integers(0, len(minutes), WEEKS * 7 * BLIPS_A_DAY):
        length = rng.integers(1, 4)
        slow[begin : begin + length] *= rng.uniform(2, 5)
        failing[begin : begin + length] += rng.uniform(0, 0.3) * (rng.random() < 0.3)
    nulls = 0.004 + going["nulls"]
    unsure = 0.12 + going["unsure"]
    price = 0.004 * np.maximum(1, going["cost"])
    for place, n in enumerate(counts):
        yield (
            minutes[place],
            int(n),
            window(rng, int(n), speed[place] * slow[place], failing[place], nulls[place], unsure[place], price[place], going["quality"][place]),
        )  # fmt: skip


def window(rng, n, speed, failing, nulls, unsure, price, degraded):
    if not n:
        return {}
    latency = speed * rng.lognormal(0, 0.6, n)
    errors = int(rng.binomial(n, min(1, failing)))
    return {
        "latency/p50_ms": float(np.percentile(latency, 50)),
        "latency/p95_ms": float(np.percentile(latency, 95)),
        "errors/request_count": n,
        "errors/total_count": errors,
        "errors/total_rate_percent": 100 * errors / n,
        "features/age_null_rate": rng.binomial(n, nulls) / n,
        "predictions/low_confidence_rate": rng.binomial(n, unsure) / n,
        "cost/avg_cost_per_request_usd": float(price * rng.lognormal(0, 0.8, n).mean()),
        "cost/total_usd": float(price * n),
        "alerts/degradation_detected": float(degraded > 0),
    }


def known_of(seed, incidents=()):
    known = Known()
    series = known.of(SHOP, MINUTE_US)
    for minute, n, values in windows(seed, incidents):
        series.add(START + int(minute + 1) * MINUTE_US, n, values)
    drifting = faults(incidents)["drift"]
    runs = known.of(Source("traces", DRIFT), 60 * MINUTE_US)
    for minute in range(0, WEEKS * WEEK, 60):
        runs.add(
            START + minute * MINUTE_US, 1, {"drift/drift_detected": float(drifting[minute] > 0)}
        )
    return known


def judged(known):
    """The alerts of the last week, by rule."""
    until = START + WEEKS * WEEK * MINUTE_US
    from_us = until - WEEK * MINUTE_US
    return {
        rule.name: backtest._outcome("local/shop", rule, known, from_us, until) for rule in DEFAULT
    }


def clean_weeks(seeds):
    worst_p0 = worst_p1 = 0
    total = Counter()
    for seed in seeds:
        found = judged(known_of(seed))
        by = Counter()
        for one in found.values():
            by[one.rule.severity] += len(one.fired_us)
            total[one.rule.name] += len(one.fired_us)
        worst_p0, worst_p1 = max(worst_p0, by["P0"]), max(worst_p1, by["P1"])
    fired = ", ".join(f"{name} {count}" for name, count in total.items() if count) or "none"
    print(
        f"clean weeks: {len(seeds)}; worst week: {worst_p0} P0, {worst_p1} P1; alerts in all: {fired}"
    )
    return worst_p0 == 0 and worst_p1 <= 1


def incident_week(seed):
    incidents = list(INCIDENTS.values())
    found = judged(known_of(seed, incidents))
    going = faults(incidents)
    fine = True
    for name, (kind, _, _) in INCIDENTS.items():
        began = START + int(np.flatnonzero(going[kind])[0]) * MINUTE_US
        outcome = found[name]
        delays = [(us - began) / MINUTE_US for us in outcome.fired_us]
        told = ", ".join(f"{delay:.0f} min after it began" for delay in delays) or "not told"
        print(f"  {outcome.rule.severity} {name}: {told}")
        fine &= len(delays) == 1 and 0 <= delays[0] <= 121
    expected = set(INCIDENTS) | set().union(*ALSO.values())
    others = {
        name: len(one.fired_us)
        for name, one in found.items()
        if name not in expected and one.fired_us
    }
    many = len(found["many calls fail"].fired_us)
    print(f"  beside these: many calls fail {many}, others {others or 'none'}")
    return fine and not others and many == 1


def through_the_store(seed, days):
    """The same windows as rows of the table `metrics`, read back and judged; and how long a look takes."""
    from llmwatch.watch.rounds import look

    with tempfile.TemporaryDirectory() as directory, temporary_store(Path(directory)) as store:
        table = StreamTable("shop/metrics")
        for minute, n, values in windows(seed):
            if minute < days * DAY:
                row = {
                    "set": "default",
                    "table": "traces",
                    "window_start": START + int(minute) * MINUTE_US,
                }
                table.log({**row, "window_s": 60, "group": "{}", "n": n, "closed": True, **values})
        table.finish()
        with contextlib.redirect_stdout(io.StringIO()):
            llmwatch_command(["compact"])
        reader = Reader(store.project("local", "shop"))
        until = START + days * DAY * MINUTE_US
        began = time.process_time()
        outcomes = backtest.backtest(reader, list(DEFAULT), until - 2 * DAY * MINUTE_US, until)
        took = time.process_time() - began
        look(reader, list(DEFAULT), [], until - 2 * MINUTE_US)
        looks = []
        for back in (1, 0):
            began = time.process_time()
            look(reader, list(DEFAULT), [], until - back * MINUTE_US)
            looks.append(time.process_time() - began)
        reader.close()
    fired = sum(len(one.fired_us) for one in outcomes if one.rule.severity != "P2")
    print(
        f"through the store: {days} days of windows, a backtest of 2 days {took:.1f} s of CPU, one look {1000 * min(looks):.0f} ms; "
        f"P0 and P1: {fired}"
    )
    return fired <= 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer weeks")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
    given = parser.parse_args()
    quiet = clean_weeks(range(2 if given.quick else 12))
    print("a week with incidents:")
    told = incident_week(100)
    stored = through_the_store(7, 3 if given.quick else 10)
    fine = quiet and told and stored
    print(
        f"a clean week has at most 0 P0 and 1 P1: {quiet}; each of {len(INCIDENTS)} incidents told once: {told}"
    )
    if given.check and not fine:
        sys.exit(1)


if __name__ == "__main__":
    main()
