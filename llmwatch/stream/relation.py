"""One table as views: what the lake holds, the tail, and the two together; and the names people see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from llmwatch.store import EVENTS, Project
from llmwatch.stream import event_views, pieces
from llmwatch.stream.columns import Column, fixed, grown, quoted, shown
from llmwatch.stream.derived import Derived
from llmwatch.stream.duck import have_columns, lake_columns, read_files
from llmwatch.stream.kept import Kept, narrow
from llmwatch.stream.segments import list_segments
from llmwatch.stream.snapshot import EMPTY, DataFile, load
from llmwatch.stream.tail import SegmentGone, Tail

if TYPE_CHECKING:
    import duckdb

_TRIES = 20


class Relation:
    """The views of one table in one database, brought up to date by `refresh`."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        project: Project,
        table: str,
        *,
        kept: Kept | None = None,
    ) -> None:
        self.project, self.table = project, table
        self.events = table == EVENTS
        self.lake = project.lake(table)
        self.snapshot = EMPTY
        self.columns: tuple[Column, ...] = ()
        self._database = database
        self._tail = Tail(database, quoted(f"tail of {table}"), fixed(self.events))
        self._derived = None if table.startswith("_") else Derived(database, table)
        self._generation = _generation(project)
        self._viewed: object = None
        self._kept = kept

    def hold(self) -> None:
        """Called without the reader's lock: what is kept shows in the views at the next refresh."""
        assert self._kept is not None
        if not self.events:
            self._kept.hold(self.snapshot.rows, narrow(self.columns))

    def refresh(self, events: Relation | None = None) -> None:
        if (generation := _generation(self.project)) != self._generation:
            # rows were erased: what is in memory may hold them
            self._generation = generation
            self._tail = Tail(self._database, self._tail.name, fixed(self.events))
            self._derived = self._derived and Derived(self._database, self.table)
        for attempt in range(_TRIES):
            try:
                self._read()
                break
            except SegmentGone:
                if attempt == _TRIES - 1:
                    raise
        if self._derived is not None and events is not None:
            self._derived.refresh(events.snapshot, events._tail.name, self.snapshot.rows)
        self._make_views()

    def _read(self) -> None:
        segments = list_segments(
            self.project.spool(self.table)
        )  # before the snapshot: see architecture
        self.snapshot = load(self.lake, self.snapshot)
        self._tail.refresh(s for s in segments if not self.snapshot.holds(s.writer, s.number))

    def _make_views(self) -> None:
        known = self.snapshot.columns or fixed(self.events)
        self.columns = known if self.events else grown(_complete(known), self._tail.keys)
        derives = self._derived is not None and self._derived.any
        kept = self._kept and self._kept.names
        state = (self.snapshot.version, self.columns, self._tail.has_pieces, derives, kept)
        if state == self._viewed:
            return
        whole = self._relation(self.columns, read_files)
        self._view(f"main.{quoted(self.table)}", f"SELECT {_shown(self.columns)} FROM ({whole})")
        for name, select in views_for_people(self.table, self.columns).items():
            self._view(name, select)
        if self.events:
            event_views.create(self._database, self._view)
        elif self._kept is not None:
            self._view_kept()
        self._viewed = state

    def _view_kept(self) -> None:
        columns = narrow(self.columns)
        relation = self._relation(columns, lambda files: self._kept_or_read(files, columns))
        names = {c.name: n for c, n in zip(self.columns, _keyed_names(self.columns), strict=True)}
        fields = ", ".join(
            f"{quoted(c.name)} AS {quoted(name)}" for c in columns for name in names[c.name]
        )
        self._view(f"hot.{quoted(self.table)}", f"SELECT {fields} FROM ({relation})")

    def _kept_or_read(self, files: Sequence[DataFile], columns: Sequence[Column]) -> str:
        assert self._kept is not None
        held, missing = self._kept.covering(files, columns)
        parts = [f"SELECT * FROM {name}" for name in held]
        if missing:
            names = ", ".join(quoted(column.name) for column in columns)
            read = have_columns(self._database, read_files(missing), columns)
            parts.append(f"SELECT {names} FROM {read}")
        return f"({' UNION ALL '.join(parts)})"

    def _view(self, name: str, select: str) -> None:
        self._database.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")

    def _relation(
        self, columns: Sequence[Column], read: Callable[[Sequence[DataFile]], str]
    ) -> str:
        rows = self._rows(columns, read)
        if self._derived is None or not self._derived.any:
            return rows
        return self._derived.joined(f"({rows})", columns)

    def _rows(self, columns: Sequence[Column], read: Callable[[Sequence[DataFile]], str]) -> str:
        names = ", ".join(quoted(column.name) for column in columns)
        tail = f"(SELECT {lake_columns(columns)} FROM {self._tail.name})"
        files = self.snapshot.rows
        rows = f"SELECT {names} FROM {tail}" + ("" if self.events else " WHERE t IS NULL")
        if files:
            lake = have_columns(self._database, read(files), columns)
            rows = f"SELECT {names} FROM {lake} UNION ALL {rows}"
        waiting = self.snapshot.pieces
        if self.events or not (waiting or self._tail.has_pieces):
            return rows
        parts = f"SELECT {names} FROM {tail} WHERE t IS NOT NULL"
        if waiting:
            parts += f" UNION ALL SELECT {names} FROM {have_columns(self._database, read_files(waiting), columns)}"
        return pieces.whole_relation(f"({rows})", f"({parts})", columns)


def _complete(columns: Sequence[Column]) -> tuple[Column, ...]:
    """With every column of ours, also those that an older llmwatch did not make."""
    names = {column.name for column in columns}
    return (*columns, *(column for column in fixed(False) if column.name not in names))


def _shown(columns: Sequence[Column]) -> str:
    return ", ".join(
        f"{shown(column)} AS {quoted(column.name)}" for column in columns if column.name != "t"
    )


def views_for_people(table: str, columns: Sequence[Column]) -> dict[str, str]:
    """`logged.<table>`, where a logged key has its own name and a column of ours that has it too is under
    `_name`; and `keyed.<table>`, the same with each column of ours once more as `llmwatch <name>`."""
    names = dict(names_for_people(columns))
    theirs = ", ".join(f"{quoted(name)} AS {quoted(shown_as)}" for name, shown_as in names.items())
    ours = ", ".join(
        f"{quoted(column.name)} AS {quoted('llmwatch ' + column.name)}"
        for column in columns
        if column.key is None and column.name != "t"
    )
    return {
        f"logged.{quoted(table)}": f"SELECT {theirs} FROM main.{quoted(table)}",
        f"keyed.{quoted(table)}": f"SELECT {theirs}, {ours} FROM main.{quoted(table)}",
    }


def _keyed_names(columns: Sequence[Column]) -> Iterator[list[str]]:
    """For each column, the names it has in `keyed.<table>`."""
    theirs = dict(names_for_people(columns))
    for column in columns:
        names = [theirs[column.name]] if column.name in theirs else []
        yield (
            names
            if column.key is not None or column.name == "t"
            else [*names, f"llmwatch {column.name}"]
        )


def names_for_people(columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """The columns a person sees, each with the name it has for them."""
    keys = {column.key.lower() for column in columns if column.key is not None}
    for column in columns:
        if column.key is not None:
            yield column.name, column.key
        elif column.name != "t":
            name = column.name
            while name in keys:
                name = f"_{name}"
            yield column.name, name


def _generation(project: Project) -> int:
    """Changes whenever rows were erased from the project."""
    try:
        return (project.path / "erased").stat().st_mtime_ns
    except FileNotFoundError:
        return 0
