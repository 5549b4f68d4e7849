"""CPU seconds and memory of comparing embeddings, beside Evidently, each in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

DIMENSIONS = 384
BARS = {10_000: 1.0, 100_000: 6.0}
_LINEAR = 1.5  # memory of the largest, over ten times that of the next


def speed(peer: Path | None, *, quick: bool) -> list[str]:
    """Measure, print, and say which bars are missed."""
    missed, extra = [], {}
    print(
        f"| a side x {DIMENSIONS} | llmwatch s | MB | Evidently s | MB | |\n|---|---|---|---|---|---|"
    )
    for n in (1000, 10_000) if quick else (1000, 10_000, 100_000):
        ours = _child(sys.executable, "ours", n)
        theirs = _child(str(peer / "bin" / "python"), "theirs", n) if peer else None
        extra[n] = ours["mb"] - ours["before_mb"]
        shown = (
            f"{theirs['seconds']:.2f} | {theirs['mb']:.0f} | {theirs['seconds'] / ours['seconds']:.1f}x"
            if theirs
            else " | |"
        )
        print(f"| {n:,} | {ours['seconds']:.2f} | {ours['mb']:.0f} | {shown} |", flush=True)
        if ours["seconds"] > BARS.get(n, np.inf):
            missed.append(f"speed: {ours['seconds']:.2f} s of CPU at {n:,}; the bar is {BARS[n]} s")
    for n, more in extra.items():
        print(
            f"beside the vectors ({2 * n * DIMENSIONS * 4 / 2**20:.0f} MB), {n:,} a side take {more:.0f} MB"
        )
    if 100_000 in extra and extra[100_000] > 10 * _LINEAR * max(extra[10_000], 20):
        missed.append("speed: memory grows faster than the rows")
    return missed


def _child(python: str, which: str, n: int) -> dict[str, float]:
    said = subprocess.run(
        [python, __file__, which, str(n)], check=True, capture_output=True, text=True
    )
    return dict(json.loads(said.stdout.splitlines()[-1]))


def _sides(n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n)
    return tuple(random.standard_normal((n, DIMENSIONS), dtype=np.float32) for _ in range(2))


def _ours(n: int) -> dict[str, float]:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from llmwatch.drift import embeddings

    embeddings.compare(*_sides(200))  # imports, and what is made once
    sides = _sides(n)
    return _measured(lambda: embeddings.compare(*sides))


def _theirs(n: int) -> dict[str, float]:
    import pandas as pd
    from evidently.legacy.metrics.data_drift.embedding_drift_methods import model

    reference, window = (pd.DataFrame(side) for side in _sides(n))
    return _measured(lambda: model(bootstrap=n < 1000)(window, reference))


def _measured(work) -> dict[str, float]:
    before, started = _peak_mb(), time.process_time()
    work()
    return {"seconds": time.process_time() - started, "mb": _peak_mb(), "before_mb": before}


def _peak_mb() -> float:
    """Of this program alone: what getrusage says may still be its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        [peak] = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__" and len(sys.argv) == 3:  # `drift.py` starts it so
    print(json.dumps({"ours": _ours, "theirs": _theirs}[sys.argv[1]](int(sys.argv[2]))))
