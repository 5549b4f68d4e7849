"""Which rows a question is about: a time range, chips, a person's condition, a text to look for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmwatch import clock
from llmwatch.board.source import Seen, Source
from llmwatch.board.spec import COMPARISONS, Filter
from llmwatch.errors import InvalidBoard
from llmwatch.stream.columns import quoted

_SPANS = {"m": 60, "h": 3600, "d": 86400}
_AGO = re.compile(r"(\d{1,4})([mhd])")
_BETWEEN = re.compile(r"(\d{1,17})-(\d{1,17})")
_SAID = re.compile(r"(feedback|score|label)\.(.+)", re.DOTALL)
_EVENT_VIEWS = re.compile(r"\b(?:events|feedback|scores|labels)\b", re.IGNORECASE)
_AUTO = ("1h", "24h", "7d", "30d")
SEARCHED = ("inputs", "output", "exception", "attributes", "data")
"""The columns of ours that a text search looks into; of a logged dict, the whole of it."""


@dataclass(frozen=True)
class Choice:
    """A choice of rows of a source, as SQL conditions over `keyed.<t>` with their parameters."""

    start: int | None = None
    end: int | None = None
    conditions: tuple[str, ...] = ()
    params: tuple[Any, ...] = ()
    search: str = ""
    says: bool = False
    named: str = ""
    """The range as it was asked for, where it moves with time: 24h, all."""
    common: int | None = None
    """How many of the conditions are the page's; those after are one panel's."""
    found: str = ""
    """The condition for what a search has found by now; without it, who asks waits for the whole search."""

    def where(self, *, searched: bool = True) -> tuple[str, list[Any]]:
        """The whole condition and its parameters."""
        parts, params = list(self.conditions), list(self.params)
        for bound, comparison in ((self.start, ">="), (self.end, "<")):
            if bound is not None:
                parts.append(f'"llmwatch ts" {comparison} make_timestamptz({int(bound)})')
        if self.search and searched:
            anyhow = (
                self.search.islower()
            )  # as typed; capitals, or no letters at all, mean what they are
            holds = " ILIKE ? ESCAPE '\\'" if anyhow else " LIKE ? ESCAPE '\\'"
            parts.append(
                f"({' OR '.join(quoted('llmwatch ' + name) + holds for name in SEARCHED)})"
            )
            params += [_like(self.search)] * len(SEARCHED)
        return " AND ".join(parts) or "true", params

    def between(self, start: int | None, end: int | None) -> Choice:
        return replace(self, start=start, end=end)

    def also(self, source: Source, condition: str | None) -> Choice:
        """With a condition more that a person wrote."""
        if not condition or not condition.strip():
            return self
        source.reader.check_conditions(source.table, [condition])
        says = self.says or _EVENT_VIEWS.search(condition) is not None
        return replace(self, conditions=(*self.conditions, f"({condition})"), says=says)


def choose(source: Source, asked: Mapping[str, Any]) -> Choice:
    """The rows that the page (or a spec) asks for."""
    start, end = resolve(source, asked.get("range") or "auto")
    named = "" if _BETWEEN.fullmatch(asked.get("range") or "") else asked.get("range") or "auto"
    choice = Choice(start, end, search=str(asked.get("search") or "").strip(), named=named)
    for chip in asked.get("filters") or ():
        choice = _with_filter(source, choice, _filter(chip))
    choice = choice.also(source, asked.get("where"))
    return replace(choice, common=len(choice.conditions))


def resolve(source: Source, asked: str) -> tuple[int | None, int | None]:
    """A range as two times in microseconds; `auto` is the shortest that shows what was recorded last."""
    if found := _BETWEEN.fullmatch(asked):
        return int(found[1]), int(found[2])
    if asked == "auto":
        asked = _fitting(source)
    if asked == "all":
        extent = source.extent()
        return (None, None) if extent is None else (extent[0], extent[1] + 1)
    if found := _AGO.fullmatch(asked):
        now = clock.now_us()
        return now - int(found[1]) * _SPANS[found[2]] * 1_000_000, None
    raise InvalidBoard(
        f"{asked!r} is no range; write 15m, 6h, 7d, all, or two times in microseconds as from-to"
    )


def _fitting(source: Source) -> str:
    extent = source.extent()
    if extent is None:
        return "24h"
    now = clock.now_us()
    for span in _AUTO:
        start = now - int(span[:-1]) * _SPANS[span[-1]] * 1_000_000
        if extent[0] >= start or (extent[1] >= start and span == "24h"):
            return span
    return "all"


def _filter(chip: Any) -> Filter:
    if not isinstance(chip, Mapping) or not isinstance(chip.get("column"), str):
        raise InvalidBoard("a filter is an object with column, op and value")
    op = chip.get("op", "=")
    if op not in COMPARISONS:
        raise InvalidBoard(
            f"a filter on {chip['column']!r} compares by one of {', '.join(COMPARISONS)}, not {op!r}"
        )
    return Filter(chip["column"], op, chip.get("value"))


def _with_filter(source: Source, choice: Choice, chip: Filter) -> Choice:
    if (said := _SAID.fullmatch(chip.column)) and chip.column not in source.columns():
        return _said(choice, chip, said[1], said[2])
    seen = source.column(chip.column)
    condition, params = _compared(quoted(seen.sql), chip, seen)
    return replace(
        choice, conditions=(*choice.conditions, condition), params=(*choice.params, *params)
    )


def _said(choice: Choice, chip: Filter, kind: str, name: str) -> Choice:
    """By what was said about a row: `feedback.reaction`, `score.toxicity`, `label.resolved`."""
    view = {"feedback": "feedback", "score": "scores", "label": "labels"}[kind]
    number = isinstance(chip.value, (int, float)) and not isinstance(chip.value, bool)
    condition, params = _compared("number" if number else "(value->>'$')", chip, None)
    outside = "NOT IN" if chip.op == "null" else "IN"
    inner = "name = ?" if chip.op in ("null", "not null") else f"name = ? AND {condition}"
    sql = f'"llmwatch id" {outside} (SELECT row_id FROM said.{view} WHERE {inner} AND row_id IS NOT NULL)'
    return replace(
        choice,
        conditions=(*choice.conditions, sql),
        params=(*choice.params, name, *([] if chip.op in ("null", "not null") else params)),
        says=True,
    )


def _compared(column: str, chip: Filter, seen: Seen | None) -> tuple[str, list[Any]]:
    if chip.op in ("null", "not null"):
        return f"{column} IS {'NOT ' if chip.op == 'not null' else ''}NULL", []
    if chip.op == "contains":
        return f"{column}::VARCHAR ILIKE ? ESCAPE '\\'", [_like(str(chip.value))]
    if chip.op == "in":
        values = [_fit(value, seen) for value in _listed(chip)]
        return f"{column} IN ({', '.join('?' * len(values))})", values
    value = _fit(chip.value, seen)
    if value is None:
        return f"{column} IS {'NOT ' if chip.op == '!=' else ''}NULL", []
    comparison = {"=": "IS NOT DISTINCT FROM", "!=": "IS DISTINCT FROM"}.get(chip.op, chip.op)
    cast = "::JSON::VARCHAR" if seen is not None and seen.type == "json" else ""
    return f"{column}{cast} {comparison} {_placeholder(seen)}", [value]


def _placeholder(seen: Seen | None) -> str:
    return "make_timestamptz(?::BIGINT)" if seen is not None and seen.type == "time" else "?"


def _listed(chip: Filter) -> Sequence[Any]:
    if not isinstance(chip.value, list) or not chip.value:
        raise InvalidBoard(f"the filter {chip.column!r} in … needs a list of values")
    return chip.value


def _fit(value: Any, seen: Seen | None) -> Any:
    """A value as its column's type; the page sends numbers as they were typed."""
    if value is None or seen is None or isinstance(value, (dict, list)):
        return value if not isinstance(value, (dict, list)) else str(value)
    try:
        if seen.type == "number":
            return float(value) if isinstance(value, str) else value
        if seen.type == "time":
            return int(value)
    except ValueError:
        raise InvalidBoard(f"{seen.name} is a {seen.type}; {value!r} is none") from None
    if seen.type == "bool":
        return str(value).lower() in ("true", "1", "yes")
    return str(value)


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
