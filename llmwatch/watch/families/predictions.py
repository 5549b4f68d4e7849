"""How sure answers are, and how varied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmwatch.watch import parts
from llmwatch.watch.families.measure import Facts, Plain, State, Values, share
from llmwatch.watch.said import Joined, Said, number_said

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame
    from llmwatch.watch.sets import Predictions


class PredictionsMeasure(Plain):
    """State: confidence (moments, sketch, how many are low), outputs (how many, which hashes), length of questions."""

    def __init__(self, told: Predictions) -> None:
        self._told = told
        self._said = Said("score", told.confidence)

    def columns(self, columns: Columns) -> dict[str, str]:
        output = columns.text(self._told.output)
        return {
            f"number {self._told.confidence}": columns.number(self._told.confidence),
            # texts stay where they are: only hashes are read
            f"hash {self._told.output}": f"md5_number_lower({output})",
            "query length": f"coalesce({columns.number('query_length')}, {columns.ours_or_logged('prompt_chars')}, "
            "length(r.\"llmwatch data\"->>'question'), length(r.\"llmwatch data\"->>'query'), "
            "length(r.\"llmwatch data\"->>'prompt'))",
        }

    def said(self) -> Sequence[Said | Joined]:
        return (self._said,)

    def part(self, frame: Frame) -> State:
        own = np.ma.asarray(frame[f"number {self._told.confidence}"], dtype=np.float64)
        scores = np.array([number_said(value) for value in frame[self._said.alias]], np.float64)
        confidence = parts.finite(np.where(np.ma.getmaskarray(own), scores, np.ma.filled(own, 0)))
        outputs = np.ma.asarray(frame[f"hash {self._told.output}"]).compressed()
        return [
            parts.moments(confidence),
            parts.sketch(confidence),
            int((confidence < self._told.low).sum()),
            len(outputs),
            parts.distinct(outputs.tolist()),
            parts.moments(frame["query length"]),
        ]

    def merge(self, states: Sequence[State]) -> State:
        return [
            parts.merge_moments(s[0] for s in states),
            parts.merge_sketches(s[1] for s in states),
            sum(s[2] for s in states),
            sum(s[3] for s in states),
            parts.merge_distinct(s[4] for s in states),
            parts.merge_moments(s[5] for s in states),
        ]

    def values(self, state: State, facts: Facts) -> Values:
        del facts
        confidence, sketch, low, outputs, hashes, length = state
        rate = share(low, confidence[0])
        different = parts.count_distinct(hashes) if outputs else None
        return {
            "predictions/confidence_mean": parts.mean(confidence),
            "predictions/confidence_std": parts.std(confidence),
            "predictions/confidence_p25": parts.quantile(sketch, 0.25),
            "predictions/confidence_median": parts.quantile(sketch, 0.5),
            "predictions/confidence_p75": parts.quantile(sketch, 0.75),
            "predictions/low_confidence_rate": rate,
            "predictions/low_confidence_alert": None
            if rate is None
            else int(rate > self._told.alert_share),
            "predictions/unique_count": different,
            "predictions/diversity_ratio": None
            if different is None
            else min(1.0, different / outputs),
            "predictions/query_length": parts.mean(length),
        }
