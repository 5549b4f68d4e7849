"""`StreamTable`: a named, append-only table that many processes write at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import capture, clock, faults, settings
from llmwatch.errors import NotFound
from llmwatch.names import TableName, parse_table
from llmwatch.store import EVENTS, Project, open_store
from llmwatch.stream import events, spool
from llmwatch.stream.columns import quoted
from llmwatch.stream.row import Row
from llmwatch.stream.rows import NEWEST_FIRST, STORED, Rows, shown_columns

if TYPE_CHECKING:
    from typing_extensions import Self

    from llmwatch.settings import Settings
    from llmwatch.stream.columns import Column
    from llmwatch.stream.query import Reader, Result


class StreamTable:
    """A table of rows in a project, on the embedded store; no account and no `init` needed.

    >>> import tempfile
    >>> table = StreamTable("demo/answers", store=tempfile.mkdtemp())
    >>> _ = table.log({"question": "How do I reset my key?", "tokens": 12})
    >>> [row["tokens"] for row in table.rows()]
    [12]
    """

    def __init__(
        self,
        table_name: str,
        *,
        project_name: str | None = None,
        entity_name: str | None = None,
        store: str | Path | None = None,
    ) -> None:
        where: TableName = parse_table(table_name, project=project_name, entity=entity_name)
        self.name = where.table
        self._settings = settings.current()
        self.project: Project = open_store(store).project(where.entity, where.project)
        if "/" not in table_name and project_name is None:
            _say_where(self.project)
        if self._settings.destination in {"wandb", "both"}:
            _note_destination(self.project, self._settings)
        self._writer = spool.writer(self.project, self.name, self._settings)
        self._limits = self._settings.field_limit_kb << 10, self._settings.row_limit_kb << 10
        self._media = self.project.media
        self._readers: dict[int, Reader] = {}

    def __repr__(self) -> str:
        return f"StreamTable({self.project.id + '/' + self.name!r})"

    # --- writing ---------------------------------------------------------------------

    def log(self, row_or_rows: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> None:
        """Append a row, or rows. Returns when the operating system has them; never raises over a value."""
        if type(row_or_rows) is dict or isinstance(row_or_rows, Mapping):
            self.add(row_or_rows)
            return
        for row in row_or_rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> str | None:
        """Append one row and return its id, to attach feedback or labels to; None when it was lost."""
        if type(row) is not dict and not isinstance(row, Mapping):  # the first test is the quick one
            raise TypeError(f"a row is a mapping such as {{'text': 'hi'}}; got {type(row).__name__}")
        try:  # not `faults.contained`: a context manager costs 0.4 µs, on every row
            row_id, now = clock.stamp()
            limit, total = self._limits
            data = capture.encode_fields(row, media=self._media, limit=limit, total=total)
            if self._writer.write("row", f'"id":"{row_id}","data":'.encode(), data, b"}", now):
                return row_id
        except Exception as error:  # noqa: BLE001 - our faults stop here
            faults.report("a row could not be recorded", error, lost=1)
        return None

    def say(
        self, kind: str, name: str, value: Any = None, *, row_id: str, creator: str | None = None
    ) -> str:
        """Attach an event to a row of this table; returns the event's id."""
        return events.add(
            self.project, kind=kind, name=name, value=value, row_id=row_id, table=self.name, creator=creator
        )

    def finish(self) -> None:
        """Wait until all that was logged is on the disk, and let the worker take it over."""
        self._writer.flush(fsync=True)
        self._writer.rotate()
        reader = self._readers.pop(os.getpid(), None)
        if reader is not None:
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish()

    # --- reading ---------------------------------------------------------------------

    @property
    def reader(self) -> Reader:
        """What reads this table in this process; a forked child gets one of its own."""
        from llmwatch.stream.query import Reader

        pid = os.getpid()  # no lock: one that another thread held at a fork would stay held in the child
        found = self._readers.get(pid)
        return found if found is not None else self._readers.setdefault(pid, Reader(self.project))

    def rows(self) -> Rows:
        """The rows, oldest first; narrow them with `filter`, `select`, `sort`, `limit`, `since`, `until`."""
        return Rows(self)

    def query(self, sql: str, *params: Any) -> Result:
        """The answer to one SELECT over this table (by its name), `events`, `feedback`, `scores`, `labels`.

        `table.query('SELECT model, avg(latency_ms) FROM "my-table" GROUP BY model').dicts()`
        """
        return self.reader.ask(sql, params, [self.name])

    def get(self, row_id: str) -> Row:
        """The row with this id; `NotFound` when there is none."""
        columns = ", ".join(map(quoted, STORED))
        found = self.reader.execute(
            f"SELECT {columns} FROM main.{quoted(self.name)} WHERE id = ?", [row_id], [self.name]
        )
        if not found.rows:
            raise NotFound(f"no row {row_id} in {self.project.id}/{self.name}")
        return Row(self, found.dicts()[0])

    def tail(self, n: int = 10) -> list[Row]:
        """The newest rows, the newest last."""
        return list(self.rows().sort(*NEWEST_FIRST).limit(n))[::-1]

    @property
    def count(self) -> Count:
        """How many rows there are: `table.count` or `table.count()`."""
        sql = f"SELECT count(*) FROM main.{quoted(self.name)}"
        return Count(self.reader.execute(sql, tables=[self.name]).rows[0][0])

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.reader.columns(self.name)

    @property
    def schema(self) -> dict[str, str]:
        """The columns that have something to show, with their types."""
        shown = self.shown_columns()
        types = {column.key: column.shown_type for column in self.columns if column.key is not None}
        types |= {f"llmwatch {c.name}": c.shown_type for c in self.columns if c.key is None}
        return {name: types[sql] for name, sql in shown.items()}

    def shown_columns(self) -> dict[str, str]:
        kinds = self.reader.execute(
            "SELECT bool_or(data IS NULL OR started_at IS NOT NULL), bool_or(data IS NOT NULL) "
            f"FROM main.{quoted(self.name)}",
            tables=[self.name],
        ).rows[0]
        return shown_columns(self.columns, calls=bool(kinds[0]), dicts=bool(kinds[1]))

    def events(self, view: str, row_id: str) -> list[dict[str, Any]]:
        """The `feedback`, `scores`, `labels` or all `events` of a row, oldest first."""
        found = self.reader.execute(
            f"SELECT id, name, value, creator, ts AS created_at, kind, replaces FROM said.{quoted(view)} "
            "WHERE row_id = ? ORDER BY ts, writer, seq",
            [row_id],
            [EVENTS],
        ).dicts()
        for event in found:
            event["value"] = capture.decode(orjson.loads(event["value"] or "null"), media=self._media)
        return found

    def newest_since(self, rows: int) -> int | None:
        """A time (in microseconds) that at least `rows` rows in the lake were recorded after, if that is known."""
        self.reader.refresh([self.name])
        snapshot = self.reader.snapshot(self.name)
        if snapshot.pieces:
            return None  # a waiting delete could hide some of the newest
        files = sorted(snapshot.rows, key=lambda file: file.lowest.get("ts", ""), reverse=True)
        counted = 0
        for file in files:
            counted += file.rows
            if counted >= rows:
                lowest = file.lowest.get("ts")
                return None if lowest is None else _from_iso(lowest)
        return None

    def _repr_html_(self) -> str:
        return self.rows().sort(*NEWEST_FIRST).limit(50)._repr_html_()


_said: set[str] = set()


def _note_destination(project: Project, settings_: Settings) -> None:
    """What is logged without an `init` is meant for W&B too, where that was said: "auto" needs a line of init's."""
    from llmwatch import destination

    wanted = destination.read(project)
    if not wanted.on:
        from llmwatch.forward import options

        destination.note(project, destination.decide(settings_, said=True), **options.chosen(None))


def _say_where(project: Project) -> None:
    """Tell the person, once, where rows go when nobody named a project."""
    where = f"{project.id} in {project.store.root}"
    if project.name == settings.Settings.project and where not in _said:
        _said.add(where)
        sys.stderr.write(f"llmwatch: no project named, so rows go to {where}\n")


class Count(int):
    """A number that may be called, as old Weave code did."""

    def __call__(self) -> int:
        return int(self)


def _from_iso(text: str) -> int:
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)
