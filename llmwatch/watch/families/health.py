"""Data health of columns: what is missing, of the wrong type, out of range, never seen, or off the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llmwatch.watch import names, parts
from llmwatch.watch.families.measure import Facts, Plain, State, Usual, Values, share
from llmwatch.watch.reading import texts

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame
    from llmwatch.watch.sets import Check, Health

_TYPES = {
    "number": {"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DOUBLE"},
    "integer": {"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"},
    "text": {"VARCHAR"},
    "boolean": {"BOOLEAN"},
}
_FAR_OUT = 3.0
"""Without a baseline an outlier is so many quartile distances beyond the quartiles (Tukey's outer fence)."""


class HealthMeasure(Plain):
    """State: for each check its counts, moments, a sketch, and a tally of hashed categories."""

    def __init__(self, told: Health) -> None:
        self._told = told
        self.baseline = told.baseline

    def columns(self, columns: Columns) -> dict[str, str]:
        found = {}
        for check in self._told.checks:
            name = check.column
            found[f"number {name}"] = columns.number(name)
            found[f"text {name}"] = columns.text(name)
            found[f"kind {name}"] = columns.kind(name)
        return found

    def part(self, frame: Frame) -> State:
        return {check.column: _part(check, frame) for check in self._told.checks}

    def merge(self, states: Sequence[State]) -> State:
        return {c.column: _merged([s[c.column] for s in states]) for c in self._told.checks}

    def values(self, state: State, facts: Facts) -> Values:
        found: Values = {}
        for check in self._told.checks:
            values = _values(check, state[check.column], facts.usual)
            found.update({names.feature(check.column, n): v for n, v in values.items()})
        return found


def _part(check: Check, frame: Frame) -> dict[str, Any]:
    numbers: Any = np.ma.filled(np.ma.asarray(frame[f"number {check.column}"], dtype=float), np.nan)
    said = texts(frame[f"text {check.column}"])
    kinds = texts(frame[f"kind {check.column}"])
    there = np.array(
        [
            s is not None and k is not None and k != "NULL" and s != "NaN"
            for s, k in zip(said, kinds, strict=True)
        ],
        bool,
    )
    stands_for_nothing = there & _sentinels(check, numbers, said)
    real = there & ~stands_for_nothing
    values = parts.finite(numbers[real])
    return {
        "n": len(said),
        "there": int(there.sum()),
        "wrong": _wrong(check, kinds, there),
        "sentinel": int(stands_for_nothing.sum()),
        "range": _out_of_range(check, values),
        "m": parts.moments(values),
        "s": parts.sketch(values),
        "t": parts.tally(_categories(said, kinds, real)),
    }


def _sentinels(check: Check, numbers: Any, said: Sequence[str | None]) -> Any:
    figures = [float(one) for one in check.sentinels if not isinstance(one, str)]
    words = {one for one in check.sentinels if isinstance(one, str)}
    return np.isin(numbers, figures) | np.array([text in words for text in said], bool)


def _wrong(check: Check, kinds: Sequence[str | None], there: Any) -> int:
    if check.type is None:
        return 0
    fits = _TYPES[check.type]
    return sum(kind not in fits for kind, known in zip(kinds, there, strict=True) if known)


def _out_of_range(check: Check, values: Any) -> int:
    low, high = check.range or (None, None)
    below = 0 if low is None else int((values < low).sum())
    return below + (0 if high is None else int((values > high).sum()))


def _categories(
    said: Sequence[str | None], kinds: Sequence[str | None], real: Any
) -> Sequence[str]:
    """Texts and truth values, hashed: what people wrote is not kept."""
    known = {"VARCHAR", "BOOLEAN"}
    return [
        parts.hashed(text)
        for text, kind, there in zip(said, kinds, real, strict=True)
        if there and text is not None and kind in known
    ]


def _merged(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counts = {
        name: sum(state[name] for state in states)
        for name in ("n", "there", "wrong", "sentinel", "range")
    }
    return {
        **counts,
        "m": parts.merge_moments(state["m"] for state in states),
        "s": parts.merge_sketches(state["s"] for state in states),
        "t": parts.merge_tallies(state["t"] for state in states),
    }


def _values(check: Check, state: Mapping[str, Any], usual: Usual | None) -> Values:
    there, moments = state["there"], state["m"]
    before = _usual(check.column, usual)
    average, numbers = parts.mean(moments), moments[0]
    rest = numbers or there - state["sentinel"]
    null = share(state["n"] - there, state["n"])
    return {
        "null_rate": null,
        "type_violation_rate": None if check.type is None else share(state["wrong"], there),
        "sentinel_rate": share(state["sentinel"], there),
        "out_of_range_rate": None if check.range is None else share(state["range"], numbers),
        "outlier_rate": _outliers(check, state["s"], numbers, before),
        "unseen_rate": _unseen(check, state["t"], rest, usual),
        "mean": average,
        "std": parts.std(moments),
        "mean_shift": _off(average, before.get("mean"), abs(before.get("mean", 0))),
        "effect_size": _off(average, before.get("mean"), before.get("std", 0)),
    }


def _usual(column: str, usual: Usual | None) -> Mapping[str, float]:
    if usual is None:
        return {}
    if column in usual.features:
        return usual.features[column]
    moments = usual.state[column]["m"] if usual.state is not None else [0]
    mean, std = parts.mean(moments), parts.std(moments)
    return {} if mean is None or std is None else {"mean": mean, "std": std}


def _off(now: float | None, before: float | None, unit: float) -> float | None:
    return None if now is None or before is None or not unit else (now - before) / unit


def _outliers(
    check: Check, sketch: parts.Sketch, n: int, before: Mapping[str, float]
) -> float | None:
    if "mean" in before and "std" in before:
        mean, reach = before["mean"], check.outlier_z * before["std"]
        return share(parts.outside(sketch, mean - reach, mean + reach), n)
    low, high = parts.quantile(sketch, 0.25), parts.quantile(sketch, 0.75)
    if low is None or high is None or high <= low:
        return None
    reach = _FAR_OUT * (high - low)
    return share(parts.outside(sketch, low - reach, high + reach), n)


def _unseen(check: Check, tally: Mapping[str, int], n: int, usual: Usual | None) -> float | None:
    """What is rare beyond the tally's size counts as unseen only when it has a hash of its own there."""
    del n
    if check.categories is not None:
        known = {parts.hashed(one) for one in check.categories}
    elif usual is not None and usual.state is not None and usual.state[check.column]["t"]:
        known = set(usual.state[check.column]["t"])
    else:
        return None
    new = sum(count for key, count in tally.items() if key not in known and key != parts.OTHER)
    return share(new, sum(tally.values()))
