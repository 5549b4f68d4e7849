"""Which rows of a table: those of a time range, those that fit a condition, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Union

from llmwatch.drift.windows import moment, until_us
from llmwatch.errors import SettingsError

Given = Union["Selection", str, Mapping[str, Any], Sequence[Any], None]
_KEYS = ("where", "since", "until")


@dataclass(frozen=True)
class Selection:
    """Rows from `start_us` up to, and without, `end_us` (microseconds UTC) that fit `where`; unlimited where None."""

    where: str | None = None
    start_us: int | None = None
    end_us: int | None = None
    others: bool = False
    """Whether it is all the rows that this does not say."""

    def sql(self) -> str:
        """One condition over `keyed.<table> AS r`, true or false for each row."""
        said = f"coalesce({self._said()}, false)"
        return f"NOT {said}" if self.others else said

    def _said(self) -> str:
        parts = [f"({self.where})"] if self.where else []
        at = 'r."llmwatch ts"'
        if self.start_us is not None:
            parts.append(f"{at} >= make_timestamptz({int(self.start_us)}::BIGINT)")
        if self.end_us is not None:
            parts.append(f"{at} < make_timestamptz({int(self.end_us)}::BIGINT)")
        return " AND ".join(parts) or "true"

    def __str__(self) -> str:
        """`model = 'small', from 2026-01-05 09:00 to 2026-01-05 10:00 UTC`."""
        if self.others:
            return "all other rows"
        parts = [self.where] if self.where else []
        if self.start_us is not None or self.end_us is not None:
            ends = [("from", self.start_us), ("to", self.end_us)]
            said = [f"{word} {moment(us):%Y-%m-%d %H:%M:%S}" for word, us in ends if us is not None]
            parts.append(" ".join(said) + " UTC")
        return ", ".join(parts) or "all rows"


def selected(given: Given) -> Selection:
    """A selection as people write it: SQL, `(since, until)`, or a mapping of `where`, `since` and `until`.

    Times are datetimes, ISO text, or microseconds since 1970.

    >>> str(selected("version = 'v2'")), selected((1_000_000, None)).start_us
    ("version = 'v2'", 1000000)
    """
    if given is None:
        return Selection()
    if isinstance(given, Selection):
        return given
    if isinstance(given, str):
        return Selection(where=given.strip() or None)
    if isinstance(given, Mapping):
        return _of_mapping(given)
    if isinstance(given, Sequence) and len(given) == 2:
        return _checked(Selection(None, _us(given[0]), _us(given[1])))
    raise SettingsError(
        f"{given!r} selects no rows: give SQL such as \"version = 'v2'\", two times, or a mapping of "
        f"{', '.join(_KEYS)}"
    )


def _of_mapping(given: Mapping[str, Any]) -> Selection:
    if unknown := [key for key in given if key not in _KEYS]:
        raise SettingsError(
            f"a selection has {', '.join(_KEYS)}; not {', '.join(map(repr, unknown))}"
        )
    where = given.get("where")
    if where is not None and not isinstance(where, str):
        raise SettingsError(f"where is SQL as text, not {where!r}")
    return _checked(
        Selection((where or "").strip() or None, _us(given.get("since")), _us(given.get("until")))
    )


def _us(given: datetime | str | float | None) -> int | None:
    """A time in microseconds; unlike elsewhere a number is microseconds too, as rows have them."""
    if given is None:
        return None
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return int(given)
    if isinstance(given, (str, datetime)):
        return until_us(given, 0)
    raise SettingsError(f"{given!r} is not a time: write 2026-01-31T09:30")


def _checked(selection: Selection) -> Selection:
    start, end = selection.start_us, selection.end_us
    if start is not None and end is not None and start >= end:
        raise SettingsError(f"{selection} is empty: it ends before it begins")
    return selection


def apart(before: Given, after: Given) -> tuple[Selection, Selection]:
    """Both selections; when one is not given it is every row that the other is not about."""
    first, second = selected(before), selected(after)
    if before is None and after is None:
        raise SettingsError("say which rows to compare: before, after, or both")
    if before is None:
        return replace(second, others=True), second
    if after is None:
        return first, replace(first, others=True)
    return first, second
