"""A small linear model of prompt injections: the weights of `ngrams`, trained by `benchmarks/safety_train.py`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmwatch.scorers.safety import ngrams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST_WORDS = 4  # one or two words say nothing of a kind of text
WEIGHTS = Path(__file__).with_name("injection.npz")


class Model(NamedTuple):
    """Weights a bucket, for words and for characters, and what makes a sum of them a probability."""

    words: NDArray[np.float32]
    characters: NDArray[np.float32]
    bias: float
    slope: float  # of the logistic curve
    centre: float

    def windows(self, text: str) -> list[tuple[float, int, int]]:
        """The score of every window of a text, and where it begins and ends in it."""
        import numpy as np

        found = ngrams.grams(text)
        if not len(found.places):
            return []
        starts, ends = found.windows()
        total = np.full(len(starts), self.bias)
        for weights, kinds in ((self.words, found.words), (self.characters, found.characters)):
            total += _mean(weights, kinds, starts, ends)
        first, last = ngrams.inside(found.words[0], starts, ends)
        total[last - first < FEWEST_WORDS] = -np.inf
        with np.errstate(over="ignore"):
            scores = 1 / (1 + np.exp(-self.slope * (total - self.centre)))
        begins, stops = found.places[starts], found.places[ends - 1] + 1
        return list(zip(scores.tolist(), begins.tolist(), stops.tolist(), strict=True))


def _mean(
    weights: NDArray[np.float32],
    kinds: tuple[ngrams.Runs, ...],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The sum of the weights in each window over the root of their number: long and short texts weigh alike."""
    import numpy as np

    total, count = np.zeros(len(starts)), np.zeros(len(starts))
    for runs in kinds:
        sums = np.concatenate(([0.0], np.cumsum(weights[runs.buckets], dtype=np.float64)))
        first, last = ngrams.inside(runs, starts, ends)
        total += sums[last] - sums[first]
        count += last - first
    return total / np.sqrt(np.maximum(count, 1))


@functools.cache
def built_in() -> Model:
    """The model that comes with llmwatch."""
    import numpy as np

    with np.load(WEIGHTS) as file:
        scale = file["scale"]
        words, characters = (
            (file[name].astype(np.float32) * scale[number])
            for number, name in enumerate(("words", "characters"))
        )
        bias, slope, centre = (float(value) for value in file["curve"])
    return Model(words, characters, bias, slope, centre)
