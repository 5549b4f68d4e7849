"""Feeds the detectors of one table with each finished row, and remembers them between turns."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.drift.detector import Alarm, Detector
from llmwatch.drift.finding import MINIMUM_ROWS
from llmwatch.drift.reading import table_of
from llmwatch.drift.watches import Watch
from llmwatch.errors import SettingsError
from llmwatch.store import ensure
from llmwatch.stream.columns import quoted
from llmwatch.stream.follow import Follower, RecordedReader

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project

_NAME = "drift"
_BATCH = 1000
_MOST_HAVE = 0.9
Values = list[tuple[str | None, list[float | None]]]
"""For each row its session and the signal in each of its units."""


class Feed:
    """The detectors of a watch. Rows come from where the table ends when it is first watched."""

    def __init__(self, project: Project, watch: Watch, settings: Settings) -> None:
        self.watch, self._project = watch, project
        self._reader = RecordedReader(project, settings)
        self._follower = Follower(
            project, watch.table.table, _NAME, settings, start="now", reader=self._reader
        )
        self._path = project.path / "detectors" / f"{watch.table.table}.json"
        known = orjson.loads(self._path.read_bytes()) if self._path.exists() else {}
        self._columns = {signal: _Column(watch, known.get(signal, {})) for signal in watch.signals}

    def turn(self) -> list[dict[str, Any]]:
        """Feed what is new; what is to be said about it."""
        said: list[dict[str, Any]] = []
        while rows := self._follower.batch(_BATCH):
            for signal, column in self._columns.items():
                alarms = column.feed(self._values(signal, rows))
                said += [self._told(signal, column, alarm) for alarm in alarms]
            # In this order a crash in between loses what these rows had to say, and counts none twice:
            # to count twice would be evidence of drift that is none.
            self._follower.commit()
            self._save()
        return said

    def close(self) -> None:
        self._follower.close()
        self._reader.close()

    def _values(self, signal: str, rows: list[dict[str, Any]]) -> Values:
        table = table_of(self._reader, self.watch.table.table)
        sources = table.sources(signal)
        if not sources or any(source.kind == "category" for source in sources):
            raise SettingsError(
                f"{signal} cannot be watched row by row: it is no column of numbers"
            )
        numbers = ", ".join(f"try_cast({source.sql} AS DOUBLE)" for source in sources)
        times = [row["ts"] for row in rows]
        found = self._reader.execute(
            f"SELECT {table.group('session_id')}, {numbers} FROM keyed.{quoted(table.name)} AS r "  # noqa: S608 - names are quoted
            'WHERE r."llmwatch id" IN (SELECT unnest(?)) AND r."llmwatch ts" BETWEEN ? AND ? '
            'AND r."llmwatch parent_id" IS NULL ORDER BY r."llmwatch ts"',
            [[row["id"] for row in rows], min(times), max(times)],
            (table.name,),
        )
        return [(_hidden(session), values) for session, *values in found.rows]

    def _told(self, signal: str, column: _Column, alarm: Alarm) -> dict[str, Any]:
        return {
            "kind": "detector",
            "table": self.watch.table.table,
            "signal": signal,
            "drift_detected": True,
            "what": alarm.what,
            "rows_ago": alarm.at - alarm.since + 1,
            "rows": alarm.at,
            "run_length": self.watch.run_length,
            "unit": column.unit,
        }

    def _save(self) -> None:
        """Written beside and renamed: after a crash it is the one before or this one."""
        ensure(self._path.parent)
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        states = {signal: column.state() for signal, column in self._columns.items()}
        draft.write_bytes(orjson.dumps(states))
        draft.chmod(0o600)
        draft.replace(self._path)


def _hidden(session: Any) -> str | None:
    """What is kept of a session's name: enough to know it again."""
    if session is None:
        return None
    return hashlib.blake2b(str(session).encode("utf-8", "replace"), digest_size=8).hexdigest()


class _Column:
    """One signal: learns first, then watches, until an alarm."""

    def __init__(self, watch: Watch, state: dict[str, Any]) -> None:
        self._watch = watch
        self.unit: int = state.get("unit", 0)
        """Which of the signal's units is watched: tokens when most rows have them, else characters."""
        self._learning: Values = state.get("learning", [])
        told = state.get("detector")
        self._detector = Detector.from_state(told) if told else None
        if self._detector:
            self._detector.run_length = watch.run_length

    def feed(self, rows: Values) -> list[Alarm]:
        if self._detector is None:
            rows = self._learn(rows)
        if self._detector is None:
            return []
        for n, (session, values) in enumerate(rows):
            if alarm := self._detector.add(values[self.unit], session):
                self._detector = None  # what comes now is learnt as the usual
                return [alarm, *self.feed(rows[n + 1 :])]
        return []

    def _learn(self, rows: Values) -> Values:
        """Learn from these rows; what is left of them once there were enough."""
        wanted = self._watch.learn - len(self._learning)
        self._learning += rows[:wanted]
        if len(self._learning) >= self._watch.learn:
            self._detector = self._learnt()
            # without a reference in it, the older half makes room for what comes
            self._learning = [] if self._detector else self._learning[-self._watch.learn // 2 :]
        return rows[wanted:]

    def _learnt(self) -> Detector | None:
        """A detector whose reference is a session's first row each, in a unit that most rows have."""
        first: dict[str | int, list[float | None]] = {}
        for n, (session, values) in enumerate(self._learning):
            first.setdefault(n if session is None else session, values)
        for unit, column in enumerate(zip(*first.values(), strict=True)):
            known = [value for value in column if value is not None]
            if len(known) >= max(MINIMUM_ROWS, _MOST_HAVE * len(column)):
                self.unit = unit
                return Detector(known, run_length=self._watch.run_length)
        return None

    def state(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "learning": self._learning,
            "detector": self._detector.state() if self._detector else None,
        }
