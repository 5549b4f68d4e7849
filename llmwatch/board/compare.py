"""What changed: the rows that are looked at against the time before them, or against all others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmwatch.board.choice import Choice, choose
from llmwatch.board.source import Source
from llmwatch.errors import InvalidBoard

VERSUS = ("before", "others")
_PLACES = re.compile(r""""(?:[^"]|"")*"|'(?:[^']|'')*'|\?""")


def changed(source: Source, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The likeliest causes first, as JSON; `versus` says against what."""
    from llmwatch import slices

    versus = asked.get("versus") or "before"
    if versus not in VERSUS:
        raise InvalidBoard(f"versus is one of {', '.join(VERSUS)}, not {versus!r}")
    choice = choose(source, asked)
    before, after = (_before if versus == "before" else _others)(source, choice)
    found = slices.changed(
        source.reader, source.table, before=before, after=after, every_call=not asked.get("roots")
    )
    return found.to_json()


def _before(source: Source, choice: Choice) -> tuple[dict[str, Any], dict[str, Any]]:
    """The chosen time and as long before it; where nothing was recorded then, its later half and its earlier."""
    where, (first, last) = written(choice), _extent(source)
    start, end = max(choice.start or first, first), choice.end or last + 1
    if start - first < (end - start) // 10:
        end = min(end, last + 1)
        middle = start + (end - start) // 2
        return _side(where, start, middle), _side(where, middle, end)
    return _side(where, max(first, start - (end - start)), start), _side(where, start, end)


def _others(source: Source, choice: Choice) -> tuple[dict[str, Any], dict[str, Any]]:
    where, (first, last) = written(choice), _extent(source)
    if where is None:
        raise InvalidBoard(
            "all rows are looked at, so there are no others: add a filter, or compare with before"
        )
    start, end = choice.start or first, choice.end or last + 1
    rest = f"NOT coalesce(({where}), false)"
    return _side(rest, start, end), _side(where, start, end)


def _extent(source: Source) -> tuple[int, int]:
    extent = source.extent()
    if extent is None:
        raise InvalidBoard("nothing is recorded yet")
    return extent


def _side(where: str | None, start: int, end: int) -> dict[str, Any]:
    return {"where": where, "since": start, "until": end}


def written(choice: Choice) -> str | None:
    """The conditions of a choice as one text of SQL, its values in it; None when there is none."""
    if choice.search:
        raise InvalidBoard("rows that are searched for cannot be compared: use a filter instead")
    values = iter(choice.params)

    def placed(found: re.Match[str]) -> str:
        return _literal(next(values)) if found[0] == "?" else found[0]

    text = " AND ".join(_PLACES.sub(placed, condition) for condition in choice.conditions)
    return text.replace("FROM said.", "FROM ") or None


def _literal(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "NULL"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"
