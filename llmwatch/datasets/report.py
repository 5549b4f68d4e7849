"""What came of calling a function on a dataset: each row before and after, and how many of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch.datasets.verdicts import VERDICTS, Verdict

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class RerunRow:
    """A row of the dataset, before and after. What is not known is None."""

    row: str | None
    """The id of the row that it comes from."""
    inputs: Mapping[str, Any]
    before: Any
    expected: Any
    before_error: str | None = None
    after: Any = None
    error: str | None = None
    verdict: Verdict = "same"
    id: str | None = None
    """The id of the new call, a row of the table `reruns`."""
    before_ms: float | None = None
    after_ms: float | None = None
    before_usd: float | None = None
    after_usd: float | None = None
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By scorer, what it says of the answer `before` and `after`."""


@dataclass
class Rerun:
    """A run over a dataset. `print(run)` shows it; in a shell, `run.write(Console())` in colour."""

    run: str
    project: str
    dataset: str
    version: str
    against: str
    rows: list[RerunRow] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many rows there are of each verdict."""
        found = Counter(row.verdict for row in self.rows)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def raised(self) -> int:
        return sum(row.error is not None for row in self.rows)

    def total(self, what: str) -> tuple[float | None, int]:
        """The sum of `before_ms`, `after_usd`, ... over the rows of which both sides are known, and how many these are."""
        kind = what.rpartition("_")[2]
        both = [
            row
            for row in self.rows
            if getattr(row, f"before_{kind}") is not None
            and getattr(row, f"after_{kind}") is not None
        ]
        return (sum(getattr(row, what) for row in both) if both else None), len(both)

    def to_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("run", "project", "dataset", "version")}
        return {
            **told,
            "against": self.against,
            "seconds": round(self.seconds, 3),
            "counts": self.counts,
            "raised": self.raised,
            "rows": [asdict(row) for row in self.rows],
        }

    def write(self, console: Console, *, every_row: bool = False) -> None:
        """Print it; nothing in it is read as markup."""
        from llmwatch.datasets.show import write

        write(self, console, every_row=every_row)

    def __str__(self) -> str:
        from llmwatch.datasets.show import as_text

        return as_text(self)
