"""Reads the rows of stretches of time: only the columns that measures ask for, and what was said about the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from llmwatch.errors import SettingsError
from llmwatch.stream.columns import CALL, Column, json_path, literal, quoted
from llmwatch.watch.said import Joined, Said
from llmwatch.watch.sets import Group

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

LONGEST_GROUP = 200
"""Characters of a value that rows are grouped by."""
Frame = Mapping[str, Any]
"""For each alias a masked array with one value a row."""
_OURS = {column.name: column for column in CALL}
_SHORT_OP = "regexp_extract(r.\"llmwatch op_name\", '([^/:]+)(?::[^/:]*)?$', 1)"


class Columns:
    """The columns of a table as SQL over `keyed.<table> AS r`, by the names that people have for them."""

    def __init__(self, table: str, columns: Sequence[Column]) -> None:
        self.table = table
        self._logged = {column.key: column for column in columns if column.key is not None}

    def has(self, name: str) -> bool:
        return name in self._logged or name in _OURS

    def number(self, name: str) -> str:
        """A column (true counts as 1), or a value in a JSON one, as a number; NULL where it is none."""
        if name not in self._logged and name in _OURS and not _OURS[name].json:
            return f"try_cast({_ours(name)} AS DOUBLE)"
        value, kind = self._json(name)
        return (
            f"CASE WHEN {kind} = 'BOOLEAN' THEN ({value} = 'true')::DOUBLE "
            f"WHEN {kind} <> 'VARCHAR' OR {value} IN ('NaN', 'Infinity', '-Infinity') "
            f"THEN try_cast({value} AS DOUBLE) END"
        )

    def text(self, name: str) -> str:
        """A column or a value in a JSON one as text; NULL where there is none."""
        if name in _DIMENSIONS and name not in self._logged:
            return _DIMENSIONS[name]
        return self._json(name)[0]

    def kind(self, name: str) -> str:
        """The JSON type of a value: `BIGINT`, `DOUBLE`, `VARCHAR`, ...; NULL where there is none."""
        return self._json(name)[1]

    def ours_or_logged(self, name: str) -> str:
        """A number of ours, or one that was logged under its name."""
        if name not in _OURS:
            return self.number(name)
        if name not in self._logged:
            return f"try_cast({_ours(name)} AS DOUBLE)"
        return f"coalesce({self.number(name)}, try_cast({_ours(name)} AS DOUBLE))"

    def moment(self, name: str | None) -> str:
        """When a row was, in microseconds UTC. Text is read as ISO 8601 (UTC where it names no zone), numbers as
        seconds, milliseconds or microseconds since 1970, whichever is near."""
        recorded = f'epoch_us(coalesce({_ours("ended_at")}, r."llmwatch ts"))'
        if name is None:
            return recorded
        if name in _OURS and _OURS[name].type == "TIMESTAMPTZ" and name not in self._logged:
            return f"coalesce(epoch_us({_ours(name)}), {recorded})"
        text = self.text(name)
        number = f"try_cast({text} AS DOUBLE)"
        scale = f"CASE WHEN abs({number}) < 1e11 THEN 1000000 WHEN abs({number}) < 1e14 THEN 1000 ELSE 1 END"
        read = f"coalesce(({number} * {scale})::BIGINT, epoch_us(try_cast({text} AS TIMESTAMPTZ)))"
        return f"coalesce({read}, {recorded})"

    def _json(self, name: str) -> tuple[str, str]:
        """A value as text, and its JSON type."""
        if name in self._logged:
            return _inside("data", json_path(name))
        if name in _OURS and not _OURS[name].json:
            return f"CAST({_ours(name)} AS VARCHAR)", literal(_OURS[name].type)
        whole, _, path = name.partition(".")
        if whole in self._logged:
            return _inside("data", _pointer(whole, path))
        if whole in _OURS and _OURS[whole].json:
            return _inside(whole, _pointer(*path.split(".")) if path else "''")
        if whole in {"data", ""}:
            raise SettingsError(f"{name!r} names no column of table {self.table}")
        return _inside("data", json_path(name))  # no row has it yet

    def check(self, name: str) -> None:
        """`SettingsError` for a name that no row has, with the nearest that some have."""
        if self.has(name) or name.partition(".")[0] in {*self._logged, *_OURS}:
            return
        near = get_close_matches(name, [*self._logged, *_OURS, *_DIMENSIONS], n=1)
        more = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError(f"table {self.table} has no column {name!r} yet{more}")


def _ours(name: str) -> str:
    return f"r.{quoted('llmwatch ' + name)}"


def _inside(column: str, pointer: str) -> tuple[str, str]:
    whole = _ours(column)
    return f"json_extract_string({whole}, {pointer})", f"json_type({whole}, {pointer})"


def _pointer(*parts: str) -> str:
    steps = [step for part in parts for step in part.split(".") if step]
    return literal("".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps))


def _first_of(*sql: str) -> str:
    return f"coalesce({', '.join(sql)})"


_DIMENSIONS = {
    "model": _first_of(_ours("model"), "r.\"llmwatch data\"->>'model'"),
    "op": _SHORT_OP,
    "user": _first_of(_ours("user_id"), "r.\"llmwatch data\"->>'user_id'"),
    "session": _first_of(_ours("session_id"), "r.\"llmwatch data\"->>'session_id'"),
    "version": _first_of(_ours("version"), "r.\"llmwatch data\"->>'version'"),
    "endpoint": _first_of(
        "r.\"llmwatch attributes\"->>'endpoint'",
        "r.\"llmwatch attributes\"->'http'->>'route'",
        "r.\"llmwatch data\"->>'endpoint'",
        _SHORT_OP,
    ),
}


@dataclass(frozen=True)
class Ask:
    """What to read of a table."""

    table: str
    columns: Mapping[str, str]
    """Alias -> SQL."""
    moment: str
    groupings: Mapping[Group, str]
    """Group-by -> SQL of the group as JSON text."""
    said: tuple[Said | Joined, ...] = ()
    where: str | None = None
    every_call: bool = False


def together(asks: Sequence[Ask]) -> Ask:
    """What several ask of one source, to be read once."""
    first = asks[0]
    return Ask(
        first.table,
        {alias: sql for ask in asks for alias, sql in ask.columns.items()},
        first.moment,
        {group: sql for ask in asks for group, sql in ask.groupings.items()},
        tuple(dict.fromkeys(one for ask in asks for one in ask.said)),
        first.where,
        any(ask.every_call for ask in asks),
    )


def by(group: Group) -> str:
    """The alias of a group-by in a frame."""
    return "\t".join(("by", *group))


def group_sql(columns: Columns, group: Group) -> str:
    """A row's group as a JSON object in text, keys in the order of the group-by."""
    if not group:
        return "'{}'"
    fields = ", ".join(
        f"{literal(name)}, left({columns.text(name)}, {LONGEST_GROUP})" for name in group
    )
    return f"json_object({fields})::VARCHAR"


def read(
    reader: Reader,
    ask: Ask,
    minutes: Iterable[tuple[int, int]],
    recorded: tuple[int, int] | None = None,
    *,
    exact: tuple[int, int] | None = None,
) -> Frame:
    """The rows whose time is in one of these stretches; `recorded` bounds when they can have been written."""
    spans = list(minutes)
    given = {f"a{n}": sql for n, sql in enumerate(ask.columns.values())}
    groups = {f"g{n}": sql for n, sql in enumerate(ask.groupings.values())}
    fields = ", ".join(f"{sql} AS {name}" for name, sql in {**given, **groups}.items())
    conditions, params = _conditions(ask, spans, recorded, exact)
    sql = (
        f'SELECT r."llmwatch id" AS id, {ask.moment} AS at{", " if fields else ""}{fields} '
        f"FROM keyed.{quoted(ask.table)} AS r WHERE {' AND '.join(conditions)}"
    )
    arrays = reader.arrays(sql, params, [ask.table])
    named: dict[str, Any] = {"id": arrays["id"], "at": np.ma.filled(np.ma.asarray(arrays["at"]), 0)}
    named.update({alias: arrays[f"a{n}"] for n, alias in enumerate(ask.columns)})
    named.update({by(group): arrays[f"g{n}"] for n, group in enumerate(ask.groupings)})
    for said in ask.said:
        named[said.alias] = said.read(reader, named)
    return named


def _conditions(
    ask: Ask,
    spans: Sequence[tuple[int, int]],
    recorded: tuple[int, int] | None,
    exact: tuple[int, int] | None,
) -> tuple[list[str], list[Any]]:
    first, last = exact or (min(s for s, _ in spans), max(e for _, e in spans))
    conditions, params = [f"{ask.moment} >= ? AND {ask.moment} < ?"], [first, last]
    if exact is None and sum(end - start for start, end in spans) < last - first:
        starts = [start for start, _ in spans]
        conditions.append(
            f"list_contains(?::BIGINT[], {ask.moment} // {spans[0][1] - spans[0][0]} * {spans[0][1] - spans[0][0]})"
        )
        params.append(starts)  # type: ignore[arg-type]
    if recorded is not None:
        conditions.append(
            'r."llmwatch ts" BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT)'
        )
        params += recorded
    if not ask.every_call:
        conditions.append('r."llmwatch parent_id" IS NULL')
    conditions.append("r.\"llmwatch status\" IS DISTINCT FROM 'running'")
    if ask.where:
        conditions.append(f"({ask.where})")
    return conditions, params


def texts(values: Any) -> list[str | None]:
    """An array of text as Python has it, None where a value is missing."""
    mask = np.ma.getmaskarray(np.ma.asarray(values))
    plain = np.ma.getdata(values)
    return [None if gone else value for value, gone in zip(plain.tolist(), mask, strict=True)]
