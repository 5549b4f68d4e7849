"""Do the demo's rules tell each of its incidents once, whatever the day, and nothing in weeks without any?

Two weeks of the demo's traffic are played and watched as `llmwatch demo` does, with other seeds and other ends, with its
incidents and without. The answers of the help desk are rehearsed once.

    python benchmarks/demo_weeks.py [--weeks 4] [--quick] [--check]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llmwatch.demo import incidents, place, rehearsal, traffic, two_weeks
from llmwatch.demo.traffic import DAY_US, HOUR_US

START = 1_795_046_400_000_000 // DAY_US * DAY_US
RIGHT = Counter(tale.rule for tale in incidents.TALES)


@contextmanager
def quietly(_what: str, _count: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


def plans(pairs: int, a_day: float) -> list[two_weeks.Plan]:
    """With incidents and without, each pair another seed that ends on another day at another hour."""
    made = []
    for seed in range(pairs):
        end = START + seed * DAY_US + seed * 7 % 24 * HOUR_US
        made += [
            two_weeks.Plan(end, seed, a_day, traffic.two_weeks(end)),
            two_weeks.Plan(end, seed, a_day),
        ]
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=4, help="pairs of two weeks")
    parser.add_argument("--quick", action="store_true", help="one pair, with fewer questions")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    given = parser.parse_args()
    every = plans(1 if given.quick else given.weeks, 120.0 if given.quick else 280.0)
    asked = {request.asked: request for plan in every for request in plan.requests()}
    good, takes = True, None
    for plan in every:
        with (
            tempfile.TemporaryDirectory() as directory,
            place.made_anew(Path(directory) / "demo") as here,
            place.secluded(here),
        ):
            takes = takes or rehearsal.rehearse(asked.values(), here.store)
            began = time.perf_counter()
            told = two_weeks.replay(plan, here, quietly, takes)
        good &= judged(plan, told, time.perf_counter() - began)
    print("bars: with incidents, each alert once; without, no P0 and at most one P1 in two weeks")
    return 0 if good or not given.check else 1


def judged(plan: two_weeks.Plan, told: list[object], seconds: float) -> bool:
    rules = Counter(message.rule for message in told)
    severe = Counter(message.severity for message in told)
    good = rules == RIGHT if plan.incidents else not severe["P0"] and severe["P1"] <= 1
    end = time.strftime("%a %H:%M", time.gmtime(plan.end_us / 1e6))
    kind = "incidents" if plan.incidents else "clean    "
    print(
        f"{'ok ' if good else 'BAD'} {kind} seed {plan.seed}, until {end}, {len(plan.requests()):,} questions: "
        f"{', '.join(f'{rule} {count}' for rule, count in rules.items()) or 'nothing told'} ({seconds:.0f} s)",
        flush=True,
    )
    return good


if __name__ == "__main__":
    sys.exit(main())
