"""The copy of the traffic: every row and what was said of it, with the faults in it. What it is a copy of is only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.errors import NotFound
from llmwatch.store import EVENTS
from llmwatch.stream import exact
from llmwatch.stream.columns import quoted
from llmwatch.stream.replay import Replay

if TYPE_CHECKING:
    from llmwatch.gameday.plan import Plan, Slot
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

MOST_ROWS = 200_000
_ROOT = '"llmwatch parent_id" IS NULL'
_MOMENT = 'epoch_us(coalesce("llmwatch started_at", "llmwatch ts"))'
Said = tuple[int, bytes]


def times(reader: Reader, table: str, since_us: int) -> list[int]:
    """When each trace was, of the newest that are at most `MOST_ROWS` rows together."""
    name = quoted(table)
    sql = (
        f'SELECT min(t) FROM (SELECT "llmwatch ts" AS ts, {_MOMENT} AS t FROM keyed.{name} '
        f"WHERE {_MOMENT} >= ? ORDER BY ts DESC LIMIT {MOST_ROWS})"
    )
    first = reader.execute(sql, [since_us], (table,)).rows[0][0]
    if first is None:
        raise NotFound(f"{table} has no row in that time")
    found = reader.execute(
        f"SELECT {_MOMENT} AS t FROM keyed.{name} WHERE {_ROOT} AND {_MOMENT} >= ? ORDER BY t",
        [int(first)],
        (table,),
    ).rows
    if not found:
        raise NotFound(f"{table} has no first call of a trace in that time")
    return [int(row[0]) for row in found]


class Copy:
    """Rows and events of a table on their way into another project."""

    def __init__(self, reader: Reader, table: str, plan: Plan, seed: int) -> None:
        self._reader, self._table, self._plan, self._seed = reader, table, plan, seed
        self.changed: dict[str, set[str]] = {slot.fault.name: set() for slot in plan.slots}
        """Ids of the rows that each fault changed."""
        self._ids: set[str] = set()
        self._slots = self._slots_of_traces()

    @property
    def rows(self) -> int:
        """How many there are to copy."""
        sql = f"SELECT count(*) FROM keyed.{quoted(self._table)} WHERE {_MOMENT} BETWEEN ? AND ?"
        params = [self._plan.start_us, self._plan.end_us]
        return int(self._reader.execute(sql, params, (self._table,)).rows[0][0])

    @property
    def changed_rows(self) -> list[str]:
        return sorted(set().union(*self.changed.values()))

    def _slots_of_traces(self) -> dict[str, Slot]:
        """The trace -> its fault: a trace goes wrong as a whole, or not."""
        sql = (
            f'SELECT coalesce("llmwatch trace_id", "llmwatch id"), {_MOMENT} '
            f"FROM keyed.{quoted(self._table)} WHERE {_ROOT} AND {_MOMENT} BETWEEN ? AND ?"
        )
        found = self._reader.execute(
            sql, [self._plan.start_us, self._plan.end_us], (self._table,)
        ).rows
        hit = {}
        for trace, at_us in found:
            slot = self._plan.slot(int(at_us))
            if slot is not None and self._chance("hit", trace).random() < slot.fault.share:
                hit[trace] = slot
        return hit

    def _chance(self, *what: object) -> Random:
        return Random(" ".join(map(str, (self._seed, *what))))  # noqa: S311 - the same for a seed

    def write(
        self, project: Project, settings: Settings, passed: Callable[[int], None] = lambda _: None
    ) -> None:
        """Write the copy. Scores of rows that a fault changed are left out: they are of other answers."""
        _replayed(self._rows(passed), Replay(project, self._table, settings), "row")
        _replayed(self._events(), Replay(project, EVENTS, settings), "event")

    def _rows(self, passed: Callable[[int], None]) -> Iterator[Said]:
        columns = exact.selected(exact.ROW_COLUMNS, "llmwatch ")
        sql = (
            f"SELECT {columns} FROM keyed.{quoted(self._table)} WHERE {_MOMENT} BETWEEN ? AND ? "
            "AND \"llmwatch status\" IS DISTINCT FROM 'running'"
        )
        params = [self._plan.start_us, self._plan.end_us]
        for values in self._reader.stream(sql, params, [self._table]):
            body = exact.line("row", exact.ROW_COLUMNS, values)
            call = orjson.loads(body)["row"]
            self._ids.add(call["id"])
            self._go_wrong(call)
            yield call["ts"], exact.body(call)
            passed(1)

    def _go_wrong(self, call: dict[str, Any]) -> None:
        trace = call.get("trace_id") or call["id"]
        slot = self._slots.get(trace)
        if slot is None:
            return
        priced = call.get("data") is None and call.get("cost_usd")
        if slot.fault.change(call, self._chance(slot.fault.name, trace)):
            self.changed[slot.fault.name].add(call["id"])
            call["ts"] = max(call["ts"], call.get("ended_at") or 0)
            if priced:
                call.pop("cost_usd", None)  # worked out anew, by the scorer

    def _events(self) -> Iterator[Said]:
        columns, changed = exact.selected(exact.EVENT_COLUMNS), set(self.changed_rows)
        sql = f'SELECT {columns} FROM main."{EVENTS}" WHERE ts >= make_timestamptz(?::BIGINT)'
        for values in self._reader.stream(sql, [self._plan.start_us], [EVENTS]):
            event = orjson.loads(exact.line("event", exact.EVENT_COLUMNS, values))["event"]
            of_before = event.get("row_id") in changed and event["kind"].startswith("score")
            if event.get("row_id") in self._ids and not of_before:
                yield event["ts"], exact.body(event)


def _replayed(lines: Iterator[Said], replay: Replay, kind: str) -> None:
    try:
        for at_us, body in sorted(lines):
            replay.append(kind, body, at_us)
    finally:
        replay.close()
