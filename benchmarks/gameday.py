"""Does `llmwatch gameday` on the demo's traffic catch every fault, with no P0 where nothing is wrong, whatever the seed?

Each seed is other traffic, other rows that go wrong, and another order of the faults, on other days of the week. The answers of the
help desk are rehearsed once.

    python benchmarks/gameday.py [--seeds 4] [--quick] [--check]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llmwatch.demo import place, rehearsal, traffic
from llmwatch.demo.traffic import DAY_US
from llmwatch.gameday import demo, play
from llmwatch.gameday.faults import FAULTS
from llmwatch.gameday.show import length

START = 1_795_046_400_000_000 // DAY_US * DAY_US


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="one seed, three faults")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
    given = parser.parse_args()
    faults = FAULTS[1:4] if given.quick else FAULTS
    ends = [START + seed * DAY_US for seed in range(1 if given.quick else given.seeds)]
    days = []
    takes = rehearsed(ends)
    for seed, end in enumerate(ends):
        began = time.process_time()
        day = play.on_demo(faults, seed=seed, end_us=end, takes=takes)
        days.append(day)
        missed = ", ".join(one.fault.name for one in day.missed) or "none"
        others = ", ".join(f"{a.severity} {a.rule}" for a in day.of_nothing) or "none"
        print(
            f"seed {seed}: {day.traces:,} traces, missed: {missed}; told of nothing: {others} "
            f"({day.seconds:.0f} s, {time.process_time() - began:.0f} s of CPU here)",
            flush=True,
        )
    for fault in faults:
        found = [one for day in days for one in day.found if one.fault is fault]
        after = sorted(one.after_s for one in found if one.after_s is not None)
        rules = sorted({f"{a.severity} {a.rule}" for one in found for a in one.alerts})
        times = (
            f"{length(after[0])} to {length(after[-1])}, median {length(statistics.median(after))}"
            if after
            else "never"
        )
        print(
            f"  {fault.name}: {len(after)} of {len(found)} by {', '.join(rules) or 'nothing'}; {times}"
        )
    caught = sum(bool(one.alerts) for day in days for one in day.found)
    false = sum(len(day.false_p0) for day in days)
    print(
        f"{caught} of {len(days) * len(faults)} faults caught, {false} false P0 (bars: all, none)"
    )
    return 1 if given.check and (caught < len(days) * len(faults) or false) else 0


def rehearsed(ends: list[int]) -> rehearsal.Takes:
    asked = [
        one
        for seed, end in enumerate(ends)
        for one in traffic.requests(end - demo.DAYS * DAY_US, end, seed=seed, a_day=demo.A_DAY)
    ]
    with (
        tempfile.TemporaryDirectory() as directory,
        place.made_anew(Path(directory) / "demo") as here,
        place.secluded(here),
    ):
        text = (Path(demo.__file__).parent / "llmwatch.toml").read_text("utf-8")
        (here.root / "llmwatch.toml").write_text(text, "utf-8")
        return rehearsal.rehearse(asked, here.store)


if __name__ == "__main__":
    sys.exit(main())
