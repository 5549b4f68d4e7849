"""What is usual: a golden set's or a past window's values, or summary statistics that a person gave."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import orjson

from llmwatch.names import parse_table
from llmwatch.watch.families.measure import Facts, Usual
from llmwatch.watch.reading import Columns, Frame, read, texts
from llmwatch.watch.said import Said
from llmwatch.watch.sets import DAY_S, Baseline, seconds
from llmwatch.watch.windows import SECOND_US, Window, window_of

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader
    from llmwatch.watch.cells import Cell, Maker

_GOLDEN_FOR_S = 600.0
"""A golden set is looked at anew this often."""
_ALL_TIME = (-(1 << 62), 1 << 62)
CellOf = Callable[[Window], "Cell | None"]


class Baselines:
    """The baselines of one metric set."""

    def __init__(self, maker: Maker, reader: Reader) -> None:
        self._maker, self._reader = maker, reader
        self._golden: dict[str, tuple[float, Cell]] = {}

    @property
    def any(self) -> bool:
        return any(measure.baseline is not None for measure in self._maker.measures)

    def usual(self, window: Window, cell_of: CellOf) -> list[Usual | None]:
        """For each measure what is usual; `cell_of` gives the same group's cell of another window."""
        return [
            None if m.baseline is None else self._one(n, m.baseline, window, cell_of)
            for n, m in enumerate(self._maker.measures)
        ]

    def _one(self, number: int, told: Baseline, window: Window, cell_of: CellOf) -> Usual | None:
        if told.table is not None:
            cell: Cell | None = self._of_golden(told.table)
        elif told.ago is not None:
            cell = cell_of(self._past(window, told.ago))
        else:
            return Usual(told.values, told.features)
        if cell is None or not cell[0]:
            return None
        state = cell[1][number]
        values = self._maker.measures[number].values(state, Facts(window.length_s))
        return Usual(values, state=state)

    def _past(self, window: Window, ago: str) -> Window:
        """The same window that long before: of whole days, by the calendar of the set's time zone."""
        told, back = self._maker.set, seconds(ago) * SECOND_US
        start = window.start_us - back
        if told.window_s % DAY_S == 0:
            return window_of((start + window.end_us - back) // 2, told.window_s, told.timezone)
        return Window(start, window.end_us - back)

    def _of_golden(self, name: str) -> Cell:
        known = self._golden.get(name)
        if known is not None and time.monotonic() - known[0] < _GOLDEN_FOR_S:
            return known[1]
        table = parse_table(name).table
        ask = self._maker.ask(self._reader, table)
        labels = {one.alias: one.name for one in self._maker.said if isinstance(one, Said)}
        columns = Columns(table, self._reader.columns(table))
        own = {
            f"golden {alias}": columns.text(column)
            for alias, column in labels.items()
            if columns.has(column)
        }
        ask = replace(ask, columns={**ask.columns, **own})
        frame = dict(read(self._reader, ask, [_ALL_TIME]))
        for alias in own:
            frame[alias.removeprefix("golden ")] = _as_said(frame, alias)
        cell = self._maker.cell(frame)
        self._golden[name] = (time.monotonic(), cell)
        return cell


def _as_said(frame: Frame, alias: str) -> object:
    """A column of a golden set in place of what would be said about a row: its labels are there already."""
    said = np.empty(len(frame["id"]), object)
    said[:] = [None if text is None else _parsed(text) for text in texts(frame[alias])]
    return said


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
