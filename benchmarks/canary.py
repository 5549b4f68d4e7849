"""Canaries: how often a look after every single row promotes or rolls back wrongly, and how many rows a verdict takes.

    python benchmarks/canary.py [--quick] [--check]

Each simulation is a stream of rows of people with habits of their own, some asking far more than others, a tenth of them with the
new version. Latencies and costs have long tails, two rows in a hundred fail. Latency, errors, cost and quality are judged
after every row by the code that `llmwatch canary` runs. Beside it: what people do, a test for a fixed number of rows that is looked
at again and again; and how many rows such a test would take when it is looked at once.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from llmwatch.canary.arms import Sums, harm
from llmwatch.canary.comparing import ALPHA, claims
from llmwatch.canary.pillars import MARGINS

USERS, SHARE = 6_000, 0.1
FAILING = 0.02
PILLARS = {
    "latency": ("log", math.log1p(MARGINS["latency"]), "high"),
    "errors": ("rate", MARGINS["errors"], "high"),
    "cost": ("ratio", math.log1p(MARGINS["cost"]), "high"),
    "quality": ("mean", MARGINS["quality"], "low"),
}
POWER = 0.9
FIXED = (norm.isf(ALPHA) + norm.isf(1 - POWER)) ** 2
"""Information times the squared margin, with which a test that is looked at once sees that there is no harm in `POWER` of cases."""


@dataclass(frozen=True)
class Traffic:
    """Rows in the order they come: whose they are, of which version, and their values."""

    users: np.ndarray
    new: np.ndarray
    values: dict[str, np.ndarray]


def traffic(seed: int, rows: int, harms: dict[str, float]) -> Traffic:
    """`harms` is in units of each pillar's margin."""
    random = np.random.default_rng(seed)
    weights = np.minimum(random.pareto(1.5, USERS) + 1, 30)
    users = random.choice(USERS, rows, p=weights / weights.sum())
    habits = {name: random.normal(0, 1, USERS)[users] for name in PILLARS}
    new = (random.random(USERS) < SHARE)[users]
    by = {name: harms.get(name, 0.0) * margin * new for name, (_, margin, _) in PILLARS.items()}
    failing = FAILING * np.exp(0.5 * habits["errors"] - 0.125) + by["errors"]
    values = {
        "latency": 6 + 0.25 * habits["latency"] + random.normal(0, 0.5, rows) + by["latency"],
        "errors": (random.random(rows) < failing).astype(float),
        "cost": np.exp(-7 + 0.3 * habits["cost"] + random.normal(0, 0.8, rows) + by["cost"]),
        "quality": np.clip(0.7 + 0.05 * habits["quality"] + random.normal(0, 0.15, rows), 0, 1)
        - by["quality"],
    }
    return Traffic(users, new, values)


def growing(made: Traffic, name: str, new: bool) -> Sums:
    """The sums of one version after every row."""
    mine = made.new == new
    values = np.where(mine, made.values[name], 0.0)
    before_n, before = so_far(made.users, mine.astype(float)), so_far(made.users, values)
    added = (
        (before_n == 0) & mine,
        mine,
        values,
        2 * before * values + values**2,
        mine * before + values * (before_n + 1),
        mine * (2 * before_n + 1),
    )
    return Sums(*(np.cumsum(each.astype(np.float64)) for each in added))


def so_far(users: np.ndarray, values: np.ndarray) -> np.ndarray:
    """For each row, the sum of its user's earlier values."""
    order = np.argsort(users, kind="stable")
    summed = np.cumsum(values[order]) - values[order]
    firsts = np.flatnonzero(np.diff(users[order], prepend=-1))
    summed -= np.repeat(summed[firsts], np.diff(np.append(firsts, len(users))))
    made = np.empty(len(users))
    made[order] = summed
    return made


@dataclass(frozen=True)
class Outcome:
    """What became of one canary: the row with which it was told, and what."""

    verdict: str
    row: int
    told: dict[str, int]
    """For each pillar, with which row it was told that it is no worse."""
    peeked: bool
    """Whether a test for a fixed number of rows would have said worse at one of its looks."""
    fixed: dict[str, int]
    """For each pillar, the row with which a test that is looked at once would have the error it needs."""


def run(seed: int, rows: int, harms: dict[str, float]) -> Outcome:
    made = traffic(seed, rows, harms)
    fine_all, worse_any = np.ones(rows, bool), np.zeros(rows, bool)
    told, fixed, peeked = {}, {}, False
    for name, (scale, margin, worse_is) in PILLARS.items():
        new, old = growing(made, name, True), growing(made, name, False)
        found = harm(new, old, scale, margin, worse_is)
        worse, fine = claims(found, margin, ALPHA, len(PILLARS))
        fine_all &= fine
        worse_any |= worse
        told[name] = first(fine)
        fixed[name] = last(found.against_margin < FIXED / margin**2)
        z = found.estimate * np.sqrt(found.against_none)
        peeked |= bool((found.ready & (z > norm.isf(ALPHA / len(PILLARS)))).any())
    promoted, rolled_back = first(fine_all & ~worse_any), first(worse_any)
    if promoted < rolled_back:
        return Outcome("promote", promoted, told, peeked, fixed)
    if rolled_back < rows:
        return Outcome("roll back", rolled_back, told, peeked, fixed)
    return Outcome("keep going", rows, told, peeked, fixed)


def first(where: np.ndarray) -> int:
    """The first look at which something holds; one behind the last when none does."""
    return int(where.argmax()) if where.any() else len(where)


def last(where: np.ndarray) -> int:
    """The look after the last one at which something holds; what is estimated of the first few rows is not yet to be relied on."""
    return len(where) - int(where[::-1].argmax()) if where.any() else 0


def simulated(name: str, times: int, rows: int, harms: dict[str, float]) -> list[Outcome]:
    made = [run(seed, rows, harms) for seed in range(times)]
    counts = {
        verdict: sum(one.verdict == verdict for one in made)
        for verdict in ("promote", "roll back", "keep going")
    }
    shares = ", ".join(f"{verdict} {count / times:.1%}" for verdict, count in counts.items())
    decided = [one.row * SHARE for one in made if one.verdict != "keep going"]
    after = (
        f"; told after {np.median(decided):,.0f} rows of the new version (median)"
        if decided
        else ""
    )
    print(
        f"{name}: {times} canaries, a look after each of {rows:,} rows: {shares}{after}", flush=True
    )
    return made


def samples(made: list[Outcome], rows: int) -> None:
    """Rows of the new version until a pillar is known to be no worse, beside a test that is looked at once."""
    for name in PILLARS:
        ready = [one.told[name] * SHARE for one in made]
        told = sum(one.told[name] < rows for one in made) / len(made)
        fixed = float(np.median([one.fixed[name] for one in made])) * SHARE
        print(
            f"  {name}: told in {told:.0%}; median {said(np.median(ready), rows)}, nine in ten by {said(np.quantile(ready, POWER), rows)}; "
            f"a test of {POWER:.0%} power that is looked at once: {said(fixed, rows)}"
        )


def said(new_rows: float, rows: int) -> str:
    return f"{new_rows:,.0f} rows" if new_rows < rows * SHARE else f"over {rows * SHARE:,.0f} rows"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few simulations, under 45 s")
    parser.add_argument("--check", action="store_true", help="fail when a rate is over nominal")
    args = parser.parse_args()
    times, rows = (40, 12_000) if args.quick else (500, 24_000)
    alike = simulated("no difference", times, rows, {})
    samples(alike, rows)
    peeked = float(np.mean([one.peeked for one in alike]))
    print(f"  a fixed test, looked at after every row, would have rolled back {peeked:.1%}")
    rolled_back = float(np.mean([one.verdict == "roll back" for one in alike]))
    promoted = 0.0
    for name in PILLARS:
        made = simulated(f"{name} worse by its margin", times, rows, {name: 1.0})
        promoted = max(promoted, float(np.mean([one.verdict == "promote" for one in made])))
    caught = simulated("latency worse by twice its margin", times, rows, {"latency": 2.0})
    missed = float(np.mean([one.verdict == "promote" for one in caught]))
    # of 40 simulations three are more than one in twenty by chance alone
    bar = 0.15 if args.quick else ALPHA
    met = max(rolled_back, promoted, missed) <= bar
    print(
        f"false rollbacks {rolled_back:.1%}, false promotions {promoted:.1%} at worst (nominal {ALPHA:.0%}, bar {bar:.0%}): {'met' if met else 'MISSED'}"
    )
    return 0 if met or not args.check else 1


if __name__ == "__main__":
    sys.exit(main())
