"""Evidently's drift scores for many pairs of samples; run by the Python of its own environment.

Asked on its input, a pair of files a line. The first holds `values` and, for each trial, which of them are the
reference and which the window; the second gets a score a trial (higher is more drift), whether Evidently called it
drift, and the CPU seconds a trial.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")


def main() -> None:
    """Each line of the input names a file to read and one to write."""
    print("ready", flush=True)
    for line in sys.stdin:
        source, target = line.rstrip("\n").split("\t")
        with np.load(source) as given:
            arrays = dict(given)
        Path(target).write_text(json.dumps(answer(arrays)), encoding="utf-8")
        print("done", flush=True)


def answer(given: dict[str, np.ndarray]) -> dict[str, list]:
    values, method = given["values"], str(given["method"])
    scored, started = [], time.process_time()
    for reference, window in zip(given["reference"], given["window"], strict=True):
        if values.ndim == 2:
            sides = [pd.DataFrame(values[rows]) for rows in (reference, window)]
            scored.append(_embeddings(*sides, method))
        else:
            scored.append(_numbers(pd.Series(reference), pd.Series(window)))
    seconds = (time.process_time() - started) / max(1, len(scored))
    return {"scores": [s for s, _ in scored], "drift": [d for _, d in scored], "seconds": seconds}


def _numbers(reference: pd.Series, window: pd.Series) -> tuple[float, bool]:
    """The default test for a column of numbers: it depends on the size of the reference."""
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    test = get_stattest(reference, window, ColumnType.Numerical, None)
    found = test(reference, window, ColumnType.Numerical, None)
    sign = -1 if "p_value" in test.display_name else 1
    return sign * float(found.drift_score), bool(found.drifted)


def _embeddings(reference: pd.DataFrame, window: pd.DataFrame, method: str) -> tuple[float, bool]:
    from evidently.legacy.metrics.data_drift import embedding_drift_methods as methods

    made = {
        # With a reference under 1,000 rows, EmbeddingsDrift's default adds a bootstrap: for the threshold, which is not
        # used here; the score is the same.
        "model": methods.model,
        "distance": methods.distance,
        "ratio": methods.ratio,
        "mmd": methods.mmd,
    }[method]()
    score, drifted, _ = made(window, reference)
    return float(score), bool(drifted)


if __name__ == "__main__" and sys.argv[1:] == ["answer"]:  # `drift.py` starts it so
    main()
