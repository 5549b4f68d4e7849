"""How often drift is seen on real text, beside Evidently's defaults with as many false alarms."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from drift_texts import Corpus, corpora, lengths
from scipy.stats import norm

from llmwatch.drift import embeddings, exchange, numbers

FALSE_ALARMS = 0.05
_TRIALS = {
    ("length", 200): 200,
    ("length", 1000): 200,
    ("embedding", 200): 100,
    ("embedding", 1000): 40,
}
"""Of each shift; twice as many without one."""
Rows = tuple[np.ndarray, np.ndarray]
Scores = dict[str, dict[str, list[float]]]


@dataclass
class Trials:
    """Pairs of samples of one kind: rows of `values`, or numbers themselves."""

    values: np.ndarray
    reference: list[np.ndarray] = field(default_factory=list)
    window: list[np.ndarray] = field(default_factory=list)

    def add(self, pair: Rows) -> None:
        self.reference.append(pair[0])
        self.window.append(pair[1])


# What happens to embeddings.


def replaced(share: float) -> Callable[[Corpus, int, np.random.Generator], Rows]:
    """That share of the window is of another kind."""

    def sample(corpus: Corpus, n: int, random: np.random.Generator) -> Rows:
        rows = random.choice(len(corpus.usual), 2 * n, replace=False)
        other = random.permutation(n) < round(share * n)
        return rows[:n], np.where(other, _new(corpus, n, random), rows[n:])

    return sample


def gradual(corpus: Corpus, n: int, random: np.random.Generator) -> Rows:
    """From none at the window's beginning to 12% at its end."""
    rows = random.choice(len(corpus.usual), 2 * n, replace=False)
    other = random.random(n) < np.linspace(0, 0.12, n)
    return rows[:n], np.where(other, _new(corpus, n, random), rows[n:])


def swelling(corpus: Corpus, n: int, random: np.random.Generator) -> Rows:
    """A topic that was there all along takes another tenth of the window."""
    rows = random.choice(len(corpus.usual), 2 * n, replace=False)
    topic = np.setdiff1d(corpus.topic, rows)
    other = random.permutation(n) < round(0.1 * n)
    more = random.choice(topic, n, replace=len(topic) < n)
    return rows[:n], np.where(other, more, rows[n:])


def _new(corpus: Corpus, n: int, random: np.random.Generator) -> np.ndarray:
    return len(corpus.usual) + random.choice(len(corpus.new), n, replace=len(corpus.new) < n)


EMBEDDING_SHIFTS = {
    "none": replaced(0),
    "3% replaced": replaced(0.03),
    "6% replaced": replaced(0.06),
    "12% replaced": replaced(0.12),
    "gradual, 0 to 12%": gradual,
    "a topic swells by 10%": swelling,
}


# What happens to lengths.


def _tail(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.where(random.random(len(values)) < 0.03, values * 8, values)


def _spread(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    logs = np.log(values)
    return np.round(np.exp(np.median(logs) + 1.1 * (logs - np.median(logs))))


LENGTH_SHIFTS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "none": lambda values, random: values,
    "median +10%": lambda values, random: np.round(values * 1.1),
    "3% of rows 8x longer": _tail,
    "spread x1.1": _spread,
}


# The two sides.


def ours(trials: Trials) -> list[float]:
    """Scores, higher being more drift: minus the p-value, finer where that is the same."""
    exchange.TIMES = exchange.TIMES[:1]  # p-values under .001 make no difference at .05
    compare = embeddings.compare if trials.values.ndim == 2 else numbers.compare
    given = {"effects": False} if compare is embeddings.compare else {}
    scores = []
    for reference, window in zip(trials.reference, trials.window, strict=True):
        sides = (trials.values[reference], trials.values[window]) if given else (reference, window)
        scores.append(-float(compare(*sides, **given).p))  # type: ignore[operator, arg-type]
    return scores


class Peer:
    """Evidently, in an environment of its own."""

    def __init__(self, home: Path) -> None:
        python = home / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            pip = [str(python), "-m", "pip", "install", "-qq"]
            subprocess.run([*pip, "evidently==0.7.23", "pandas<3"], check=True)
        self._process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("drift_peer.py")), "answer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said("ready")

    def _said(self, word: str) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline().strip() == word, "Evidently's process ended"

    def ask(self, trials: Trials, method: str = "model") -> dict[str, Any]:
        """Its scores, verdicts and CPU seconds a trial."""
        with tempfile.TemporaryDirectory() as home:
            source, target = Path(home) / "in.npz", Path(home) / "out.json"
            np.savez(
                source,
                values=trials.values,
                reference=trials.reference,
                window=trials.window,
                method=method,
            )
            assert self._process.stdin
            self._process.stdin.write(f"{source}\t{target}\n")
            self._process.stdin.flush()
            self._said("done")
            return dict(json.loads(target.read_text()))

    def close(self) -> None:
        self._process.communicate()


def power(cache: Path, peer: Path | None, *, quick: bool, minutes: float) -> list[str]:
    """Measure the cells that are not known yet, print all, and say where ours is clearly worse."""
    evidently = Peer(peer) if peer else None
    kept = cache / ("drift-power-quick.json" if quick else "drift-power-1.json")
    known: Scores = json.loads(kept.read_text()) if kept.exists() and not quick else {}
    deadline = time.monotonic() + 60 * minutes
    for key, trials in _cells(cache, quick=quick):
        if key not in known and time.monotonic() < deadline:
            known[key] = _scores(trials(), evidently)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(known))
    if evidently:
        evidently.close()
    return show(known)


def _cells(cache: Path, *, quick: bool) -> Iterator[tuple[str, Callable[[], Trials]]]:
    texts = corpora(cache)[-1:] if quick else corpora(cache)
    for n in (200,) if quick else (200, 1000):
        for kind, shifts in (("length", LENGTH_SHIFTS), ("embedding", EMBEDDING_SHIFTS)):
            count = 20 if quick else _TRIALS[kind, n]
            for corpus in texts:
                values = lengths(corpus) if kind == "length" else embedded(corpus, cache)
                for shift in shifts:
                    times = 2 * count if shift == "none" else count
                    yield (
                        f"{kind}|{corpus.name}|{n}|{shift}",
                        partial(_trials, kind, corpus, values, n, shift, times),
                    )


def _trials(
    kind: str, corpus: Corpus, values: np.ndarray, n: int, shift: str, count: int
) -> Trials:
    random = np.random.default_rng([20261121, n, len(corpus.usual), *shift.encode()])
    trials = Trials(values)
    for _ in range(count):
        if kind == "embedding":
            trials.add(EMBEDDING_SHIFTS[shift](corpus, n, random))
        else:
            rows = random.choice(values, 2 * n, replace=False)
            trials.add((rows[:n], LENGTH_SHIFTS[shift](rows[n:], random)))
    return trials


def _scores(trials: Trials, evidently: Peer | None) -> dict[str, list[float]]:
    found = {"llmwatch": ours(trials)}
    if evidently:
        found["Evidently"] = evidently.ask(trials)["scores"]
        if trials.values.ndim == 2:
            found["Evidently, distance"] = evidently.ask(trials, "distance")["scores"]
    return found


def embedded(corpus: Corpus, cache: Path) -> np.ndarray:
    """Vectors of the usual texts, then of the new ones, by llmwatch's offline embedder."""
    from llmwatch.drift.embedders.ngrams import Ngrams

    kept = cache / f"vectors-{corpus.name}-{Ngrams.identity}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, Ngrams().embed([*corpus.usual, *corpus.new]))
    return np.load(kept)


def show(known: Scores) -> list[str]:
    """The table: how often each exceeds what it exceeds in one of twenty trials without drift."""
    missed, ahead = [], []
    print(
        "| what | corpus | a side | shift | llmwatch | Evidently | Evidently, distance |\n|---|---|---|---|---|---|---|"
    )
    for key, scores in known.items():
        kind, corpus, n, shift = key.split("|")
        null = known.get(f"{kind}|{corpus}|{n}|none")
        if shift == "none" or not null:
            continue
        powers = {name: _power(null[name], scores[name]) for name in scores}
        shown = [
            f"{powers[name]:.2f}" if name in powers else ""
            for name in ("llmwatch", "Evidently", "Evidently, distance")
        ]
        print(f"| {kind} | {corpus} | {n} | {shift} | {' | '.join(shown)} |")
        if "Evidently" in powers:
            better = powers["llmwatch"] - powers["Evidently"]
            ahead.append(better)
            if better < -_clear(powers["llmwatch"], powers["Evidently"], len(scores["llmwatch"])):
                missed.append(
                    f"power: {key} {powers['llmwatch']:.2f} against {powers['Evidently']:.2f}"
                )
    if ahead:
        print(
            f"\nmean power ahead of Evidently's defaults by {np.mean(ahead):+.3f} over {len(ahead)} cells"
        )
        if np.mean(ahead) <= 0:
            missed.append("power: not better over all")
    return missed


def _power(null: list[float], scores: list[float]) -> float:
    """The share above the null's quantile; what lies on it counts as much as makes the null's share exact."""
    ordered = np.sort(null)[::-1]
    allowed = FALSE_ALARMS * len(null)
    edge = ordered[int(allowed)]
    above, on = (ordered > edge).sum(), (ordered == edge).sum()
    part = (allowed - above) / on
    return float((np.array(scores) > edge).mean() + part * (np.array(scores) == edge).mean())


def _clear(one: float, other: float, trials: int) -> float:
    """Half the 99% interval of a difference of two shares, the threshold's own noise included."""
    pooled = max(0.5 / trials, (one + other) / 2 * (1 - (one + other) / 2))
    return float(norm.ppf(0.995)) * np.sqrt(2 * pooled / trials + 2 * FALSE_ALARMS / (2 * trials))
