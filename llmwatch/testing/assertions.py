"""Assertions about the rows of a table, with differences a person can read."""

from __future__ import annotations

import difflib
import pprint
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmwatch.stream.table import StreamTable


def assert_rows(
    table: StreamTable | Iterable[Mapping[str, Any]],
    expected: Iterable[Mapping[str, Any]],
    *,
    ordered: bool = True,
    exactly: bool = False,
) -> None:
    """Assert that a table, or a choice of its rows, holds the expected rows and no others.

    A row need only hold the keys that are expected of it, unless `exactly`. `ordered=False` takes the
    rows in any order.

    >>> assert_rows([{"q": "hi", "tokens": 3}], [{"q": "hi"}])
    """
    wanted = [dict(row) for row in expected]
    found = [dict(row) for row in _rows_of(table)]
    if ordered:
        found = [_narrowed(row, like, exactly) for row, like in _side_by_side(found, wanted)]
    else:
        found = _matched(found, wanted, exactly)
    if found != wanted:
        raise AssertionError(_difference(wanted, found))


def _rows_of(table: Any) -> Iterable[Mapping[str, Any]]:
    rows = getattr(table, "rows", None)
    found: Iterable[Mapping[str, Any]] = rows() if callable(rows) else table
    return found


def _side_by_side(
    found: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    return [(row, wanted[i] if i < len(wanted) else None) for i, row in enumerate(found)]


def _narrowed(row: dict[str, Any], like: dict[str, Any] | None, exactly: bool) -> dict[str, Any]:
    if exactly or like is None:
        return row
    return {key: value for key, value in row.items() if key in like}


def _matched(
    found: list[dict[str, Any]], wanted: list[dict[str, Any]], exactly: bool
) -> list[dict[str, Any]]:
    """The found rows in the order of the wanted ones they fit; those that fit none come last."""
    left, fitting = list(found), []
    for like in wanted:
        for row in left:
            if _narrowed(row, like, exactly) == like:
                fitting.append(like)
                left.remove(row)
                break
    return fitting + left


def _difference(wanted: list[dict[str, Any]], found: list[dict[str, Any]]) -> str:
    lines = difflib.ndiff(_lines(wanted), _lines(found))
    return "\n".join(
        [f"expected {len(wanted)} rows, found {len(found)} (- expected, + found):", *lines]
    )


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    return [line for row in rows for line in pprint.pformat(row, width=100).splitlines()]
