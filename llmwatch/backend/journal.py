"""An internal table of the store as a journal: entries in the one order that all processes agree on."""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.backend import wire
from llmwatch.errors import StoreError
from llmwatch.store import Project
from llmwatch.stream import spool
from llmwatch.stream.marks import mark

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.stream.query import Reader


@dataclass(frozen=True, order=True)
class Entry:
    """One entry; entries sort as everything does, by `(ts, writer, seq)`."""

    ts: int
    writer: str
    seq: int
    data: dict[str, Any] = field(compare=False)


class Journal:
    """Appends entries, and reads those of every process; each read takes in only what is new."""

    def __init__(
        self, project: Project, table: str, settings: Settings, reader: Callable[[], Reader]
    ) -> None:
        self._project, self._table, self._settings, self._reader = project, table, settings, reader
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._looked_at: object = None
        self._next_seq: dict[str, int] = {}

    def append(self, data: Mapping[str, Any]) -> None:
        body = wire.dumps({"id": clock.new_id(), "data": wire.without_unknown(data)})
        if not spool.writer(self._project, self._table, self._settings).append("row", body):
            raise StoreError(
                f"{data} could not be recorded in {self._project.id}; the log says why"
            )

    def entries(self) -> tuple[list[Entry], bool]:
        """Every entry in order, and whether there are new ones since the last call."""
        with self._lock:
            # Before the look: what is written during it is looked at next. A tenth of a query's cost.
            written = mark(self._project, self._table)
            if written == self._looked_at:
                return self._entries, False
            fresh = [self._entry(row) for row in self._unread()]
            for entry in fresh:
                insort(self._entries, entry)
                self._next_seq[entry.writer] = max(
                    entry.seq + 1, self._next_seq.get(entry.writer, 0)
                )
            self._looked_at = written
            return self._entries, bool(fresh)

    def _unread(self) -> list[tuple[Any, ...]]:
        # A writer's entries become visible in order, so what follows the last one read is unread.
        sql = (
            f'SELECT epoch_us(ts), writer, seq, data FROM "{self._table}" AS e '
            "LEFT JOIN (SELECT unnest(?::VARCHAR[]) AS writer, unnest(?::BIGINT[]) AS next) AS read "
            "USING (writer) WHERE seq >= coalesce(next, 0)"
        )
        params = [list(self._next_seq), list(self._next_seq.values())]
        return self._reader().execute(sql, params, tables=(self._table,)).rows

    @staticmethod
    def _entry(row: tuple[Any, ...]) -> Entry:
        return Entry(row[0], row[1], row[2], wire.loads(row[3]))
