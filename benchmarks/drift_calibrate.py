"""How often each drift test, and the job, says something when nothing moved."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from drift_traffic import TRAFFIC, signals
from scipy.stats import beta

from llmwatch.drift import categories, embeddings, numbers
from llmwatch.drift.compare import ALPHA, judge
from llmwatch.drift.detector import Detector
from llmwatch.drift.multiple import holm

NOMINAL = 0.05
SIZES = (200, 1000, 10_000)
TRIALS = 2000
_CHUNK = 50
_ENOUGH = 200  # trials, to call a test conservative
_KEY = "drift-calibrate-4"  # another when the tests change, so that old counts are not added to
ALERT = "the job (alerts)"
Counts = dict[str, list[int]]


def calibrate(cache: Path, trials: int, sizes: tuple[int, ...], minutes: float) -> list[str]:
    """Run what is missing of the trials, chunk by chunk, and print the table."""
    kept = cache / f"{_KEY}.json"
    counts: dict[str, Counts] = json.loads(kept.read_text()) if kept.exists() else {}
    deadline = time.monotonic() + 60 * minutes
    for size, chunk in _plan(trials, sizes):
        for name in TRAFFIC:
            cell = counts.setdefault(f"{name}|{size}", {})
            if time.monotonic() < deadline and _done(cell) <= chunk * _CHUNK:
                _add(cell, _chunk(name, size, chunk))
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.with_suffix(".new").write_text(json.dumps(counts))
                kept.with_suffix(".new").replace(kept)
    return show(
        {key: cell for key, cell in counts.items() if cell and int(key.split("|")[1]) in sizes}
    )


def _plan(trials: int, sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Chunks in turn, the largest size at a quarter of the pace: a run that is cut off has enough of each."""
    pace = {10_000: 4}
    chunks = [(size, chunk) for chunk in range(trials // _CHUNK) for size in sizes]
    return sorted(chunks, key=lambda one: (one[1] + 1) * pace.get(one[0], 1))


def _done(cell: Counts) -> int:
    return max((n for _, n in cell.values()), default=0)


def _add(cell: Counts, more: Counts) -> None:
    for test, (rejected, n) in more.items():
        had = cell.get(test, [0, 0])
        cell[test] = [had[0] + rejected, had[1] + n]


def _chunk(name: str, size: int, chunk: int) -> Counts:
    counts: Counts = {}
    for trial in range(chunk * _CHUNK, (chunk + 1) * _CHUNK):
        random = np.random.default_rng([20261121, size, list(TRAFFIC).index(name), trial])
        # The exchanges of blocks differ from chunk to chunk; within a chunk, they are dealt once.
        said = _trial(signals(*TRAFFIC[name](size, random)), seed=chunk)
        _add(counts, {test: [int(rejects), 1] for test, rejects in said.items()})
    return counts


def _trial(run: list, seed: int) -> dict[str, bool]:
    """Which tests reject. The classifier is fitted only when the job would look at its effect."""
    length, level, vectors = run
    findings = [
        (length.name, numbers.compare(length.reference, length.window, **_given(length, seed))),
        (level.name, categories.compare(level.reference, level.window, **_given(level, seed))),
        (vectors.name, _embedding(vectors, seed, effects=False)),
    ]
    assert not any(finding.insufficient for _, finding in findings)
    adjusted = holm([finding.p for _, finding in findings])
    if adjusted[2] < ALPHA:
        findings[2] = (vectors.name, _embedding(vectors, seed, effects=True))
    parts = {
        f"{name}: {part.method}": part.p <= NOMINAL for name, one in findings for part in one.parts
    }
    return {
        **parts,
        f"length: {numbers.METHOD}": findings[0][1].p <= NOMINAL,
        "any signal, Holm": min(adjusted) <= NOMINAL,
        ALERT: any(judged.verdict == "drift" for judged in judge(findings)),
    }


def _given(signal, seed: int) -> dict:
    return {
        "groups_reference": signal.groups_reference,
        "groups_window": signal.groups_window,
        "seed": seed,
    }


def _embedding(signal, seed: int, *, effects: bool):
    return embeddings.compare(
        signal.reference, signal.window, **_given(signal, seed), effects=effects
    )


def show(counts: dict[str, Counts]) -> list[str]:
    """Print the rates; what is clearly above nominal is missed, what is far below is listed."""
    cells = sum(len(cell) for cell in counts.values())
    missed, quiet = [], []
    tests = list(max(counts.values(), key=len))
    columns = list(counts)
    print("| test | " + " | ".join(column.replace("|", ", n=") for column in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for test in tests:
        bar = ALPHA if test == ALERT else NOMINAL
        row = []
        for column in columns:
            rejected, n = counts[column][test]
            low = _clopper_pearson_low(rejected, n, 0.01 / cells)
            where = f"{test}, {column.replace('|', ', n=')}: {rejected / n:.3f} of {n}"
            if low > bar:
                missed.append(where)
            if n >= _ENOUGH and rejected / n < 0.02 and test != ALERT:
                quiet.append(where)
            row.append(f"{rejected / n:.3f}" + (" !" if low > bar else ""))
        print(f"| {test} | " + " | ".join(row) + " |")
    trials = {column: _done(cell) for column, cell in counts.items()}
    print(
        f"\ntrials a cell: {min(trials.values())} to {max(trials.values())}; {cells} cells, of which {len(missed)} are clearly above nominal"
    )
    for where in quiet:
        print("conservative, under .02:", where)
    return missed


def _clopper_pearson_low(rejected: int, n: int, alpha: float) -> float:
    return float(beta.ppf(alpha / 2, rejected, n - rejected + 1)) if rejected else 0.0


def run_lengths(streams: int, run_length: int = 500) -> list[str]:
    """How many rows the detector takes to a false alarm, beside what it was told."""
    missed = []
    drawn = {
        "independent rows": lambda random, n: np.round(random.lognormal(4, 0.8, n)),
        "heavy tails": lambda random, n: random.pareto(0.9, n),
    }
    for name, draw in drawn.items():
        took = [_first_alarm(draw, seed, run_length) for seed in range(streams)]
        mean, error = np.mean(took), np.std(took) / np.sqrt(streams)
        print(
            f"detector, {name}: a false alarm after {mean:.0f} +- {error:.0f} rows on average, "
            f"told {run_length} or more"
        )
        if mean + 2.6 * error < run_length:
            missed.append(f"detector, {name}: {mean:.0f} rows to a false alarm, told {run_length}")
    return missed


def _first_alarm(draw, seed: int, run_length: int) -> int:
    """Streams end after ten times what was told, which makes the mean smaller, never larger."""
    random = np.random.default_rng([7, seed])
    detector = Detector(draw(random, 500), run_length=run_length, seed=seed)
    values = draw(random, 10 * run_length).tolist()
    alarms = (n for n, value in enumerate(values, 1) if detector.add(value))
    return next(alarms, len(values))
