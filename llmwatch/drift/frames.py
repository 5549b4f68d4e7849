"""The rows of one side of a comparison, column by column, with what they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Column:
    """Values of one signal: numbers with NaN where unknown, or levels with None."""

    values: Any
    kind: str
    unit: str = ""

    @property
    def known(self) -> int:
        """How many rows have a value."""
        if self.kind == "number":
            return int(np.isfinite(self.values).sum())
        return sum(value is not None for value in self.values)

    def take(self, rows: Any) -> Column:
        if isinstance(self.values, np.ndarray):
            return replace(self, values=self.values[rows])
        return replace(self, values=[self.values[n] for n in rows])


@dataclass(frozen=True)
class Frame:
    """Rows of one side. What was not read is None; `columns` are by signal and unit."""

    rows: int
    times: Any = None
    sessions: Sequence[Any] | None = None
    users: Sequence[Any] | None = None
    slices: Sequence[Any] | None = None
    columns: Mapping[tuple[str, str], Column] = field(default_factory=dict)
    ids: Sequence[str] | None = None
    texts: Sequence[str | None] | None = None
    vectors: Any = None

    def take(self, rows: Any) -> Frame:
        """Only these rows, by number."""
        rows = np.asarray(rows, dtype=np.int64)
        return Frame(
            len(rows),
            None if self.times is None else np.asarray(self.times)[rows],
            _picked(self.sessions, rows),
            _picked(self.users, rows),
            _picked(self.slices, rows),
            {key: column.take(rows) for key, column in self.columns.items()},
            _picked(self.ids, rows),
            _picked(self.texts, rows),
            None if self.vectors is None else self.vectors[rows],
        )


def _picked(values: Sequence[Any] | None, rows: Any) -> list[Any] | None:
    return None if values is None else [values[n] for n in rows]


def together(frames: Sequence[Frame]) -> Frame:
    """The rows of several frames as one. A session that goes on in the next frame is one session."""
    if len(frames) == 1:
        return frames[0]
    keys = [key for key in frames[0].columns if all(key in frame.columns for frame in frames)]
    return Frame(
        sum(frame.rows for frame in frames),
        _joined([frame.times for frame in frames]),
        _chained([frame.sessions for frame in frames]),
        _chained([frame.users for frame in frames]),
        _chained([frame.slices for frame in frames]),
        {key: _columns([frame.columns[key] for frame in frames]) for key in keys},
        _chained([frame.ids for frame in frames]),
        _chained([frame.texts for frame in frames]),
        _joined([frame.vectors for frame in frames if frame.rows]),
    )


def _columns(parts: Sequence[Column]) -> Column:
    """An `either` column that is numbers on one side and levels on the other is levels."""
    if all(part.kind == "number" for part in parts):
        return replace(parts[0], values=np.concatenate([part.values for part in parts]))
    levels = [level for part in parts for level in as_levels(part)]
    return replace(parts[0], values=levels, kind="category")


def as_levels(column: Column) -> list[Any]:
    if column.kind != "number":
        return list(column.values)
    return [None if np.isnan(value) else f"{value:g}" for value in column.values.tolist()]


def _joined(parts: Sequence[Any]) -> Any:
    return None if not parts or any(part is None for part in parts) else np.concatenate(parts)


def _chained(parts: Sequence[Sequence[Any] | None]) -> list[Any] | None:
    if any(part is None for part in parts):
        return None
    return [value for part in parts for value in (part or ())]


def numbers_or_levels(values: Sequence[Any], unit: str = "") -> Column:
    """Texts that all are numbers, as numbers; otherwise as levels."""
    known = [value for value in values if value is not None]
    numbers = [as_number(value) for value in known]
    if known and None not in numbers:
        found = iter(numbers)
        made = [np.nan if value is None else next(found) for value in values]
        return Column(np.array(made, dtype=float), "number", unit)
    return Column([None if value is None else str(value) for value in values], "category", unit)


def as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
