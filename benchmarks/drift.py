"""Drift: false alarms when nothing moved, power on real text beside Evidently, speed and memory.

    python benchmarks/drift.py --calibrate [--minutes 60]   # resumes where it was; counts are kept in --cache
    python benchmarks/drift.py --power  --peer DIR          # DIR: an environment for Evidently, made when missing
    python benchmarks/drift.py --speed  --peer DIR
    python benchmarks/drift.py --quick --check

Without a mode it does all three. Evidently has an environment of its own, as it does not import with the newest
pandas; without --peer it is left out.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # CPU seconds mean the same on every machine
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "llmwatch-benchmarks"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--quick", action="store_true", help="few trials, small sizes: under 45 s")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--peer", type=Path, help="environment of Evidently, made when missing")
    parser.add_argument(
        "--cache", type=Path, default=_CACHE, help="texts and counts are kept there"
    )
    parser.add_argument(
        "--minutes", type=float, default=600, help="stop calibrating after this long"
    )
    args = parser.parse_args()
    everything = not (args.calibrate or args.power or args.speed)
    missed: list[str] = []
    if args.calibrate or everything:
        missed += calibrated(args)
    if args.power or everything:
        missed += powered(args)
    if args.speed or everything:
        missed += timed(args)
    for line in missed:
        print("MISSED:", line)
    print(f"{len(missed)} bars missed")
    return 1 if missed and args.check else 0


def calibrated(args: argparse.Namespace) -> list[str]:
    from drift_calibrate import SIZES, TRIALS, calibrate, run_lengths

    if args.quick:
        return calibrate(args.cache / "quick", 50, (200,), 0.5) + run_lengths(20)
    return calibrate(args.cache, TRIALS, SIZES, args.minutes) + run_lengths(300)


def powered(args: argparse.Namespace) -> list[str]:
    from drift_power import power

    return power(args.cache, args.peer, quick=args.quick, minutes=args.minutes)


def timed(args: argparse.Namespace) -> list[str]:
    from drift_speed import speed

    return speed(args.peer, quick=args.quick)


if __name__ == "__main__":
    sys.exit(main())
