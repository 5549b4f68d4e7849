"""TokenCost: the tokens of a row and what they cost, as a `weave.Scorer`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import weave
from pydantic import PrivateAttr

from llmwatch.scorers import costing
from llmwatch.scorers.costing import CostResult
from llmwatch.scorers.prices import Prices
from llmwatch.scorers.protocol import Row

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader


class TokenCost(weave.Scorer):
    """What a call used and cost, in USD at the prices of its time. Unknown is None, never 0.

    On rows it says what each call of a model cost by itself; in `weave.Evaluation` what a prediction cost with all
    the calls under it. Prices: the project's own, those under `[prices]` in `llmwatch.toml`, the built-in table.
    """

    name: str | None = "token_cost"
    _prices: Any = PrivateAttr(default=None)

    def in_project(self, reader: Reader) -> TokenCost:
        """This scorer with the prices of the project that a reader reads, as they are now."""
        scorer = self.model_copy()
        scorer._prices = Prices.of_project(reader)
        return scorer  # type: ignore[no-any-return]

    def score_rows(self, rows: Sequence[Row]) -> list[CostResult | None]:
        prices = self._prices or Prices()
        return [costing.score(row, prices) for row in rows]

    def score_row(self, row: Row) -> CostResult | None:
        return self.score_rows([row])[0]

    @weave.op
    def score(self, *, output: Any, **inputs: Any) -> Any:
        now = datetime.now(timezone.utc)
        found = costing.of_summary(_summary_of_prediction(), self._prices or Prices(), now)
        if found is None:
            row = {"inputs": inputs, "output": output, "kind": "generation", "started_at": now}
            found = self.score_row(row)
        # a mapping in any case: Weave's summary of an evaluation takes no None among them
        return found or {"cost_usd": None, "prompt_tokens": None, "completion_tokens": None}


def _summary_of_prediction() -> Any:
    """The usage of the prediction that an evaluation is scoring: its first child, finished by now.

    The stack of a scorer is ..., predict_and_score, score; a scorer that is called by itself has no such parent.
    """
    from weave.trace.context.call_context import get_call_stack

    stack = get_call_stack()
    above = stack[-2] if len(stack) > 1 else None
    if above is None or "predict_and_score" not in str(getattr(above, "op_name", "")):
        return None
    children = getattr(above, "_children", None) or []
    return getattr(children[0], "summary", None) if children else None
