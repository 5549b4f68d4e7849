"""What one drift test found: a p-value, how big the change is, and on how much data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MINIMUM_ROWS = 200
MINIMUM_BLOCKS = 30


@dataclass(frozen=True)
class Lacking:
    """How much is missing on each side before the test may say anything; 0 where there is enough."""

    reference_rows: int = 0
    window_rows: int = 0
    reference_blocks: int = 0
    window_blocks: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def __str__(self) -> str:
        """`150 more rows and 12 more sessions in the window`."""
        sides = [
            f"{_more(rows, blocks)} in the {side}"
            for side, rows, blocks in (
                ("reference", self.reference_rows, self.reference_blocks),
                ("window", self.window_rows, self.window_blocks),
            )
            if rows or blocks
        ]
        return "; ".join(sides)


def _more(rows: int, blocks: int) -> str:
    said = [
        f"{count:,} more {name}" for count, name in ((rows, "rows"), (blocks, "sessions")) if count
    ]
    return " and ".join(said)


@dataclass(frozen=True)
class Finding:
    """The result of one test of a reference against a window.

    `p` and `statistic` are None where there is too little data (then `lacking` says how much is
    missing) and for measures that are no tests; an unknown effect is None, never 0.
    """

    method: str
    n_reference: int
    n_window: int
    statistic: float | None = None
    p: float | None = None
    effect: float | None = None
    effect_name: str | None = None
    blocks_reference: int | None = None
    """Sessions, users or time blocks that were taken as independent; equals the rows when no groups were given."""
    blocks_window: int | None = None
    left_out: int = 0
    """Values that no test can use (None, NaN, infinite, vectors of another size), both sides together."""
    lacking: Lacking = Lacking()
    effects: Mapping[str, float | None] = field(default_factory=dict)
    """Every effect measured, by name; the gates look here."""
    parts: tuple[Finding, ...] = ()
    """The tests that this finding combines, and those reported beside it because people know them."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What a report needs beside numbers: bin edges, levels that moved, levels that are new."""

    @property
    def insufficient(self) -> str | None:
        """`insufficient data: 150 more rows in the window`, or None when there is enough."""
        return f"insufficient data: {self.lacking}" if self.lacking else None

    def part(self, method: str) -> Finding | None:
        """The part with that method."""
        return next((part for part in self.parts if part.method == method), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a row or JSON."""
        return {**asdict(self), "insufficient": self.insufficient}


def insufficient(
    method: str, n_reference: int, n_window: int, lacking: Lacking, **said: Any
) -> Finding:
    """A finding that says how much data is missing."""
    return Finding(method, n_reference, n_window, lacking=lacking, **said)


def lacking(
    rows: tuple[int, int],
    blocks: tuple[int, int],
    minimum_rows: int = MINIMUM_ROWS,
    minimum_blocks: int = MINIMUM_BLOCKS,
) -> Lacking:
    """What is missing of (reference, window) rows and blocks; of blocks nothing where each row is one."""
    more_blocks = [
        0 if count == of_rows else max(0, minimum_blocks - count)
        for count, of_rows in zip(blocks, rows, strict=True)
    ]
    return Lacking(*(max(0, minimum_rows - count) for count in rows), *more_blocks)
