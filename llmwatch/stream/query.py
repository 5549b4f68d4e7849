"""Reading: lake files, spool tail and events as relations that SQL can ask."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.store import EVENTS, Project
from llmwatch.stream import derived, event_views, fork, sql_guard
from llmwatch.stream.columns import Column, literal, quoted
from llmwatch.stream.duck import connect
from llmwatch.stream.kept import Kept
from llmwatch.stream.relation import Relation
from llmwatch.stream.snapshot import Snapshot

if TYPE_CHECKING:
    import duckdb

    from llmwatch.settings import Settings

TRIES = 20
_aside = count()
_EPOCH = datetime.fromtimestamp(0, timezone.utc)


@dataclass(frozen=True)
class Result:
    """The rows of one query, times as aware datetimes."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Reader:
    """A long-lived reader of a project's tables. Threads may share one.

    Each query sees every row written before it, in whatever process, exactly once; what it already
    read of the spool it keeps, so a later query reads only what is new.
    """

    def __init__(
        self, project: Project, settings: Settings | None = None, *, keep: bool = False
    ) -> None:
        """With `keep`, `hold` keeps lake files in memory and `hot.<t>` are views over them, without texts."""
        del settings
        self.project = project
        self._keep = keep
        self._lock = threading.RLock()
        self._opened: duckdb.DuckDBPyConnection | None = None
        self._running: dict[int, duckdb.DuckDBPyConnection] = {}
        self._interrupted: set[int] = set()
        self._steady: set[int] = set()
        self._relations: dict[str, Relation] = {}
        self._kept: dict[str, Kept] = {}

    @property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """Made when it is needed: also after `close`, as an exit handler that runs behind ours may still read."""
        with self._lock:
            if self._opened is None:
                self._opened = self._made()
                _open_readers.add(self)
            return self._opened

    def _made(self) -> duckdb.DuckDBPyConnection:
        database = connect(temporary=self.project.temporary)
        for schema in ("logged", "keyed", "said", "hot"):
            database.execute(f"CREATE SCHEMA {schema}")
        if self._keep:
            database.execute("ATTACH ':memory:' AS kept (COMPRESS)")
        return database

    def execute(
        self, sql: str, params: Sequence[Any] = (), tables: Sequence[str] = ("traces",)
    ) -> Result:
        """Run SQL of ours over views named after `tables` (in `logged.`, the user's keys come first)."""
        return self._run(sql, params, tables, user=False)

    def ask(self, sql: str, params: Sequence[Any] = (), tables: Sequence[str] = ()) -> Result:
        """Run one SELECT that a person wrote; anything else raises `QueryRefused`."""
        self.check(sql, tables)
        return self._run(sql, params, [*tables, EVENTS], user=True)

    def check(self, sql: str, tables: Sequence[str]) -> None:
        """Raise `QueryRefused` unless `sql` is one SELECT over `tables` and the events."""
        sql_guard.check(sql, {*tables, *event_views.NAMES}, self._database)

    def check_conditions(self, table: str, conditions: Sequence[str]) -> None:
        """Raise `QueryRefused` unless each is one condition, such as a person's SELECT may have.

        By itself and in parentheses: `a = 1) OR (1 = 1` is none by itself, `a = 1 LIMIT 1` and `a = 1 --` none in them.
        """
        for condition in conditions:
            for form in (condition, f"({condition})"):
                self.check(f"SELECT 1 FROM {quoted(table)} WHERE {form}", [table])

    def columns(self, table: str) -> tuple[Column, ...]:
        """The table's columns as of now."""
        self.refresh([table])
        with self._lock:
            return self._relations[table].columns

    def snapshot(self, table: str) -> Snapshot:
        """What the lake holds, as of the last refresh."""
        with self._lock:
            return self._relations[table].snapshot

    def refresh(self, tables: Sequence[str], *, derived: bool = True) -> None:
        """See what is there now; `derived` also what scores say for columns that rows have."""
        wanted = tuple(dict.fromkeys([EVENTS, *tables] if derived else tables))
        with self._lock:
            if self.is_steady and self._relations.keys() >= {*wanted}:
                return
            for attempt in range(TRIES):
                try:
                    self._look(wanted, derived=derived)
                    break
                except _file_gone():  # vacuumed after its name was read
                    if attempt == TRIES - 1:
                        raise

    @contextmanager
    def steady(self) -> Iterator[None]:
        """This thread's queries see the tables as they were last looked at, so that many questions of one moment
        cost one look; a table that was never looked at, or lost a file since, is looked at."""
        thread = threading.get_ident()
        self._steady.add(thread)
        try:
            yield
        finally:
            self._steady.discard(thread)

    @property
    def is_steady(self) -> bool:
        """Whether this thread is in such a block."""
        return threading.get_ident() in self._steady

    def _look(self, tables: Sequence[str], *, derived: bool) -> None:
        with self._at_once():
            for table in tables:
                if table not in self._relations:
                    self._relations[table] = self._related(table)
                said = self._relations[EVENTS] if derived and table != EVENTS else None
                self._relations[table].refresh(said)

    def _related(self, table: str) -> Relation:
        """A relation that knows nothing yet but what is in memory: files never change, so that is true as it was."""
        if self._keep and table not in self._kept:
            self._kept[table] = Kept(self._database)
        return Relation(self._database, self.project, table, kept=self._kept.get(table))

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """Other threads' queries see all of a refresh or nothing: never a tail without its new files."""
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            self._relations.clear()  # what they know of the tail was rolled back
            raise
        self._database.execute("COMMIT")

    def stream(
        self, sql: str, params: Sequence[Any] = (), tables: Sequence[str] = ("traces",)
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a query of ours one by one, no lock held between them."""
        cursor, moments = self._started(sql, params, tables, user=False)
        try:
            while batch := cursor.fetchmany(1000):
                yield from _moments(batch, moments)
        finally:
            cursor.close()

    def hold(self, table: str) -> None:
        """Keep the table's lake files in memory for `hot.<table>`; cheap when they are."""
        self.refresh([table])
        with self._lock:
            relation = self._relations[table]
        relation.hold()

    def set_aside(self, sql: str, params: Sequence[Any], tables: Sequence[str]) -> str:
        """Put the rows of a query into a table in memory and return its name, for queries of ours to come."""
        name = f"kept.main.aside_{next(_aside)}"
        made = f"CREATE TABLE {name} AS {sql}"
        self._asked(sql, tables, lambda cursor: cursor.execute(made, list(params)))
        return name

    def add_aside(
        self, name: str, sql: str, params: Sequence[Any], tables: Sequence[str]
    ) -> int:
        """Add the rows of a query to such a table; returns how many."""
        added = f"INSERT INTO {name} {sql}"
        done = self._asked(
            sql, tables, lambda cursor: cursor.execute(added, list(params)).fetchone()
        )
        return int(done[0]) if done else 0

    def put_away(self, name: str) -> None:
        """Drop a table that `set_aside` made."""
        with self._lock:  # a reader that is being closed refuses to be asked
            cursor = self._database.cursor()
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
        cursor.close()

    def interrupt(self, thread: int) -> None:
        """End the query that a thread (by its `threading.get_ident()`) runs, and refuse its next ones until `go_on`."""
        self._interrupted.add(thread)
        if (cursor := self._running.get(thread)) is not None:
            cursor.interrupt()

    def go_on(self, thread: int) -> None:
        """Answer a thread again that was interrupted."""
        self._interrupted.discard(thread)

    @contextmanager
    def _interruptible(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        import duckdb

        thread = threading.get_ident()
        self._running[thread] = cursor
        try:
            if thread in self._interrupted:
                raise duckdb.InterruptException("who asked is gone")
            yield
        finally:
            self._running.pop(thread, None)

    def arrays(
        self, sql: str, params: Sequence[Any] = (), tables: Sequence[str] = ("traces",)
    ) -> dict[str, Any]:
        """The columns as (masked) numpy arrays: for many numbers, in a fraction of the memory of rows."""
        found: dict[str, Any] = self._asked(
            sql, tables, lambda cursor: cursor.execute(sql, list(params)).fetchnumpy()
        )
        return found

    def arrow(
        self, sql: str, params: Sequence[Any] = (), tables: Sequence[str] = ("traces",)
    ) -> Any:
        """The result as a `pyarrow.Table`."""
        return self._asked(
            sql, tables, lambda cursor: cursor.sql(sql, params=list(params)).to_arrow_table()
        )

    def copy(
        self, sql: str, params: Sequence[Any], tables: Sequence[str], *, to: Path, options: str
    ) -> int:
        """Write the result to a file by DuckDB's COPY, which holds no more in memory than it must; returns how many rows."""
        copy = f"COPY ({sql}) TO {literal(str(to))} ({options})"
        if not to.parent.is_dir():
            raise FileNotFoundError(f"there is no directory {to.parent}")
        done = self._asked(
            sql, tables, lambda cursor: cursor.execute(copy, list(params)).fetchone()
        )
        return int(done[0]) if done else 0

    def _asked(self, sql: str, tables: Sequence[str], ask: Callable[[Any], Any]) -> Any:
        """What `ask` gets from a cursor; once more from the start when a file was vacuumed under it."""
        for attempt in range(TRIES):
            try:
                with closing(self._cursor(sql, tables)) as cursor, self._interruptible(cursor):
                    return ask(cursor)
            except _file_gone():
                if attempt == TRIES - 1:
                    raise
                self._start_over(tables)
        raise AssertionError("unreachable")

    def close(self) -> None:
        with self._lock:
            _open_readers.discard(self)
            self._relations.clear()
            self._kept.clear()
            # the object itself must go: DuckDB's binding complains at exit of each that is still there
            database, self._opened = self._opened, None
            if database is not None:
                database.close()

    def _cursor(
        self, sql: str, tables: Sequence[str], *, user: bool = False
    ) -> duckdb.DuckDBPyConnection:
        with self._lock:  # one step: a reader closed in between would be asked an empty database
            self.refresh(tables, derived=derived.named_in(sql))
            cursor = self._database.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute(f"SET search_path = '{'logged,' if user else ''}main,said'")
        return cursor

    def _run(self, sql: str, params: Sequence[Any], tables: Sequence[str], *, user: bool) -> Result:
        cursor, moments = self._started(sql, params, tables, user=user)
        with closing(cursor), self._interruptible(cursor):
            description = cursor.description or []
            rows = list(_moments(cursor.fetchall(), moments))
        return Result(
            [column[0] for column in description], [str(column[1]) for column in description], rows
        )

    def _started(
        self, sql: str, params: Sequence[Any], tables: Sequence[str], *, user: bool
    ) -> tuple[duckdb.DuckDBPyConnection, list[int]]:
        """A cursor that has run the query; once more from the start when a file was vacuumed under it."""
        for attempt in range(TRIES):
            try:
                return self._start(sql, params, tables, user=user)
            except _file_gone():
                if attempt == TRIES - 1:
                    raise
                self._start_over(tables)
        raise AssertionError("unreachable")

    def _start(
        self, sql: str, params: Sequence[Any], tables: Sequence[str], *, user: bool
    ) -> tuple[duckdb.DuckDBPyConnection, list[int]]:
        cursor = self._cursor(sql, tables, user=user)
        try:
            cursor.execute("BEGIN")  # one state of the views for both statements
            with self._interruptible(cursor):
                readable, moments = _readable(cursor, sql, params)
                cursor.execute(readable, params)
        except BaseException:
            cursor.close()
            raise
        return cursor, moments

    def _start_over(self, tables: Sequence[str]) -> None:
        """A file was vacuumed or erased under a query: look again."""
        with self._lock:
            for table in (*tables, EVENTS):
                self._relations.pop(table, None)


_open_readers: weakref.WeakSet[Reader] = weakref.WeakSet()


@atexit.register
def _close_readers() -> None:
    """Before the interpreter goes; in a forked child, only those that it opened itself."""
    for reader in list(_open_readers):
        with suppress(_busy()):  # a daemon thread is asking it: it goes with the process
            reader.close()


# a child leaves its parent's readers alone: see `duck`
fork.in_child(_open_readers.clear)


def streamed(database: duckdb.DuckDBPyConnection, sql: str) -> Iterator[dict[str, Any]]:
    """The records of a query on any database, one by one, times as aware datetimes."""
    cursor = database.cursor()
    readable, moments = _readable(cursor, sql, [])
    cursor.execute(readable)
    names = [column[0] for column in cursor.description or []]
    while batch := cursor.fetchmany(1000):
        for row in _moments(batch, moments):
            yield dict(zip(names, row, strict=True))


def _busy() -> type[Exception]:
    import duckdb

    return duckdb.Error


def _file_gone() -> type[Exception]:
    import duckdb

    return duckdb.IOException


def _readable(
    cursor: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any]
) -> tuple[str, list[int]]:
    """`sql` with times as integers, and which columns they are: DuckDB needs pytz for the others."""
    described = cursor.execute(f"DESCRIBE {sql}", params).fetchall()
    moments = [i for i, column in enumerate(described) if column[1] == "TIMESTAMP WITH TIME ZONE"]
    if not moments:
        return sql, []
    names = [f"c{i}" for i in range(len(described))]
    fields = ", ".join(
        (f"epoch_us({name})" if i in moments else name) + f" AS {quoted(column[0])}"
        for i, (name, column) in enumerate(zip(names, described, strict=True))
    )
    return f"SELECT {fields} FROM ({sql}) AS q({', '.join(names)})", moments


def _moments(rows: Sequence[tuple[Any, ...]], moments: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    if not moments:
        yield from rows
        return
    for row in rows:
        values = list(row)
        for i in moments:
            if values[i] is not None:
                values[i] = _EPOCH + timedelta(microseconds=values[i])
        yield tuple(values)
