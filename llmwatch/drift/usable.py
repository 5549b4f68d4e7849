"""What of a column the tests can use; the rest is left out and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.drift.blocks import Floats, Groups


def finite(values: Sequence[Any] | npt.NDArray[Any], groups: Groups) -> tuple[Floats, Groups]:
    """The finite numbers among the values, and the groups that go with them."""
    numbers = _numbers(values)
    kept = np.isfinite(numbers)
    return numbers[kept], keep(groups, kept)


def keep(groups: Groups, kept: npt.NDArray[np.bool_]) -> Groups:
    """The groups of the rows that are kept."""
    if groups is None:
        return None
    if len(groups) != len(kept):
        raise ValueError(f"{len(groups)} groups were given for {len(kept)} rows")
    if isinstance(groups, np.ndarray):
        return np.asarray(groups[kept])
    return [group for group, used in zip(groups, kept.tolist(), strict=True) if used]


def _numbers(values: Sequence[Any] | npt.NDArray[Any]) -> Floats:
    if isinstance(values, np.ndarray) and values.dtype.kind in "bfiu":
        return values.astype(np.float64).reshape(-1)
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, str):  # a text is no number, even when it looks like one
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def vectors(values: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The usable vectors as one matrix, and which they were.

    Vectors are usable when they are finite and of the size that most of them have.
    """
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind == "f":
        matrix = values.astype(np.float32, copy=False)
        kept: npt.NDArray[np.bool_] = np.asarray(np.isfinite(matrix).all(axis=1))
        return (matrix if kept.all() else matrix[kept]), kept
    listed = [_vector(value) for value in values]
    size = _usual_size(listed)
    kept = np.array([vector is not None and len(vector) == size for vector in listed], dtype=bool)
    used = [vector for vector, good in zip(listed, kept.tolist(), strict=True) if good]
    return np.array(used, dtype=np.float32).reshape(len(used), size), kept


def _usual_size(listed: Sequence[npt.NDArray[np.float32] | None]) -> int:
    sizes = Counter(len(vector) for vector in listed if vector is not None)
    return sizes.most_common(1)[0][0] if sizes else 0


def _vector(value: Any) -> npt.NDArray[np.float32] | None:
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        vector = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    return vector if vector.ndim == 1 and len(vector) and np.isfinite(vector).all() else None
