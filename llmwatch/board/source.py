"""A table as a board sees it: which columns there are for a person, and how rows are chosen from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.board.changes import mark
from llmwatch.board.remembered import Remembered
from llmwatch.board.searches import Searches
from llmwatch.errors import InvalidBoard
from llmwatch.store import EVENTS, Project
from llmwatch.stream.columns import quoted
from llmwatch.stream.query import Reader
from llmwatch.stream.rows import shown_columns

if TYPE_CHECKING:
    from llmwatch.stream.query import Result

SAMPLE = 20_000
"""Rows that are looked at to learn which columns have something in them."""
_TYPES = {
    "BIGINT": "number",
    "DOUBLE": "number",
    "BOOLEAN": "bool",
    "TIMESTAMPTZ": "time",
    "BLOB": "bytes",
}
_HIDDEN = frozenset({"embedding"})
_EVENT_COLUMNS = {
    "name": "text",
    "number": "number",
    "text": "text",
    "creator": "text",
    "row_id": "text",
    "timestamp": "time",
}


@dataclass(frozen=True)
class Seen:
    """A column as the page lists it: its name, its type for a person, and how often it is known."""

    name: str
    type: str
    sql: str
    known: float

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.type, "known": round(self.known, 4)}


class Source:
    """One table, asked through one reader that threads share."""

    def __init__(self, project: Project, table: str, reader: Reader) -> None:
        self.project, self.table, self.reader = project, table, reader
        self._lock = threading.Lock()
        self._learnt: tuple[object, dict[str, Seen]] | None = None
        self._looking = threading.Lock()
        self._extent: tuple[str, tuple[int, int] | None] | None = None
        self.searches = Searches(self)
        self.answers = Remembered(lambda: self.seen()[0])

    @property
    def id(self) -> str:
        return f"{self.project.id}/{self.table}"

    def columns(self) -> dict[str, Seen]:
        """The columns by the name a person knows; learnt anew when the table gains columns or its first rows."""
        mark = (self.reader.columns(self.table), self.reader.snapshot(self.table).version < 0)
        with self._lock:
            if self._learnt is None or self._learnt[0] != mark or not self._learnt[1]:
                self._learnt = (mark, self._learn())
            return self._learnt[1]

    def _learn(self) -> dict[str, Seen]:
        shown = self._shown()
        if not shown:
            return {}
        ours = {sql for sql in shown.values() if sql.startswith("llmwatch ")}
        rows, known = self._known_of_ours(sorted(ours))
        if len(ours) < len(shown):
            known |= self._known_of_theirs()
        types = self._types(shown)
        return {
            name: Seen(name, types[name], sql, known.get(sql, 0) / max(1, rows))
            for name, sql in shown.items()
        }

    def _known_of_ours(self, columns: list[str]) -> tuple[int, dict[str, int]]:
        """How many rows a sample has, and in how many each column of ours is known."""
        counts = "".join(f", count({quoted(name)})" for name in columns)
        sample = f"(SELECT * FROM keyed.{quoted(self.table)} LIMIT {SAMPLE})"
        rows, *known = self.execute(f"SELECT count(*){counts} FROM {sample}").rows[0]
        return rows, dict(zip(columns, known, strict=True))

    def _known_of_theirs(self) -> dict[str, int]:
        """The same for logged keys: out of the whole text at once, as a row in the spool may have hundreds."""
        sample = (
            f"(SELECT data FROM main.{quoted(self.table)} WHERE data IS NOT NULL LIMIT {SAMPLE})"
        )
        keys = f"(SELECT unnest(json_keys(data)) AS k FROM {sample})"
        return dict(self.execute(f"SELECT k, count(*) FROM {keys} GROUP BY 1").rows)

    def _shown(self) -> dict[str, str]:
        columns = self.reader.columns(self.table)
        kinds = self.execute(
            "SELECT bool_or(data IS NULL OR started_at IS NOT NULL), bool_or(data IS NOT NULL) "
            f"FROM (SELECT data, started_at FROM main.{quoted(self.table)} LIMIT {SAMPLE})"
        ).rows[0]
        if kinds == (None, None):
            return {}
        shown = shown_columns(columns, calls=bool(kinds[0]), dicts=bool(kinds[1]))
        return {name: sql for name, sql in shown.items() if name not in _HIDDEN}

    def _types(self, shown: Mapping[str, str]) -> dict[str, str]:
        columns = self.reader.columns(self.table)
        by_sql = {c.key if c.key is not None else f"llmwatch {c.name}": c for c in columns}
        return {
            name: "json" if by_sql[sql].json else _TYPES.get(by_sql[sql].shown_type, "text")
            for name, sql in shown.items()
        }

    def column(self, name: str) -> Seen:
        """The column that a person named; the error says which there are."""
        columns = self.columns()
        if name in columns:
            return columns[name]
        close = get_close_matches(name, columns, n=1)
        hint = (
            f"; did you mean {close[0]!r}?"
            if close
            else f"; it has {', '.join(columns) or 'no rows yet'}"
        )
        raise InvalidBoard(f"{self.table} has no column {name!r}{hint}")

    def sql_of(self, name: str) -> str:
        """The quoted name that a column has in `keyed.` and `hot.`."""
        return quoted(self.column(name).sql)

    @property
    def is_calls(self) -> bool:
        return "op_name" in self.columns()

    def execute(self, sql: str, params: Sequence[Any] = (), *, events: bool = False) -> Result:
        tables = (self.table, EVENTS) if events else (self.table,)
        return self.reader.execute(sql, params, tables)

    @contextmanager
    def steady(self) -> Iterator[None]:
        """What is asked in the block is asked of the table as it was last looked at."""
        with self.reader.steady():
            yield

    def look(self) -> tuple[str, tuple[int, int] | None]:
        """See what is there now: a mark of it, and how far it reaches. The mark is taken first, so that rows that
        come meanwhile make another mark; one looks at a time, so that an older look never replaces a newer one."""
        with self._looking:
            now = mark(self.project, self.table)
            self.reader.refresh([self.table])
            if self._extent is None or self._extent[0] != now:
                self._extent = (now, self._ask_extent())
            return self._extent

    def seen(self) -> tuple[str, tuple[int, int] | None]:
        """The last look, where the table is held steady; a new one elsewhere."""
        return self._extent if self.reader.is_steady and self._extent else self.look()

    def extent(self) -> tuple[int, int] | None:
        """The times of the first and the last row, in microseconds; None when there is no row."""
        return self.seen()[1]

    def _ask_extent(self) -> tuple[int, int] | None:
        found = self.execute(
            f'SELECT epoch_us(min("llmwatch ts")), epoch_us(max("llmwatch ts")) FROM hot.{quoted(self.table)}'
        ).rows[0]
        return None if found[0] is None else (int(found[0]), int(found[1]))


def event_column(name: str) -> str:
    """The quoted name of a column of scores, feedback or labels."""
    if name not in _EVENT_COLUMNS:
        raise InvalidBoard(f"events have no column {name!r}; they have {', '.join(_EVENT_COLUMNS)}")
    return quoted("ts" if name == "timestamp" else name)


@contextmanager
def opened(table: str, store: str | Path | None = None) -> Iterator[Source]:
    """A source for as long as the block lasts: for code that asks once."""
    from llmwatch.names import parse_table
    from llmwatch.store import open_store

    where = parse_table(table)
    project = open_store(store).project(where.entity, where.project)
    reader = Reader(project, keep=True)
    try:
        yield Source(project, where.table, reader)
    finally:
        reader.close()
