"""Today among earlier days: a change that comes every so often is no news.

Traffic wanders from day to day. However small the p-value of "today differs from the reference", it is
no drift when earlier windows, compared in the same way, differed as much.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmwatch.drift.finding import Finding, Lacking

METHOD = "rank among earlier windows"
FEWEST = 19  # so that the most unusual of all has p = .05


def rank(change: float, past: Sequence[float | None], fewest: int = FEWEST) -> Finding:
    """How unusual a change is among those of earlier windows: its p-value needs no assumption but that
    windows, when nothing drifts, are alike.

    `change` and `past` are the same measure, larger for a larger change: a statistic, or how far an
    effect is from no change. Windows of which it is unknown (None) do not count.

    >>> rank(3.0, [0.1 * n for n in range(20)]).p
    0.047619047619047616
    >>> rank(3.0, [0.5, 1.0]).insufficient
    'insufficient data: 17 more earlier windows'
    """
    known = [one for one in past if one is not None]
    if len(known) < fewest:
        return Finding(METHOD, len(known), 1, lacking=Lacking(windows=fewest - len(known)))
    as_large = sum(one >= change for one in known)
    return Finding(
        METHOD,
        len(known),
        1,
        statistic=float(as_large),
        p=(1 + as_large) / (1 + len(known)),
        effect=change,
        effect_name="change",
    )
