"""Every benchmark in turn, and a table of what they said: `python benchmarks`, or `python3 dev.py bench`.

    python benchmarks                    # each with --quick --check
    python benchmarks spool overhead     # only these
    python benchmarks --full             # hours

The table goes to build/benchmarks.md, with the machine, its load and the versions; what each printed to build/benchmarks/.
Exits with 1 where a bar was missed or a script failed: on a machine that does other things, bars of time are missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"
VERSIONS = ("weave", "duckdb", "deltalake", "orjson", "numpy")
QUICK_S, FULL_S = 300.0, 3 * 3600.0
"""A script that takes longer is ended. Alone on the machine, a quick one takes less than 45 s."""


@dataclass(frozen=True)
class Outcome:
    script: str
    verdict: str
    seconds: float
    load: float
    said: str

    def line(self) -> str:
        said = self.said.replace("|", "/")
        return f"| {self.script} | {self.verdict} | {self.seconds:.0f} | {self.load:.1f} | {said} |"


def scripts(named: list[str]) -> list[Path]:
    """Those that check themselves; the others are parts of one."""
    found = [path for path in sorted(HERE.glob("[a-z]*.py")) if '"--check"' in path.read_text()]
    if unknown := set(named) - {path.stem for path in found}:
        raise SystemExit(f"there is no benchmark {', '.join(sorted(unknown))}")
    return [path for path in found if not named or path.stem in named]


def run(path: Path, *, full: bool) -> Outcome:
    command = [sys.executable, str(path), "--check", *([] if full else ["--quick"])]
    began, load = time.monotonic(), os.getloadavg()[0]
    output = BUILD / "benchmarks" / f"{path.stem}.txt"
    with output.open("w") as file:
        try:
            code = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, timeout=FULL_S if full else QUICK_S,
                stdin=subprocess.DEVNULL, check=False, cwd=HERE.parent,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            code = -1
    lines = [line for line in output.read_text(errors="replace").splitlines() if line.strip()]
    failed = code not in (0, 1) or any(line.startswith("Traceback ") for line in lines)
    verdict = "failed" if failed else "missed" if code else "ok"
    seconds = time.monotonic() - began
    said = "took too long" if code == -1 else lines[-1].strip() if lines else "nothing"
    return Outcome(path.stem, verdict, seconds, load, said)


def machine() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS)
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} processors, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help="without .py (default: all)")
    parser.add_argument("--full", action="store_true", help="without --quick")
    given = parser.parse_args()
    (BUILD / "benchmarks").mkdir(parents=True, exist_ok=True)
    head = [
        machine(),
        "",
        "| script | bars | seconds | load | last line |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(head), flush=True)
    outcomes: list[Outcome] = []
    for path in scripts(given.scripts):
        outcomes.append(run(path, full=given.full))
        print(outcomes[-1].line(), flush=True)
        table = "\n".join([*head, *(one.line() for one in outcomes), ""])
        (BUILD / "benchmarks.md").write_text(table)
    counts = {verdict: sum(one.verdict == verdict for one in outcomes) for verdict in ("ok", "missed", "failed")}  # fmt: skip
    print(f"{counts['ok']} ok, {counts['missed']} missed a bar, {counts['failed']} failed; {BUILD / 'benchmarks.md'}")  # fmt: skip
    return 0 if counts["ok"] == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
