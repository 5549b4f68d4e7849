"""Text searches over whole tables: looked through once, newest rows first; what is found shows while the rest is read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from llmwatch.errors import LlmwatchError
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmwatch.board.choice import Choice
    from llmwatch.board.source import Source

T = TypeVar("T")
MOST = 4
REST = 8
"""A search is made anew when this many times its own time has passed: rows that came late are found then."""
WAIT_S, FIRST_S = 0.2, 0.6
"""How long an answer waits for a search before it shows what was found; and for the first row, if there is none by then."""
_SHOW_S = 0.15
"""How long a search stands still when it has found its first rows: they are charted before more is looked for."""
_SLICE, _LARGEST = 10_000, 40_000
"""Rows looked through at once: small, so that the first are found soon and one search soon makes way for another."""
_LATE_US = 60_000_000
"""Rows that came since are looked for from so long before the last look: writers run side by side."""
PATIENCE_S = 2.0
"""A search that nobody asked for in this time rests until somebody does: its page was left, or is slow."""
_IN_USE_S = 60.0
"""How long the table of a search outlives it, for queries that began before."""


@dataclass(frozen=True)
class Progress:
    """How far a search is: rows looked through, of how many."""

    searched: int
    of: int

    @property
    def done(self) -> bool:
        return self.searched >= self.of


class Search:
    """One text, looked for on a thread of its own; the ids it finds are in a table in memory."""

    def __init__(self, source: Source, choice: Choice, times: _Times) -> None:
        self._source, self._choice, self._times = source, choice, times
        self._changed = threading.Condition()
        self._catching_up = threading.Lock()
        self._found = self._searched = self._of = 0
        self._oldest: int | None = None
        self._showing: bool | None = None
        self._done = False
        self.failed: Exception | None = None
        self._state, extent = source.seen()
        self._upto = (extent or (0, 0))[1]
        self.began = self._wanted = monotonic()
        self.took = 0.0
        self._waiting = 0
        self._stopped = False
        self.table = source.reader.set_aside("SELECT NULL::VARCHAR AS id LIMIT 0", (), ())
        self._thread = threading.Thread(target=self._run, name="llmwatch-search", daemon=True)
        self._thread.start()

    @property
    def progress(self) -> Progress:
        with self._changed:
            return Progress(self._searched, self._searched if self._done else max(1, self._of))

    @property
    def condition(self) -> str:
        """SQL that holds for what was found by now. Until all is looked through it says how far back that reaches, so
        that a chart of the newest rows does not go through the whole table."""
        ids = f'"llmwatch id" IN (SELECT id FROM {self.table})'
        with self._changed:
            if self._done:
                return ids
            if self._oldest is None:
                return "false"
            return f'"llmwatch ts" >= make_timestamptz({self._oldest}) AND {ids}'

    @property
    def old(self) -> bool:
        return self._done and monotonic() - self.began > max(60.0, REST * self.took)

    def wait(self, found: int | None = None, seconds: float | None = None) -> None:
        """Until it is done, or has found so many or stands still to show its first, or so long."""

        def enough() -> bool:
            return self._done or (
                found is not None and (self._found >= found or self._showing is True)
            )

        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(enough, seconds)
            finally:
                self._waiting -= 1
                self._wanted = monotonic()
            if self.failed is not None:
                raise self.failed

    def make_way(self) -> None:
        """Rest at once until somebody asks again: another search has begun, and its page is the one that is looked at."""
        with self._changed:
            if not self._waiting and not self._done and self._thread.ident is not None:
                self._wanted = float("-inf")
                self._source.reader.interrupt(self._thread.ident)

    def stop(self) -> None:
        """End it: nobody will ask again. Who waits for it asks anew."""
        with self._changed:
            self._stopped = True
            if not self._done:
                self.failed = LlmwatchError("other searches took this one's place; ask again")
                self._done = True
            self._changed.notify_all()

    def end(self) -> None:
        """Stop it, and wait until its query is at an end."""
        self.stop()
        if self._thread.ident is not None:
            self._source.reader.interrupt(self._thread.ident)
            self._thread.join()
            self._source.reader.go_on(self._thread.ident)

    def catch_up(self) -> None:
        """Look through the rows that came since it was done."""
        with self._catching_up:
            newest = (self._source.extent() or (0, 0))[1]
            if not self._done or newest <= self._upto:
                return
            start = max(self._choice.start or 0, self._upto - _LATE_US)
            self._add(self._choice.between(start, self._choice.end))
            self._upto = newest

    def _run(self) -> None:
        try:
            with self._source.steady():  # rows that come meanwhile are caught up with
                self._look_through()
        except Exception as error:  # noqa: BLE001 - the boundary of the thread: told to whoever waits
            self.failed = self.failed or error
        finally:
            self.took = monotonic() - self.began
            with self._changed:
                self._done = True
                self._source.reader.go_on(threading.get_ident())
                self._changed.notify_all()

    def _look_through(self) -> None:
        for start, end, upto in self._slices():
            self._again(partial(self._add, self._choice.between(start, end)))
            self._tell(upto)
            self._let_show()
            if not self._still_wanted():
                return

    def _again(self, work: Callable[[], T]) -> T:
        """The work, begun anew when it made way for another search and is wanted after all."""
        import duckdb

        while True:
            try:
                return work()
            except duckdb.InterruptException:
                self._source.reader.go_on(threading.get_ident())
                if not self._still_wanted():
                    raise

    def _let_show(self) -> None:
        """Stand still for a moment when the first rows were found, so that who waits for them has the machine."""
        with self._changed:
            if self._found and self._showing is None and self._searched < self._of:
                self._showing = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopped, _SHOW_S)
                self._showing = False

    def _still_wanted(self) -> bool:
        """Rests while nobody asks; false when nobody will."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or self._waiting or monotonic() - self._wanted < PATIENCE_S
            )
            return not self._stopped

    def _tell(self, searched: int) -> None:
        with self._changed:
            self._searched = searched
            self._changed.notify_all()

    def _given(self, choice: Choice) -> tuple[list[Any], tuple[str, ...]]:
        tables = (self._source.table, EVENTS) if choice.says else (self._source.table,)
        return choice.where()[1], tables

    def _add(self, part: Choice) -> None:
        where, _ = part.where()
        sql = (
            f'SELECT "llmwatch id" AS id FROM keyed.{quoted(self._source.table)} '
            f'WHERE {where} AND "llmwatch id" NOT IN (SELECT id FROM {self.table})'
        )
        added = self._source.reader.add_aside(self.table, sql, *self._given(part))
        with self._changed:
            self._found += added
            if added:
                self._oldest = part.start

    def _slices(self) -> Iterator[tuple[int | None, int | None, int]]:
        """Spans of time from the newest, growing; and how many rows are looked through after each."""
        times = self._again(partial(self._times.of, self._source, self._choice, self._state))
        with self._changed:
            self._of = len(times)
        size, done = _SLICE, 0
        while done < len(times):
            upto = min(len(times), done + size)
            low, high = int(times[len(times) - upto]), int(times[len(times) - done - 1])
            done = _past(times, low)
            yield low, high + 1, done
            size = min(size * 2, _LARGEST)


class _Times:
    """When the rows of a choice were recorded, in order: kept for the next search of the same rows."""

    def __init__(self) -> None:
        self._last: tuple[object, NDArray[Any]] | None = None

    def of(self, source: Source, choice: Choice, state: str) -> NDArray[Any]:
        """For a table in a state: rows that came since may be among them."""
        key = (state, choice.start, choice.end, choice.conditions, choice.params)
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, self._asked(source, choice))
        return last[1]

    @staticmethod
    def _asked(source: Source, choice: Choice) -> NDArray[Any]:
        import duckdb
        import numpy as np

        where, params = choice.where(searched=False)
        sql = f'SELECT epoch_us("llmwatch ts") AS at FROM hot.{quoted(source.table)} WHERE {where}'
        arrays, tables = source.reader.arrays, (source.table, EVENTS)
        try:
            found = arrays(sql, params, tables)["at"]
        except duckdb.BinderException:  # a filter over a text, which is not kept in memory
            found = arrays(sql.replace("FROM hot.", "FROM keyed.", 1), params, tables)["at"]
        times: NDArray[Any] = np.sort(found, kind="stable")
        return times


def _past(times: NDArray[Any], low: int) -> int:
    """Rows of one microsecond are in one slice, so none is left out."""
    import numpy as np

    return len(times) - int(np.searchsorted(times, low, side="left"))


class Searches:
    """The recent searches of a table."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._times = _Times()
        self._recent: OrderedDict[object, Search] = OrderedDict()
        self._leaving: list[tuple[float, Search]] = []

    def begin(self, choice: Choice) -> Search:
        """The search for the text of a choice, begun if it is new. Panels' own conditions are left to their queries,
        so that all of a page's panels share one search."""
        choice = replace(choice, conditions=choice.conditions[: choice.common])
        if choice.named:
            choice = replace(choice, end=None)
        span = choice.named or (choice.start, choice.end)
        key = (choice.search, span, choice.conditions, choice.params)
        with self._lock:
            search = self._recent.pop(key, None)
            if search is None or search.old or search.failed is not None:
                self._put_away(search)
                for other in self._recent.values():
                    other.make_way()
                search = Search(self._source, choice, self._times)
            self._recent[key] = search
            while len(self._recent) > MOST:
                self._put_away(self._recent.popitem(last=False)[1])
        search.catch_up()
        return search

    def condition(self, choice: Choice) -> str:
        """An SQL condition that holds for the rows with the text, once all are looked through."""
        search = self.begin(choice)
        search.wait()
        return search.condition

    def close(self) -> None:
        """End those that go on, or rest."""
        with self._lock:
            for search in (*self._recent.values(), *(search for _, search in self._leaving)):
                search.end()
            self._recent.clear()
            self._leaving.clear()

    def _put_away(self, search: Search | None) -> None:
        now = monotonic()
        if search is not None:
            search.stop()
            self._leaving.append((now, search))
        while self._leaving and now - self._leaving[0][0] > _IN_USE_S:
            self._source.reader.put_away(self._leaving.pop(0)[1].table)


def searched_by_now(source: Source, choice: Choice, found: int = 1) -> tuple[Choice, Progress]:
    """The choice of what its search has found by now, and how far the search was at least then."""
    search = source.searches.begin(choice)
    search.wait(found, WAIT_S)
    search.wait(1, FIRST_S)
    progress = search.progress  # before the condition: that holds for no less
    return replace(choice, found=search.condition), progress
