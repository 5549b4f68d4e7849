"""Text searches over whole tables: looked through once, then all panels ask only the rows that were found."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.board.choice import Choice
    from llmwatch.board.source import Source

MOST = 4
REST = 8
"""Rows that came since are looked through when this many times the search's own time has passed."""


@dataclass
class _Found:
    table: str
    took: float
    at: float


class Searches:
    """The ids that recent searches found, each in a table in memory."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._locks: dict[object, threading.Lock] = {}
        self._found: OrderedDict[object, _Found] = OrderedDict()

    def condition(self, choice: Choice) -> str:
        """An SQL condition that holds for the rows with the text; the first to ask looks, the others wait for it."""
        key = (choice.search, choice.start, choice.end, choice.conditions, choice.params)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            found = self._found.get(key)
            if found is None or monotonic() - found.at > max(2.0, REST * found.took):
                found = self._look(choice)
                self._keep(key, found)
        return f'"llmwatch id" IN (SELECT id FROM {found.table})'

    def _look(self, choice: Choice) -> _Found:
        source, began = self._source, monotonic()
        where, params = choice.where()
        tables = (source.table, EVENTS) if choice.says else (source.table,)
        sql = f'SELECT "llmwatch id" AS id FROM keyed.{quoted(source.table)} WHERE {where}'
        name = source.reader.set_aside(sql, params, tables)
        return _Found(name, monotonic() - began, monotonic())

    def _keep(self, key: object, found: _Found) -> None:
        with self._lock:
            before = self._found.pop(key, None)
            self._found[key] = found
            gone = [before] if before else []
            while len(self._found) > MOST:
                old, dropped = self._found.popitem(last=False)
                self._locks.pop(old, None)
                gone.append(dropped)
        for old_found in gone:
            self._source.reader.put_away(old_found.table)
