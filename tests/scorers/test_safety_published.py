"""The figures of docs/how-to/check-safety.md, measured again on the held-out side of the data."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from llmwatch.scorers.safety import injection, model, pii
from llmwatch.scorers.safety.plain import plain
from llmwatch.scorers.safety.policy import POLICIES

ROOT = Path(__file__).parents[2]
DATA = ROOT / "benchmarks" / "safety_data"
PAGE = (ROOT / "docs" / "how-to" / "check-safety.md").read_text(encoding="utf-8")
LIMITS = POLICIES["balanced"].thresholds


def held_out(name):
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if row["split"] == "test"]


def published(label):
    """The numbers of the line of the page's tables that begins with a label."""
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {label} |"))
    return [
        float(cell.strip().rstrip("%"))
        for cell in line.split("|")[2:-1]
        if cell.strip()[:1].isdigit()
    ]


def flagged(text):
    return injection.find(plain(text).text)[0] >= LIMITS["injection"]


@pytest.mark.parametrize(
    ("name", "subset"),
    [
        ("injections", "wild"),
        ("injections", "collected"),
        ("injections", "unseen"),
        ("ordinary", "ordinary"),
        ("ordinary", "elsewhere"),
        ("ordinary", "traps"),
    ],
)
def test_injections_are_flagged_as_often_as_published(name, subset):
    texts = [row["text"] for row in held_out(name) if row["set"] == subset]
    count, share = published(f"`{subset}`")
    assert len(texts) == count
    assert sum(map(flagged, texts)) / len(texts) * 100 == pytest.approx(share, abs=0.06)


@pytest.mark.slow
def test_the_committed_script_makes_the_committed_model():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import safety_train

    made, kept = safety_train.train(tuple(safety_train.SETS)), model.built_in()
    rates = safety_train.rates(kept)
    assert safety_train.rates(made) == pytest.approx(rates, abs=0.01)


def test_no_held_out_text_was_trained_on():
    with gzip.open(DATA / "injections.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(" ".join(row["text"].lower().split()), set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())


def test_personal_data_are_found_as_often_as_published():
    right, placed, wrong = Counter(), Counter(), Counter()
    for row in held_out("pii"):
        spans = pii.find(row["text"], threshold=LIMITS["pii"])[1]
        placed.update(kind for kind, _, _ in row["spans"])
        for span in spans:
            same = [
                s
                for s in row["spans"]
                if s[0] == span.kind
                and min(s[2], span.end) - max(s[1], span.start) >= 0.8 * (s[2] - s[1])
            ]
            (right if same else wrong)[span.kind] += 1
    measured = [kind for kind in pii.KINDS if placed[kind] >= 20]
    assert len(measured) == 11
    for kind in measured:
        count, recall, precision = published(f"{kind}")
        assert placed[kind] == count
        assert right[kind] / placed[kind] == pytest.approx(recall, abs=0.001)
        assert right[kind] / (right[kind] + wrong[kind]) == pytest.approx(precision, abs=0.001)
