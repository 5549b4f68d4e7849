"""Cells: the parts of one metric set for one minute and group, made of rows and merged into longer windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from llmwatch.names import parse_table
from llmwatch.watch.families import measure_of
from llmwatch.watch.families.measure import Facts, State, Usual, Values
from llmwatch.watch.parts import OTHER
from llmwatch.watch.reading import LONGEST_GROUP, Ask, Columns, Frame, by, group_sql, texts
from llmwatch.watch.said import Joined
from llmwatch.watch.sets import DAY_S, Group, MetricSet
from llmwatch.watch.windows import MINUTE_US

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader
    from llmwatch.watch.said import Said

FORMAT = 1
MOST_GROUPS = 200
"""Groups of a group-by in one cell; the smaller ones go together under `OTHER`."""
EVERY_ROW = "{}"

Cell = list[Any]
"""[rows, state of each measure]."""
Groups = dict[str, Cell]
"""By the group as JSON text."""


class Maker:
    """Makes the cells of a metric set."""

    def __init__(self, told: MetricSet) -> None:
        self.set = told
        self.table = parse_table(told.table).table
        self.measures = [measure_of(family) for family in told.metrics]
        said = [one for measure in self.measures for one in measure.said()]
        self.said: tuple[Said | Joined, ...] = tuple(dict.fromkeys(said))
        self._columns: frozenset[str] = frozenset()
        self._reads_every_call = told.counts_every_call or any(m.every_call for m in self.measures)

    @cached_property
    def key(self) -> str:
        """Cells of the same key can be merged: it changes with what they are made of, not with windows or baselines."""
        told = [FORMAT, self.table, self.set.groupings, self.set.where, self.set.time]
        families: list[tuple[str, dict[str, Any]]] = [
            (type(f).__name__, asdict(f)) for f in self.set.metrics
        ]
        for _, fields in families:
            fields.pop("baseline", None)
            fields.pop("degradation", None)
        text = orjson.dumps(
            [*told, self.set.counts_every_call, families], option=orjson.OPT_SORT_KEYS, default=str
        )
        return hashlib.blake2b(text, digest_size=12).hexdigest()

    @property
    def source(self) -> tuple[str, str | None, str | None]:
        """Sets of the same source are read together."""
        return self.table, self.set.time, self.set.where

    def ask(self, reader: Reader, table: str | None = None) -> Ask:
        """What to read, by the columns that the table has by now."""
        name = table or self.table
        columns = Columns(name, reader.columns(name))
        wanted = {"root": 'r."llmwatch parent_id" IS NULL'}
        for measure in self.measures:
            wanted.update(measure.columns(columns))
        self._columns = frozenset(wanted)
        if self.set.where and table is None:
            reader.check_conditions(name, [self.set.where])
        return Ask(
            name,
            wanted,
            columns.moment(self.set.time),
            {group: group_sql(columns, group) for group in self.set.groupings},
            self.said,
            self.set.where if table is None else None,
            self._reads_every_call,
        )

    def cell(self, frame: Frame) -> Cell:
        """The parts of all of these rows."""
        counted = self._counted(frame)
        states = [m.part(frame if m.every_call else counted) for m in self.measures]
        return [len(counted["id"]), states]

    def empty(self, ask: Ask) -> Cell:
        """The cell of no rows."""
        names = [*ask.columns, "id", "at", *(one.alias for one in ask.said)]
        return self.cell({name: np.ma.asarray(np.zeros(0, object)) for name in names})

    def minutes(self, frame: Frame) -> Iterator[tuple[int, int, Groups]]:
        """For each minute and group-by (its number), the cells of its groups."""
        frame = self._own(frame)
        for number, group in enumerate(self.set.groupings):
            names = _names(frame, group)
            for minute, where in _cut(np.asarray(frame["at"]) // MINUTE_US):
                yield minute * MINUTE_US, number, self._groups(frame, names, where)

    def whole(self, frame: Frame, number: int) -> Groups:
        """The cells of a group-by's groups, whenever the rows were."""
        frame = self._own(frame)
        names = _names(frame, self.set.groupings[number])
        return self._groups(frame, names, np.arange(len(names)))

    def merge(self, cells: Sequence[Cell]) -> Cell:
        """One cell of several; there is at least one."""
        if len(cells) == 1:
            return cells[0]
        states = [
            measure.merge([cell[1][n] for cell in cells]) for n, measure in enumerate(self.measures)
        ]
        return [sum(cell[0] for cell in cells), states]

    def merge_groups(self, many: Iterable[Mapping[str, Cell]]) -> Groups:
        """The cells of each group over several stretches of time."""
        found: dict[str, list[Cell]] = {}
        for groups in many:
            for name, cell in groups.items():
                found.setdefault(name, []).append(cell)
        return self._capped({name: self.merge(cells) for name, cells in found.items()})

    def values(self, cell: Cell, seconds: float, usual: Sequence[Usual | None] = ()) -> Values:
        """Every metric of the set by name."""
        daily = self.set.window_s == DAY_S
        found: Values = {}
        for n, (measure, state) in enumerate(zip(self.measures, cell[1], strict=True)):
            told = usual[n] if usual else None
            found.update(measure.values(state, Facts(seconds, daily, told)))
        return {name: found[name] for name in found if _fits(found[name])} | {
            name: None for name, value in found.items() if not _fits(value)
        }

    def state_of(self, cell: Cell, number: int) -> State:
        return cell[1][number]

    def _own(self, frame: Frame) -> Frame:
        """What this set reads, of a frame that was read for several."""
        wanted = {"id", "at", "root", *(one.alias for one in self.said), *self._columns}
        wanted |= {by(group) for group in self.set.groupings}
        mine = {name: values for name, values in frame.items() if name in wanted}
        return mine if self._reads_every_call else _roots(mine)

    def _counted(self, frame: Frame) -> Frame:
        """The rows that are requests: calls inside of traces are read for what they cost."""
        return frame if self.set.counts_every_call else _roots(frame)

    def _groups(self, frame: Frame, names: Any, where: Any) -> Groups:
        found: Groups = {}
        numbers: dict[str, int] = {}
        codes = np.array([numbers.setdefault(name, len(numbers)) for name in names[where]])
        order = list(numbers)
        for code, positions in _cut(codes):
            chosen = where[positions]
            part = {alias: values[chosen] for alias, values in frame.items()}
            found[group_name(orjson.loads(order[code]))] = self.cell(part)
        return self._capped(found)

    def _capped(self, groups: Groups) -> Groups:
        if len(groups) <= MOST_GROUPS:
            return groups
        ordered = sorted(groups, key=lambda name: (_is_rest(name), -groups[name][0], name))
        rest = ordered[MOST_GROUPS - 1 :]
        found = {name: groups[name] for name in ordered[: MOST_GROUPS - 1]}
        found[_rest_like(rest[0])] = self.merge([groups[name] for name in rest])
        return found


def _roots(frame: Frame) -> Frame:
    are: Any = np.ma.filled(np.ma.asarray(frame["root"], dtype=bool), False)
    if are.all():
        return frame
    where = np.flatnonzero(are)
    return {name: values[where] for name, values in frame.items()}


def _names(frame: Frame, group: Group) -> Any:
    return np.array([text or EVERY_ROW for text in texts(frame[by(group)])], object)


def group_name(values: Mapping[str, str | None]) -> str:
    """A group as JSON text, as it stands in the table of metrics."""
    cut = {
        name: value if value is None else value[:LONGEST_GROUP] for name, value in values.items()
    }
    return orjson.dumps(cut).decode()


def _cut(codes: Any) -> Iterator[tuple[int, Any]]:
    """Each code, and where it stands."""
    if not len(codes):
        return
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    for where in np.split(order, starts[1:]):
        yield int(codes[where[0]]), where


def _rest_like(name: str) -> str:
    return orjson.dumps(dict.fromkeys(orjson.loads(name), OTHER)).decode()


def _is_rest(name: str) -> bool:
    return OTHER in name and set(orjson.loads(name).values()) == {OTHER}


def _fits(value: float | None) -> bool:
    """A number that JSON can hold: sums of huge numbers may be infinite."""
    return value is not None and bool(np.isfinite(value))
