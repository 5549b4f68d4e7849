"""Sampling as it runs: traces are gathered until they are whole, decided about, and remembered as decided."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.forward.facts import facts_of, rows_of, units_of
from llmwatch.forward.sampler import AdaptiveSampler, Facts, pool_size, slow_above

if TYPE_CHECKING:
    from llmwatch.forward.state import State
    from llmwatch.stream.query import Reader

_TABLES = """
CREATE TABLE IF NOT EXISTS units (unit TEXT PRIMARY KEY, source TEXT, state TEXT, stratum TEXT, weight REAL,
    reason TEXT, at INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS units_by_state ON units (state, at);
CREATE INDEX IF NOT EXISTS units_in_pool ON units (stratum) WHERE state = 'pool';
CREATE TABLE IF NOT EXISTS strata (stratum TEXT PRIMARY KEY, seen INTEGER, error_rate REAL, latencies TEXT,
    size INTEGER) WITHOUT ROWID;
"""
MOST_REMEMBERED = 500_000
REMEMBERED_US = 7 * 86400 * 1_000_000
PRUNE_EVERY_US = 600 * 1_000_000
MOST_LATENCIES = 200
_MEMORY = 100
"""Over how many traces of a stratum its error rate is an average."""


@dataclass(frozen=True)
class Unit:
    """A trace (or a row that is in none) that is to be sent, and what it stands for."""

    id: str
    source: str
    weight: float
    reason: str

    @property
    def about(self) -> dict[str, Any]:
        """As it stands in the attributes of each of its calls."""
        return {"weight": self.weight, "kept": self.reason}


class Sampling:
    """The sampler's memory, in the forwarder's state. A unit is, in this order, one of:

    `open` (its root has not come), `whole`, `pool` (does not matter by itself), then `keep` and `kept` once it is
    sent, or `dropped`. Each step is one transaction, so a killed process goes on with the same decisions.
    """

    def __init__(
        self,
        sampler: AdaptiveSampler,
        state: State,
        reader: Reader,
        *,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._sampler, self._state, self._reader = sampler, state, reader
        self._chance = chance or random.Random().random  # noqa: S311 - a sample, not a secret
        self._prune_at_us = 0
        with state.at_once():
            for statement in _TABLES.split(";"):
                state.run(statement)

    # --- taking in --------------------------------------------------------------------------

    def take(self, rows: Iterable[Mapping[str, Any]], source: str) -> None:
        """Rows of a table as they come, children before their roots."""
        units: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            units.setdefault(row.get("trace_id") or row["id"], []).append(row)
        with self._state.at_once():
            known = self._states(units)
            for unit, some in units.items():
                self._take(unit, some, source, known.get(unit))

    def _take(self, unit: str, rows: list[Mapping[str, Any]], source: str, now: str | None) -> None:
        failed = any(row.get("status") == "error" for row in rows)
        if now in {None, "open"}:
            has_root = any(row.get("parent_id") is None for row in rows)
            self._set_new(unit, source, "whole" if has_root else "open")
        elif now == "kept":  # a row that ended after its root: it follows its trace
            self._state.run("UPDATE units SET state = 'keep' WHERE unit = ?", (unit,))
        elif failed and self._sampler.errors >= 1:
            self._rescue(unit, now, "error")

    def hear(self, events: Iterable[Mapping[str, Any]]) -> None:
        """What was said later may make a trace matter."""
        said: dict[str, Facts] = {}
        for event in events:
            facts = Facts("", "", "")
            facts.learn(event["kind"], event.get("name") or "", _parsed(event.get("value")))
            row_id = event.get("row_id")
            if row_id and not event.get("deletes") and facts.matters:
                said[row_id] = facts
        if not said:
            return
        units = units_of(self._reader, list(said))
        with self._state.at_once():
            known = self._states(units.values())
            for row_id, unit in units.items():
                reason = self._sampler.reason(said[row_id], None)
                if reason is not None and known.get(unit) in {"pool", "dropped"}:
                    self._rescue(unit, known[unit], reason)

    def _rescue(self, unit: str, now: str | None, reason: str) -> None:
        """One that turned out to matter. A dropped one has another that stands for it: it counts for nothing."""
        weight = {"pool": 1.0, "dropped": 0.0}.get(now or "")
        if weight is not None:
            sql = "UPDATE units SET state = 'keep', weight = ?, reason = ? WHERE unit = ?"
            self._state.run(sql, (weight, reason, unit))

    # --- deciding ---------------------------------------------------------------------------

    def decide(self, *, settle: bool = False) -> None:
        """Decide about what is whole; with `settle`, about everything, however few are in a pool."""
        while units := self._to_judge(settle=settle):
            by_source: dict[str, list[str]] = {}
            for unit, source in units:
                by_source.setdefault(source, []).append(unit)
            for source, some in by_source.items():
                found = facts_of(self._reader, source, some, self._sampler.by)
                with self._state.at_once():
                    self._judge_all(some, found)
        self._settle_pools(settle=settle)
        self._prune()

    def _to_judge(self, *, settle: bool) -> list[tuple[str, str]]:
        given_up = clock.now_us() - int(self._sampler.patience_s * 1e6) if not settle else 1 << 62
        sql = (
            "SELECT unit, source FROM units WHERE state = 'whole' "
            "UNION ALL SELECT unit, source FROM units WHERE state = 'open' AND at < ? LIMIT 500"
        )
        return self._state.run(sql, (given_up,))

    def _judge_all(self, units: Sequence[str], found: Mapping[str, Facts]) -> None:
        for unit in units:
            facts = found.get(unit)
            if facts is None:  # deleted meanwhile
                self._state.run("DELETE FROM units WHERE unit = ?", (unit,))
            else:
                self._judge(facts)

    def _judge(self, facts: Facts) -> None:
        stratum = self._stratum(facts.stratum)
        reason = self._sampler.reason(facts, slow_above(stratum.latencies))
        stratum.learn(facts)
        self._save(stratum)
        if reason is not None:
            self._set(facts, "keep", 1.0, reason)
            return
        self._set(facts, "pool", 0.0, "failed" if facts.failed else "")
        pool = f"{facts.stratum}\0failed" if facts.failed else facts.stratum
        self._state.run("UPDATE units SET stratum = ? WHERE unit = ?", (pool, facts.unit))
        rate = self._sampler.rate(
            failed=facts.failed, seen=stratum.seen, error_rate=stratum.error_rate
        )
        self._fill(pool, pool_size(rate, self._chance))

    def _fill(self, pool: str, size: int) -> None:
        """One more is in a pool: it is settled when it is full. A stratum in trouble has smaller pools."""
        kept = self._stratum(pool)
        # a size drawn anew differs by one from chance alone
        wanted = size if not kept.size or size < kept.size - 1 else kept.size
        count = self._state.run(
            "SELECT count(*) FROM units WHERE state = 'pool' AND stratum = ?", (pool,)
        )[0][0]
        if count >= wanted:
            self._settle(pool)
        elif wanted != kept.size:
            kept.size = wanted
            self._save(kept)

    def _settle_pools(self, *, settle: bool) -> None:
        due = clock.now_us() - int(self._sampler.hold_s * 1e6) if not settle else 1 << 62
        sql = "SELECT stratum FROM units WHERE state = 'pool' GROUP BY stratum HAVING min(at) < ?"
        for (pool,) in self._state.run(sql, (due,)):
            with self._state.at_once():
                self._settle(pool)

    def _settle(self, pool: str) -> None:
        """Draw one of a pool, which then stands for all of it."""
        sql = "SELECT unit FROM units WHERE state = 'pool' AND stratum = ? ORDER BY unit"
        units = [row[0] for row in self._state.run(sql, (pool,))]
        chosen = units[int(self._chance() * len(units))]
        self._state.run(
            "UPDATE units SET state = 'dropped', weight = 0 WHERE state = 'pool' AND stratum = ?",
            (pool,),
        )
        self._state.run(
            "UPDATE units SET state = 'keep', weight = ?, reason = 'sample' WHERE unit = ?",
            (float(len(units)), chosen),
        )
        self._state.run("UPDATE strata SET size = 0 WHERE stratum = ?", (pool,))
        self._state.count("traces sampled out", len(units) - 1)

    # --- sending ----------------------------------------------------------------------------

    def kept(self, most: int) -> list[Unit]:
        """Units that are to be sent, the oldest first."""
        sql = "SELECT unit, source, weight, reason FROM units WHERE state = 'keep' ORDER BY at LIMIT ?"
        return [Unit(*row) for row in self._state.run(sql, (most,))]

    def rows_of(self, units: Sequence[Unit]) -> list[tuple[str, list[tuple[dict[str, Any], Unit]]]]:
        """The finished rows of units, by table, each row with its unit."""
        by_source: dict[str, dict[str, Unit]] = {}
        for unit in units:
            by_source.setdefault(unit.source, {})[unit.id] = unit
        return [
            (
                source,
                [
                    (row, some[row.get("trace_id") or row["id"]])
                    for row in rows_of(self._reader, source, list(some))
                ],
            )
            for source, some in by_source.items()
        ]

    def about(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """What each row stands for, by its id, as far as it was decided."""
        by_unit = {row.get("trace_id") or row["id"]: row["id"] for row in rows}
        found = {}
        for unit, row_id in by_unit.items():
            for one in self._state.run(
                "SELECT unit, source, weight, reason FROM units WHERE unit = ?", (unit,)
            ):
                found[row_id] = Unit(*one).about
        return found

    def sent(self, units: Iterable[Unit]) -> None:
        self._state.run_many(
            "UPDATE units SET state = 'kept' WHERE unit = ? AND state = 'keep'",
            [(u.id,) for u in units],
        )

    def forget(self, ids: Iterable[str]) -> None:
        """Erased rows; those of a pool are no longer stood for."""
        self._state.run_many("DELETE FROM units WHERE unit = ?", [(one,) for one in ids])

    def counts(self) -> dict[str, int]:
        """How many units are in each state."""
        return dict(self._state.run("SELECT state, count(*) FROM units GROUP BY state"))

    def oldest_us(self) -> int | None:
        """Since when the oldest undecided or unsent unit waits."""
        sql = "SELECT min(at) FROM units WHERE state IN ('open', 'whole', 'pool', 'keep')"
        found: int | None = self._state.run(sql)[0][0]
        return found

    # --- memory -----------------------------------------------------------------------------

    def _states(self, units: Iterable[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        wanted = list(units)
        for first in range(0, len(wanted), 500):
            some = wanted[first : first + 500]
            marks = ",".join("?" * len(some))
            found.update(
                self._state.run(f"SELECT unit, state FROM units WHERE unit IN ({marks})", some)
            )
        return found

    def _set_new(self, unit: str, source: str, state: str) -> None:
        sql = (
            "INSERT INTO units VALUES (?, ?, ?, '', 0, '', ?) "
            "ON CONFLICT (unit) DO UPDATE SET state = CASE state WHEN 'open' THEN excluded.state ELSE state END"
        )
        self._state.run(sql, (unit, source, state, clock.now_us()))

    def _set(self, facts: Facts, state: str, weight: float, reason: str) -> None:
        sql = (
            "UPDATE units SET state = ?, weight = ?, reason = ?, stratum = ?, at = ? WHERE unit = ?"
        )
        self._state.run(sql, (state, weight, reason, facts.stratum, clock.now_us(), facts.unit))

    def _stratum(self, name: str) -> _Stratum:
        found = self._state.run(
            "SELECT seen, error_rate, latencies, size FROM strata WHERE stratum = ?", (name,)
        )
        if not found:
            return _Stratum(name, 0, 0.0, [], 0)
        seen, error_rate, latencies, size = found[0]
        return _Stratum(name, seen, error_rate, json.loads(latencies), size)

    def _save(self, stratum: _Stratum) -> None:
        self._state.run(
            "INSERT OR REPLACE INTO strata VALUES (?, ?, ?, ?, ?)",
            (
                stratum.name,
                stratum.seen,
                stratum.error_rate,
                json.dumps(stratum.latencies),
                stratum.size,
            ),
        )

    def _prune(self) -> None:
        """Decisions are remembered for rows that end after their root, and for what is said later; not for ever."""
        now = clock.now_us()
        if now < self._prune_at_us:
            return
        self._prune_at_us = now + PRUNE_EVERY_US
        decided = "state IN ('dropped', 'kept')"
        self._state.run(f"DELETE FROM units WHERE {decided} AND at < ?", (now - REMEMBERED_US,))
        (count,) = self._state.run(f"SELECT count(*) FROM units WHERE {decided}")[0]
        if count > MOST_REMEMBERED:
            self._state.run(
                f"DELETE FROM units WHERE unit IN (SELECT unit FROM units WHERE {decided} ORDER BY at LIMIT ?)",
                (count - MOST_REMEMBERED,),
            )


@dataclass
class _Stratum:
    """What is remembered of the traces of one kind: how many fail, how long they take."""

    name: str
    seen: int
    error_rate: float
    latencies: list[float]
    size: int

    def learn(self, facts: Facts) -> None:
        self.seen += 1
        self.error_rate += (facts.failed - self.error_rate) / min(self.seen, _MEMORY)
        if facts.latency_ms is not None:
            self.latencies = [*self.latencies[-(MOST_LATENCIES - 1) :], facts.latency_ms]


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
