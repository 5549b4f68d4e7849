"""Reads the rows of a window: only the columns and the time that a run needs, and of the prompts a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llmwatch.drift import sampling
from llmwatch.drift.frames import Column, Frame
from llmwatch.drift.sources import Source, Table
from llmwatch.drift.windows import Window
from llmwatch.errors import NotFound, SettingsError
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

_PARTS = 1_000_000  # a row is in the sample when its block's hash falls into so many of these


@dataclass(frozen=True)
class Plan:
    """What a run reads of a table."""

    table: Table
    sources: Sequence[Source]
    where: str | None = None
    every_call: bool = False
    slice: str | None = None
    text: str | None = None
    vector: str | None = None
    """The column that holds a vector of each row."""

    def conditions(self) -> str:
        parts = ['r."llmwatch ts" >= make_timestamptz(?)', 'r."llmwatch ts" < make_timestamptz(?)']
        if not self.every_call:
            # a trace's first call holds what the person asked
            parts.append('r."llmwatch parent_id" IS NULL')
        if self.where:
            parts.append(f"({self.where})")
        return " AND ".join(parts)

    def slice_sql(self) -> str:
        assert self.slice is not None
        (source,) = self.table.sources(self.slice) or (None,)
        if source is None or source.kind == "number":
            raise SettingsError(f"rows are sliced by a category, which {self.slice} is not")
        return f"CAST({source.sql} AS VARCHAR)"


@dataclass(frozen=True)
class Count:
    """How many rows a window has, and how many of them name a session or a user."""

    rows: int = 0
    sessions: int = 0
    users: int = 0


class Rows:
    """The rows of a table that a plan is about."""

    def __init__(self, reader: Reader, plan: Plan) -> None:
        self._reader, self._plan = reader, plan
        self._from = f"FROM keyed.{quoted(plan.table.name)} AS r WHERE {plan.conditions()}"
        needs_events = any(source.events for source in plan.sources)
        self._tables = [plan.table.name, *([EVENTS] if needs_events else [])]
        if plan.where:
            reader.refresh([plan.table.name])
            reader.check_conditions(plan.table.name, [plan.where])

    def count(self, window: Window) -> Count:
        table = self._plan.table
        sql = f"SELECT count(*), count({table.group('session_id')}), count({table.group('user_id')}) {self._from}"
        return Count(*self._reader.execute(sql, _bounds(window), self._tables).rows[0])

    def whole(self, window: Window, count: Count) -> Frame:
        """Every row of the window, with the numbers and categories of the plan."""
        fields = {**self._groups(count), **self._values()}
        sql = f"SELECT {_selected(fields)} {self._from}"
        found = self._reader.arrays(sql, _bounds(window), self._tables)
        columns = {
            (source.signal, source.unit): _column(found[f"v{n}"], source)
            for n, source in enumerate(self._plan.sources)
        }
        return Frame(
            len(found["ts"]),
            times=np.ma.getdata(found["ts"]),
            sessions=_listed(found.get("session")),
            users=_listed(found.get("usr")),
            slices=_listed(found.get("slice")),
            columns=columns,
        )

    def sample(self, window: Window, count: Count, share: float, *, keep: bool = False) -> Frame:
        """A share of the window's sessions (users, or rows), whole ones, with their prompts.

        `keep`: with the numbers and categories, the session and the user, as a baseline keeps them.
        """
        plain, given = self._plan.table.text(self._plan.text)
        fields = {"id": 'r."llmwatch id"', **self._groups(count, both=keep)}
        if keep:
            fields |= self._values()
        if self._plan.vector:
            fields["vector"] = self._plan.table.vector(self._plan.vector)
        fields |= {"plain": plain, "given": given}
        chosen = (
            f" AND hash({self._block(count)}) % {_PARTS} < {round(share * _PARTS)}"
            if share < 1
            else ""
        )
        sql = f"SELECT {_selected(fields)} {self._from}{chosen}"
        rows = self._reader.stream(sql, _bounds(window), self._tables)
        return sampling.frame(list(fields), rows, self._plan.sources if keep else ())

    def _values(self) -> dict[str, str]:
        return {f"v{n}": source.sql for n, source in enumerate(self._plan.sources)}

    def _groups(self, count: Count, *, both: bool = False) -> dict[str, str]:
        """When a row was recorded, its session (its user only where there are no sessions), its slice."""
        table = self._plan.table
        fields = {"ts": 'epoch_us(r."llmwatch ts")'}
        if count.sessions:
            fields["session"] = table.group("session_id")
        if count.users and (both or not count.sessions):
            fields["usr"] = table.group("user_id")
        if self._plan.slice is not None:
            fields["slice"] = self._plan.slice_sql()
        return fields

    def _block(self, count: Count) -> str:
        if not (count.sessions or count.users):
            return 'r."llmwatch id"'
        whose = self._plan.table.group("session_id" if count.sessions else "user_id")
        return f'coalesce({whose}, r."llmwatch id")'


def table_of(reader: Reader, name: str) -> Table:
    """The columns of a table, which has to be there."""
    if name not in reader.project.tables():
        there = ", ".join(reader.project.tables()) or "none"
        raise NotFound(f"there is no table {name} in {reader.project.id}; there is: {there}")
    return Table(name, reader.columns(name))


def _selected(fields: dict[str, str]) -> str:
    return ", ".join(f"{sql} AS {name}" for name, sql in fields.items())


def _bounds(window: Window) -> list[int]:
    return [window.start_us, window.end_us]


def _column(values: Any, source: Source) -> Column:
    if np.ma.getdata(values).dtype.kind == "f":
        return Column(np.ma.filled(values, np.nan), "number", source.unit)
    return sampling.column(_listed(values) or [], source)


def _listed(values: Any) -> list[Any] | None:
    """A column as a list with None where it is NULL."""
    if values is None:
        return None
    listed: list[Any] = np.ma.getdata(values).tolist()
    mask = np.ma.getmaskarray(values) if np.ma.isMaskedArray(values) else None
    if mask is None or not mask.any():
        return listed
    return [None if gone else value for value, gone in zip(listed, mask.tolist(), strict=True)]
