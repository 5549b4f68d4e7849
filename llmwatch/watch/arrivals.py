"""Which minutes a metric set must look at again: those of new rows, and of rows that something was said about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted
from llmwatch.stream.follow import Follower
from llmwatch.watch.reading import Columns
from llmwatch.watch.said import Joined, Said
from llmwatch.watch.windows import HOUR_US, MINUTE_US

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.stream.follow import RecordedReader
    from llmwatch.stream.query import Reader
    from llmwatch.watch.cells import Maker
    from llmwatch.watch.state import State

NAME = "watch"
COSTS = Said("score", "token_cost")
"""What a row cost may be said later."""
_BATCH = 2000
_MOST = 20_000
"""Rows of a table that are taken in before its minutes are made."""
NEAR_US = 2 * MINUTE_US
"""A row is usually recorded so near to its minute; hours of which some are not are remembered."""


@dataclass
class Found:
    """What came in: followers to commit once it is taken care of."""

    followers: list[Follower] = field(default_factory=list)
    any: bool = False


class Arrivals:
    """The followers of one project's watched tables."""

    def __init__(
        self, project: Project, settings: Settings, recorded: RecordedReader, reader: Reader
    ) -> None:
        self._project, self._settings = project, settings
        self._recorded, self._reader = recorded, reader
        self._followers: dict[str, Follower] = {}

    def close(self) -> None:
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()

    def take(self, makers: Sequence[Maker], state: State) -> Found:
        """Add the minutes of everything new to `state.touched`."""
        found = Found()
        for table in sorted({maker.table for maker in makers}):
            mine = [maker for maker in makers if maker.table == table]
            for rows in self._new(table, found):
                self._touch(table, mine, state, [row["id"] for row in rows], rows)
            self._labels(table, mine, state, found)
        if any(_wanted(maker) for maker in makers):
            for events in self._new(EVENTS, found):
                self._said(makers, state, events)
        return found

    def look_back(self, maker: Maker, state: State, since_us: int) -> None:
        """The minutes of what was recorded since a time. What comes from now on is followed."""
        for table in {maker.table, EVENTS, *(j.table for j in maker.said if isinstance(j, Joined))}:
            self._follower(table)
        columns = Columns(maker.table, self._recorded.columns(maker.table))
        minute = f"{columns.moment(maker.set.time)} // {MINUTE_US} * {MINUTE_US}"
        found = self._recorded.execute(
            f'SELECT {minute} AS m, min(epoch_us(r."llmwatch ts")), max(epoch_us(r."llmwatch ts")) '
            f'FROM keyed.{quoted(maker.table)} AS r WHERE r."llmwatch ts" >= make_timestamptz(?::BIGINT) GROUP BY m',
            [since_us],
            [maker.table],
        ).rows
        for at, first, last in found:
            self._note(maker.table, [maker], state, at, first)
            self._note(maker.table, [maker], state, at, last)

    def _follower(self, table: str) -> Follower:
        if table not in self._followers:
            self._followers[table] = Follower(
                self._project, table, NAME, self._settings, start="now", reader=self._recorded
            )
        return self._followers[table]

    def _new(self, table: str, found: Found) -> Iterable[list[dict[str, Any]]]:
        follower = self._follower(table)
        taken = 0
        while taken < _MOST and (rows := follower.batch(_BATCH)):
            taken += len(rows)
            yield rows
        if taken:
            found.any = True
            found.followers.append(follower)

    def _touch(
        self,
        table: str,
        makers: Iterable[Maker],
        state: State,
        ids: Sequence[str],
        rows: Sequence[dict[str, Any]] = (),
    ) -> None:
        """The minutes of these rows, for each set in its own time."""
        by_time: dict[str | None, list[Maker]] = {}
        for maker in makers:
            by_time.setdefault(maker.set.time, []).append(maker)
        for time, mine in by_time.items():
            places = _as_recorded(rows) if rows and time is None else self._places(table, time, ids)
            for minute, recorded in places:
                self._note(table, mine, state, minute, recorded)

    def _note(
        self, table: str, makers: Iterable[Maker], state: State, minute: int, recorded: int
    ) -> None:
        for maker in makers:
            state.touched.setdefault(maker.key, set()).add(minute)
        if not minute - NEAR_US <= recorded <= minute + MINUTE_US + NEAR_US:
            state.stray(table, minute // HOUR_US * HOUR_US, recorded)

    def _places(self, table: str, time: str | None, ids: Sequence[str]) -> list[tuple[int, int]]:
        columns = Columns(table, self._recorded.columns(table))
        return self._asked(
            f'SELECT {columns.moment(time)}, epoch_us(r."llmwatch ts") FROM keyed.{quoted(table)} AS r '
            'WHERE r."llmwatch id" BETWEEN ? AND ? AND r."llmwatch id" IN (SELECT unnest(?::VARCHAR[]))',
            [min(ids), max(ids), list(ids)],
            table,
        ) if ids else []  # fmt: skip

    def _asked(self, sql: str, params: list[Any], table: str) -> list[tuple[int, int]]:
        rows = self._recorded.execute(sql, params, [table]).rows
        return [(at // MINUTE_US * MINUTE_US, recorded) for at, recorded in rows]

    def _said(
        self, makers: Sequence[Maker], state: State, events: Sequence[dict[str, Any]]
    ) -> None:
        """Rows that a set looks at what is said of, in events that say or take back such a thing."""
        undone = [event[k] for event in events for k in ("deletes", "replaces") if event.get(k)]
        events = [*events, *self._of_id(undone)]
        for table in {maker.table for maker in makers}:
            mine = [maker for maker in makers if maker.table == table]
            for maker in mine:
                wanted = _wanted(maker)
                ids = {e["row_id"] for e in events if e["row_id"] and _names(e) & wanted}
                ids = {each for each in ids if each}
                if ids:
                    self._touch(table, [maker], state, sorted(ids))

    def _of_id(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        return self._recorded.execute(
            f'SELECT * FROM main."{EVENTS}" WHERE id IN (SELECT unnest(?::VARCHAR[]))',
            [list(ids)],
            [EVENTS],
        ).dicts()

    def _labels(self, table: str, makers: Sequence[Maker], state: State, found: Found) -> None:
        """Rows whose key is in what a table of labels got."""
        joins = {one: m for m in makers for one in m.said if isinstance(one, Joined)}
        for label_table in sorted({one.table for one in joins}):
            for rows in self._new(label_table, found):
                for one, maker in joins.items():
                    if one.table == label_table:
                        self._touch_keys(table, one, maker, state, [row["id"] for row in rows])

    def _touch_keys(
        self, table: str, join: Joined, maker: Maker, state: State, ids: Sequence[str]
    ) -> None:
        labels = Columns(join.table, self._recorded.columns(join.table))
        keys = self._recorded.execute(
            f"SELECT DISTINCT {labels.text(join.key)} FROM keyed.{quoted(join.table)} AS r "
            'WHERE r."llmwatch id" IN (SELECT unnest(?::VARCHAR[]))',
            [list(ids)],
            [join.table],
        ).rows
        columns = Columns(table, self._recorded.columns(table))
        found = self._recorded.execute(
            f'SELECT r."llmwatch id" FROM keyed.{quoted(table)} AS r '
            f"WHERE {columns.text(join.key)} IN (SELECT unnest(?::VARCHAR[]))",
            [[key for (key,) in keys if key is not None]],
            [table],
        ).rows
        self._touch(table, [maker], state, [row_id for (row_id,) in found])


def _as_recorded(rows: Iterable[dict[str, Any]]) -> set[tuple[int, int]]:
    """(minute, second of recording) of rows in the usual time: when the call ended, else when it was recorded."""
    found = set()
    for row in rows:
        recorded = int(row["ts"].timestamp()) * 1_000_000
        ended = row.get("ended_at")
        at = recorded if ended is None else int(ended.timestamp()) * 1_000_000
        found.add((at // MINUTE_US * MINUTE_US, recorded))
    return found


def _wanted(maker: Maker) -> set[tuple[str, str]]:
    wanted = {(one.kind, one.name) for one in maker.said if isinstance(one, Said)}
    if any(measure.every_call for measure in maker.measures):
        wanted.add((COSTS.kind, COSTS.name))
    return wanted


def _names(event: dict[str, Any]) -> set[tuple[str, str]]:
    name = event["name"] or ""
    return {(event["kind"], name), ("score", name.removeprefix("wandb.runnable."))}
