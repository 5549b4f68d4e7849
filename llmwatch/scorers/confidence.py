"""Confidence: how sure an answer is, as a `weave.Scorer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import weave
from pydantic import PrivateAttr, field_validator

from llmwatch.scorers import confiding
from llmwatch.scorers.agreement import by_embedding
from llmwatch.scorers.confiding import RUNGS, ConfidenceResult
from llmwatch.scorers.protocol import Row

if TYPE_CHECKING:
    from llmwatch.scorers.calibration import Calibration
    from llmwatch.stream.query import Reader


class Confidence(weave.Scorer):
    """How sure an answer is, from 0 to 1, by the first of these that the row has: the log-probabilities of its tokens; how far
    several answers agree; how far the context backs it; what it says of itself. None, with the reason, when it has none.

    `rungs` chooses and orders them. `embedder` (`ngrams`, `onnx`, ...; as for drift) tells answers apart by their vectors, which are
    the same from the cosine `alike_from` on; without one, by their words. `calibration` names one that `llmwatch calibrate` fitted, as `name` or `name:v2`.
    """

    name: str | None = "confidence"
    rungs: tuple[str, ...] = RUNGS
    calibration: str | None = None
    embedder: str | None = None
    alike_from: float = 0.8
    _fitted: Any = PrivateAttr(default=None)
    _alike: Any = PrivateAttr(default=None)

    @field_validator("rungs")
    @classmethod
    def _known(cls, rungs: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in rungs if name not in RUNGS]:
            raise ValueError(f"there is no rung {unknown[0]!r}; there is: {', '.join(RUNGS)}")
        return rungs

    def in_project(self, reader: Reader) -> Confidence:
        """This scorer with the calibration that it names, as the project has it now; without one it stays as it is."""
        if self.calibration is None:
            return self
        from llmwatch.scorers import calibrations

        return self.with_calibration(calibrations.load(reader, self.calibration))

    def with_calibration(self, fitted: Calibration) -> Confidence:
        """This scorer with scores that mean what they say."""
        scorer: Confidence = self.model_copy()
        scorer._fitted = fitted
        return scorer

    def score_rows(self, rows: Sequence[Row]) -> list[ConfidenceResult | None]:
        return [self.score_row(row) for row in rows]

    def score_row(self, row: Row) -> ConfidenceResult | None:
        fitted = self._fitted
        if self.embedder is not None and self._alike is None:
            from llmwatch.drift import embedders

            self._alike = by_embedding(embedders.chosen(self.embedder).embed, self.alike_from)
        return confiding.score(
            row,
            rungs=self.rungs,
            alike=self._alike,
            calibrate=fitted.apply if fitted else None,
            calibration=fitted.label if fitted else "",
        )

    @weave.op
    def score(self, *, output: Any, **inputs: Any) -> Any:
        row = {"inputs": inputs, "output": output, "kind": "generation"}
        found = self.score_row(row)
        return found or {"score": None, "method": None, "calibrated": False, "reason": "no answer"}
