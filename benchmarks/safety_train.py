"""Rebuilds the weights of the injection model, and says what it does on text it has not seen.

    python benchmarks/safety_train.py           # trains, prints, writes llmwatch/scorers/safety/injection.npz
    python benchmarks/safety_train.py --print   # the same without writing

Logistic regression on counts of `ngrams` in windows. A jailbreak of 3,000 characters is not hostile in every line:
after each round the half of its windows that look most hostile stand for it in the next. The threshold is where
1% of ordinary text held for tuning is flagged; the curve around it is a logistic one through (threshold, 0.5).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmwatch.scorers.safety import ngrams  # noqa: E402
from llmwatch.scorers.safety.model import WEIGHTS, Model  # noqa: E402
from llmwatch.scorers.safety.plain import plain  # noqa: E402

DATA = Path(__file__).resolve().parent / "safety_data"
SETS = {"wild": 0.5, "collected": 1.0}  # how much each weighs against all ordinary text
RARE = 2  # runs in fewer windows teach nothing but themselves
STRENGTH = 1.0
FLAGGED_ORDINARY = 0.01
ROUNDS = 3

Row = dict[str, str]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--print", action="store_true", dest="only_print", help="write nothing")
    args = parser.parse_args()
    model = train(tuple(SETS))
    for name, rate in rates(model).items():
        print(f"{name:<22} {rate:.4f}")
    if not args.only_print:
        save(model)
        print(f"wrote {WEIGHTS.relative_to(ROOT)}, {WEIGHTS.stat().st_size:,} bytes")
    return 0


def load(name: str) -> list[Row]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def train(sets: tuple[str, ...]) -> Model:
    """A model of these sets of attacks against the ordinary text, its curve set on text held for that."""
    attacks = [r for r in load("injections") if r["set"] in sets and r["split"] == "train"]
    ordinary = [r for r in load("ordinary") if r["split"] == "train"]
    parts = [windows(row["text"]) for row in attacks]
    matrix = counted(
        [w for p in parts for w in p] + [w for r in ordinary for w in windows(r["text"])]
    )
    owner = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    rarity = weighed(matrix)
    weights, bias = fitted(matrix @ sparse.diags(rarity), owner, [row["set"] for row in attacks])
    whole = (weights * rarity).astype(np.float32)
    model = rounded(whole, bias)
    tuned = [r for r in load("ordinary") if r["split"] == "tune"]
    raw = model._replace(slope=1.0, centre=0.0)
    sums = np.array([logit(worst(raw, row["text"])) for row in tuned])
    return model._replace(slope=1.0, centre=float(np.quantile(sums, 1 - FLAGGED_ORDINARY)))


def windows(text: str) -> list[tuple[np.ndarray, np.ndarray]]:
    found = ngrams.grams(plain(text).text)
    starts, ends = found.windows()
    kinds = []
    for runs in (found.words, found.characters):
        spans = [(r.buckets, *ngrams.inside(r, starts, ends)) for r in runs]
        kinds.append(
            [
                np.concatenate([buckets[first[i] : last[i]] for buckets, first, last in spans])
                for i in range(len(starts))
            ]
        )
    return list(zip(*kinds, strict=True))


def counted(parts: list[tuple[np.ndarray, np.ndarray]]) -> Any:
    """One row a window: its runs, each over the root of their number."""
    lengths = [len(words) + len(characters) for words, characters in parts]
    columns = np.concatenate([np.concatenate((w, c + ngrams.BUCKETS)) for w, c in parts])
    values = np.concatenate([np.concatenate([share(w), share(c)]) for w, c in parts])
    ends = np.concatenate(([0], np.cumsum(lengths)))
    matrix = sparse.csr_matrix((values, columns, ends), shape=(len(parts), 2 * ngrams.BUCKETS))
    matrix.sum_duplicates()
    return matrix


def share(runs: np.ndarray) -> np.ndarray:
    return np.full(len(runs), 1 / np.sqrt(max(1, len(runs))))


def weighed(matrix: Any) -> np.ndarray:
    windows_with = np.asarray((matrix > 0).sum(axis=0)).ravel()
    rarity = np.log((1 + matrix.shape[0]) / (1 + windows_with)) + 1
    return np.where(windows_with >= RARE, rarity, 0.0)


def fitted(matrix: Any, owner: np.ndarray, sets: list[str]) -> tuple[np.ndarray, float]:
    attacks, ordinary = len(owner), matrix.shape[0] - len(owner)
    matrix = matrix.tocsr()
    signs = np.concatenate((np.ones(attacks), -np.ones(ordinary)))
    of_set = np.array(sets)[owner]
    kept = np.ones(attacks, bool)
    found = np.zeros(matrix.shape[1] + 1)
    for _ in range(ROUNDS):
        importance = np.ones(len(signs))
        for name in set(sets):
            mine = (of_set == name) & kept
            importance[:attacks][mine] = SETS[name] * ordinary / mine.sum()
        chosen = np.concatenate((kept, np.ones(ordinary, bool)))
        found = regression(matrix[chosen], signs[chosen], importance[chosen], found)
        kept = most_hostile(matrix[:attacks] @ found[:-1], owner)
    return found[:-1], float(found[-1])


def regression(
    matrix: Any, signs: np.ndarray, importance: np.ndarray, start: np.ndarray
) -> np.ndarray:
    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (matrix @ at[:-1] + at[-1])
        slope = -STRENGTH * importance * signs / (1 + np.exp(np.clip(margins, -50, 50)))
        value = STRENGTH * float(importance @ np.logaddexp(0, -margins)) + 0.5 * float(
            at[:-1] @ at[:-1]
        )
        return value, np.append(matrix.T @ slope + at[:-1], slope.sum())

    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x


def most_hostile(scores: np.ndarray, owner: np.ndarray) -> np.ndarray:
    kept = np.zeros(len(owner), bool)
    for number in range(int(owner.max()) + 1):
        mine = np.flatnonzero(owner == number)
        kept[mine[np.argsort(-scores[mine])[: (len(mine) + 1) // 2]]] = True
    return kept


def rounded(weights: np.ndarray, bias: float) -> Model:
    """The model with its weights as they are stored: one byte each."""
    halves = [weights[: ngrams.BUCKETS], weights[ngrams.BUCKETS :]]
    steps = [float(np.abs(half).max()) / 127 for half in halves]
    words, characters = (
        np.round(h / s).astype(np.float32) * np.float32(s)
        for h, s in zip(halves, steps, strict=True)
    )
    return Model(words, characters, bias, 1.0, 0.0)


def save(model: Model) -> None:
    scale = np.array(
        [np.abs(half).max() / 127 for half in (model.words, model.characters)], np.float32
    )
    words, characters = (
        np.round(half / step).astype(np.int8)
        for half, step in zip((model.words, model.characters), scale, strict=True)
    )
    curve = np.array([model.bias, model.slope, model.centre])
    np.savez_compressed(WEIGHTS, words=words, characters=characters, scale=scale, curve=curve)


def worst(model: Model, text: str) -> float:
    return max((score for score, _, _ in model.windows(plain(text).text)), default=0.0)


def logit(probability: float) -> float:
    probability = min(max(probability, 1e-12), 1 - 1e-12)
    return float(np.log(probability / (1 - probability)))


def rates(model: Model, threshold: float = 0.5) -> dict[str, float]:
    """The share of each held-out set that the model alone flags."""
    held = [r for r in (*load("injections"), *load("ordinary")) if r["split"] == "test"]
    found: dict[str, list[bool]] = {}
    for row in held:
        found.setdefault(row["set"], []).append(worst(model, row["text"]) >= threshold)
    return {name: float(np.mean(flags)) for name, flags in found.items()}


if __name__ == "__main__":
    raise SystemExit(main())
