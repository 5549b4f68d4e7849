"""TokenCost: the tokens of a row and what they cost, as a `weave.Scorer`."""

from __future__ import annotations

import weave


class TokenCost(weave.Scorer):
    """What a row used and cost. Unknown is None, never 0."""

    name: str | None = "token_cost"
