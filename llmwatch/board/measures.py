"""What a panel may measure, and the SQL for it: `count`, `p95(latency_ms)`, `share(status = 'error')`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from llmwatch.stream.columns import quoted

_WRITTEN = re.compile(r"\s*([a-z]+)(\d{1,2}(?:\.\d+)?)?\s*(?:\((.*)\))?\s*", re.DOTALL)
_PLAIN = {
    "sum": "sum({0})",
    "avg": "avg({0})",
    "min": "min({0})",
    "max": "max({0})",
    "std": "stddev_samp({0})",
    "median": "quantile_cont({0}, 0.5)",
    "distinct": "count(DISTINCT {0})",
    "known": "count({0})",
}
_OF_CONDITION = {
    "count": "count(*) FILTER ({0})",
    "share": "count(*) FILTER ({0}) / nullif(count(*), 0)",
}
NAMES = (
    "count",
    "count(condition)",
    "share(condition)",
    *(f"{name}(column)" for name in _PLAIN),
    "p50…p99(column)",
)
ADDITIVE = frozenset({"count", "sum"})
"""Measures whose groups add up to the whole, so that they may be stacked."""


@dataclass(frozen=True)
class Measure:
    """A parsed measure: its function, the percentile if it is one, and its column or condition."""

    function: str
    percentile: float | None = None
    of: str | None = None

    @property
    def condition(self) -> str | None:
        return self.of if self.function in _OF_CONDITION else None

    @property
    def column(self) -> str | None:
        return None if self.function in _OF_CONDITION else self.of

    @property
    def additive(self) -> bool:
        return self.function in ADDITIVE

    def sql(self, column: Callable[[str], str] = quoted) -> str:
        """An SQL aggregate; `column` gives the SQL of a column a person named."""
        if self.of is None:
            return "count(*)"
        if self.function in _OF_CONDITION:
            return _OF_CONDITION[self.function].format(f"WHERE ({self.of})")
        if self.percentile is not None:
            return f"quantile_cont({column(self.of)}, {self.percentile / 100})"
        return _PLAIN[self.function].format(column(self.of))


def parse(text: str) -> Measure:
    """A measure from its text.

    >>> parse("p95(latency_ms)").sql()
    'quantile_cont("latency_ms", 0.95)'
    """
    if said := wrong(text):
        raise ValueError(said)
    function, percentile, of = _parts(text)
    return Measure(function, float(percentile) if percentile else None, of.strip() if of else None)


def wrong(text: object) -> str | None:
    """What is wrong with a measure's text; None when it is one."""
    if not isinstance(text, str) or _WRITTEN.fullmatch(text) is None:
        return f"{text!r} is not a measure; one is {', '.join(NAMES)}"
    function, percentile, of = _parts(text)
    if percentile is not None and function == "p":
        return None if of else f"{text!r} needs a column: p{percentile}(column)"
    if function == "count" and of is None:
        return None
    if percentile is None and function in {*_PLAIN, *_OF_CONDITION}:
        return None if of and of.strip() else f"{text!r} needs something in the brackets"
    return f"{text!r} is not a measure; one is {', '.join(NAMES)}"


def _parts(text: str) -> tuple[str, str | None, str | None]:
    found = _WRITTEN.fullmatch(text)
    assert found is not None
    return found[1], found[2], found[3]
