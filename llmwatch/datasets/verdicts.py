"""What a new answer is beside the recorded one: fixed, broke, changed or the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

Verdict = Literal["fixed", "broke", "changed", "same"]
VERDICTS: tuple[Verdict, ...] = ("broke", "fixed", "changed", "same")
_RIGHT = ("correct", "right", "passed", "pass", "ok", "match")


def verdict(
    before: Any, after: Any, was: bool | None, now: bool | None, *, raised: bool = False
) -> Verdict:
    """By whether each answer is right, where that is known of both, else by whether they are the same. `raised`: before.

    >>> verdict("Thursday", "Friday", False, True), verdict("Thursday", "Friday", None, None)
    ('fixed', 'changed')
    """
    if raised and now is None:
        return "fixed"  # it answers at last
    if was is not None and now is not None and was != now:
        return "fixed" if now else "broke"
    return "same" if (was and now) or is_same(before, after) else "changed"


def of_failure(before: Any, was: bool | None) -> Verdict:
    """Of a row that raised: what answered before is broken; what never did, or was wrong, is no worse."""
    if before is None:
        return "same"
    return "changed" if was is False else "broke"


def is_right(answer: Any, expected: Any, scores: Iterable[Any]) -> bool | None:
    """Whether an answer is right: as all scores that say so say, else by what is expected; None where nobody knows.

    >>> is_right("Friday", "Friday", []), is_right("Friday", "Friday", [True, False])
    (True, False)
    """
    said = [one for one in map(called_right, scores) if one is not None]
    if said:
        return all(said)
    return None if expected is None else is_same(answer, expected)


def is_same(one: Any, other: Any) -> bool:
    """Texts that differ in white space only are the same.

    >>> is_same({"a": "x  y"}, {"a": "x y"}), is_same(1, True)
    (True, False)
    """
    if isinstance(one, str) and isinstance(other, str):
        return one.split() == other.split()
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def called_right(score: Any) -> bool | None:
    """Whether a score calls an answer right: true or false, or a mapping with one of them; None when it says neither.

    >>> called_right(True), called_right({"passed": False, "why": "late"}), called_right(0.4)
    (True, False, None)
    """
    if isinstance(score, bool):
        return score
    if not isinstance(score, Mapping):
        return None
    named = [score[key] for key in _RIGHT if isinstance(score.get(key), bool)]
    told = named or [value for value in score.values() if isinstance(value, bool)]
    return told[0] if len(told) == 1 or named else None
