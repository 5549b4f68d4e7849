"""What `find` answers: slices that are worse than the rest, the surest first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Exemplar:
    """One row of a slice, of the worst."""

    row_id: str
    value: float
    text: str | None = None
    """Its prompt, or the beginning of it."""


@dataclass(frozen=True)
class Slice:
    """Rows that one or two columns tell apart, and by how much they are worse than all others."""

    metric: str
    worse: str
    """Which end of the metric is bad: `high` or `low`."""
    conditions: tuple[str, ...]
    rows: int
    share: float
    """Of the rows that have a value of the metric."""
    value: float
    rest: float
    """Means; of what is 0 or 1 they are shares."""
    medians: tuple[float, float]
    p95: tuple[float, float]
    effect: float
    """Standard deviations that it is worse; of ranks, where the metric is not 0 or 1."""
    impact: float | None
    """By which part the mean of all rows would be better, were these rows like the rest."""
    z: float
    p: float
    """Adjusted for all slices and metrics that were tested."""
    unit: str = ""
    where: str | None = None
    """The slice as SQL, for a filter; None where no SQL says it."""
    also: tuple[str, ...] = ()
    """Other conditions that say nearly the same rows."""
    exemplars: tuple[Exemplar, ...] = ()

    @property
    def name(self) -> str:
        """`model = small and prompt_tokens > 812`."""
        return " and ".join(self.conditions)


@dataclass(frozen=True)
class Slices:
    """The answer; `print(slices)` shows it, a notebook too, and `to_json` has all of it."""

    project: str
    table: str
    metrics: tuple[str, ...]
    rows: int
    slices: tuple[Slice, ...]
    tested: int
    """Slices of which it was asked whether they are worse, over all metrics."""
    columns: tuple[str, ...]
    by: str = "rows"
    alpha: float = 0.05
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Any:
        return iter(self.slices)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        said = asdict(self)
        for made, one in zip(said["slices"], self.slices, strict=True):
            made["name"] = one.name
        return said

    def __str__(self) -> str:
        from llmwatch.slices.show.terminal import slices_text

        return slices_text(self)

    def _repr_html_(self) -> str:
        from llmwatch.slices.show.page import slices_fragment

        return slices_fragment(self)
