"""Rows for a table that scrolls: pages from anywhere in any order, at a million rows as at ten."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmwatch.board.choice import Choice
from llmwatch.board.searches import Progress, searched_by_now
from llmwatch.board.source import Seen, Source
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

PREVIEW = 240
"""Characters of a text that a cell of the table is given."""
MOST_ROWS = 500
MOST_COLUMNS = 60
_USUALLY = 30
_SCATTERED = 30_000
_NOT_KEPT = frozenset({"llmwatch trace_id", "llmwatch turn_id", "llmwatch exception"})
_KEPT_ORDERS = 6
_TELLING = {
    "llmwatch inputs": (
        "$.messages[#-1].content",
        "$.question",
        "$.query",
        "$.prompt",
        "$.input",
        "$.text",
    ),
    "llmwatch output": (
        "$.choices[0].message.content",
        "$.answer",
        "$.output_text",
        "$.content",
        "$.text",
    ),
}
"""What of a call says most in one line, by where it lies; the whole is shown when the row is opened."""
_ALWAYS = ("id", "trace_id", "parent_id", "status")


@dataclass(frozen=True)
class Sort:
    """By a column, or by the time recorded when there is none."""

    column: str | None = None
    descending: bool = True

    @classmethod
    def parse(cls, text: str | None) -> Sort:
        if not text or text in ("-timestamp", "timestamp"):
            return cls(None, text != "timestamp")
        return cls(text[1:], True) if text.startswith("-") else cls(text, False)


class Orders:
    """The times of the rows of a choice, in the order of a sort: where any page of them begins and ends.

    Eight bytes a row; the last few are kept, so scrolling asks for rows only.
    """

    def __init__(self) -> None:
        self._orders: OrderedDict[object, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, source: Source, choice: Choice, sort: Sort, extra: str) -> NDArray[Any]:
        key = (source.id, source.seen()[0], choice, sort, extra)
        with self._lock:
            if (found := self._orders.get(key)) is not None:
                self._orders.move_to_end(key)
                return found
        made = self._make(source, choice, sort, extra)
        with self._lock:
            self._orders[key] = made
            while len(self._orders) > _KEPT_ORDERS:
                self._orders.popitem(last=False)
        return made

    def clear(self) -> None:
        with self._lock:
            self._orders.clear()

    @staticmethod
    def _make(source: Source, choice: Choice, sort: Sort, extra: str) -> NDArray[Any]:
        import duckdb

        where, params = choice.where()
        ordered = f" ORDER BY {_order(source, sort)}" if sort.column else ""
        sql = f'SELECT epoch_us("llmwatch ts") AS at FROM hot.{quoted(source.table)} WHERE {where}{extra}{ordered}'
        tables = (source.table, EVENTS) if choice.says else (source.table,)
        try:
            found: NDArray[Any] = source.reader.arrays(sql, params, tables)["at"]
        except duckdb.BinderException:
            found = source.reader.arrays(
                sql.replace("FROM hot.", "FROM keyed.", 1), params, tables
            )["at"]
        return found if sort.column else _by_time(found, sort)


def _by_time(times: NDArray[Any], sort: Sort) -> NDArray[Any]:
    """Rows lie nearly by time: numpy has them in order in a fraction of what a database needs."""
    import numpy as np

    ordered = np.sort(times, kind="stable")
    return ordered[::-1] if sort.descending else ordered


def _order(source: Source, sort: Sort) -> str:
    down = "DESC" if sort.descending else "ASC"
    ties = f'"llmwatch ts" {down}, "llmwatch writer" {down}, "llmwatch seq" {down}'
    if sort.column is None:
        return ties
    return f"{source.sql_of(sort.column)} {down} NULLS LAST, {ties}"


@dataclass(frozen=True)
class Page:
    """A page of rows: columns, values row by row, what was said about them, and how many there are in all."""

    columns: list[str]
    rows: list[list[Any]]
    said: dict[str, list[dict[str, Any]]]
    total: int | None
    progress: Progress | None = None
    """For a text search: how many rows were looked through by now; `total` is what they had."""
    thin: bool = False
    """Whether texts are left out: `at` and `ids` ask for them."""

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": self.columns,
            "rows": self.rows,
            "said": self.said,
            "total": self.total,
            "searched": self.progress.searched if self.progress else None,
            "of": self.progress.of if self.progress else None,
            "thin": self.thin,
        }


def page(source: Source, orders: Orders, choice: Choice, asked: Mapping[str, Any]) -> Page:
    """Rows `offset` to `offset + limit` of the choice in the order asked for."""
    sort = Sort.parse(asked.get("sort"))
    offset = max(0, int(asked.get("offset") or 0))
    limit = min(MOST_ROWS, max(1, int(asked.get("limit") or 100)))
    columns = _columns(source, asked.get("columns"))
    extra = ' AND "llmwatch parent_id" IS NULL' if asked.get("roots") else ""
    if asked.get("at"):
        return _texts(source, columns, asked)
    if choice.search:
        return _searched(source, choice, sort, extra, columns, offset, limit)
    order = orders.get(source, choice, sort, extra)
    times = order[offset : offset + limit].tolist()
    if sort.column is not None and len(order) > _SCATTERED:
        rows = _fetched(
            source, choice, sort, extra, columns, times, skip=_ties(order, offset), thin=True
        )
        return Page(
            [seen.name for seen in columns], rows, said_about(source, rows), len(order), thin=True
        )
    rows = _fetched(source, choice, sort, extra, columns, times, skip=_ties(order, offset))
    return Page([seen.name for seen in columns], rows, said_about(source, rows), len(order))


def _texts(source: Source, columns: Sequence[Seen], asked: Mapping[str, Any]) -> Page:
    """Rows whole, by their times and ids: those of a sorted page lie all over the lake, so it shows what is kept in
    memory at once, and asks for the texts of the rows that are looked at."""
    times = [int(time) for time in asked["at"]][:MOST_ROWS]
    ids = {str(row_id) for row_id in asked.get("ids") or ()}
    at = ", ".join(f"make_timestamptz({time})" for time in times)
    sql = f'SELECT {", ".join(map(_cell, columns))} FROM keyed.{quoted(source.table)} WHERE "llmwatch ts" IN ({at})'
    rows = [list(row) for row in source.execute(sql).rows if row[0] in ids]
    return Page([seen.name for seen in columns], rows, {}, None)


def _columns(source: Source, asked: Any) -> list[Seen]:
    """The columns to show, after those that every row has for the page itself."""
    known = source.columns()
    names = (
        asked
        if isinstance(asked, list) and asked
        else [n for n, seen in known.items() if seen.known > 0]
    )
    own = [Seen(f"_{name}", "text", f"llmwatch {name}", 1.0) for name in _ALWAYS]
    at = Seen("_at", "time", "llmwatch ts", 1.0)
    return [*own, at, *(known[name] for name in names[:MOST_COLUMNS] if name in known)]


def _ties(order: NDArray[Any], offset: int) -> int:
    """How many rows before the page have the time of its first row: its query finds them too."""
    count = 0
    while offset and offset - count > 0 and order[offset - count - 1] == order[offset : offset + 1]:
        count += 1
    return count


def _fetched(
    source: Source,
    choice: Choice,
    sort: Sort,
    extra: str,
    columns: Sequence[Seen],
    times: list[int],
    *,
    skip: int,
    thin: bool = False,
) -> list[list[Any]]:
    if not times:
        return []
    where, params = choice.where()
    if sort.column is None:
        at = f'"llmwatch ts" BETWEEN make_timestamptz({min(times)}) AND make_timestamptz({max(times)})'
    else:
        at = f'"llmwatch ts" IN ({", ".join(f"make_timestamptz({time})" for time in sorted(set(times)))})'
    cells = [_thin(seen) if thin else _cell(seen) for seen in columns]
    view = "hot" if thin else "keyed"
    sql = (
        f"SELECT {', '.join(cells)} FROM {view}.{quoted(source.table)} "
        f"WHERE {at} AND {where}{extra} ORDER BY {_order(source, sort)} LIMIT {len(times)} OFFSET {skip}"
    )
    import duckdb

    try:
        return [list(row) for row in source.execute(sql, params, events=choice.says).rows]
    except duckdb.BinderException:
        if not thin:
            raise
        # a filter over a text: there is no thin answer to that
        return _fetched(source, choice, sort, extra, columns, times, skip=skip)


def _thin(seen: Seen) -> str:
    long = seen.type in ("json", "bytes") or seen.sql in _NOT_KEPT
    return "NULL" if long else _cell(seen)


def _cell(seen: Seen) -> str:
    """A cell's value: a text is cut, for the row itself shows the whole of it."""
    name = quoted(seen.sql)
    if seen.type == "time":
        return f"epoch_us({name})"
    if (paths := _TELLING.get(seen.sql)) is not None:
        told = ", ".join(f"{name}->>'{path}'" for path in paths)
        return f"left(coalesce({told}, {name}), {PREVIEW})"
    if seen.type in ("text", "json"):
        return f"left({name}, {PREVIEW})"
    if seen.type == "bytes":
        return f"octet_length({name})"
    return (
        f"CASE WHEN isfinite({name}) THEN {name} END"
        if seen.type == "number" and _is_float(seen)
        else name
    )


def _is_float(seen: Seen) -> bool:
    return seen.sql.removeprefix("llmwatch ") in ("latency_ms", "ttft_ms", "cost_usd")


# --- text search ---------------------------------------------------------------------------


def _searched(
    source: Source,
    choice: Choice,
    sort: Sort,
    extra: str,
    columns: Sequence[Seen],
    offset: int,
    limit: int,
) -> Page:
    """What was found by now, and how far the search is: the page asks again until it is done."""
    import duckdb

    choice, progress = searched_by_now(source, choice, offset + limit)
    where, params = choice.where(searched=False)
    sql = (
        f"SELECT {', '.join(map(_thin, columns))}, count(*) OVER () FROM hot.{quoted(source.table)} "
        f"WHERE {where} AND {choice.found}{extra} ORDER BY {_order(source, sort)} LIMIT {limit} OFFSET {offset}"
    )
    try:
        told = source.execute(sql, params, events=choice.says).rows
    except duckdb.BinderException:
        whole = sql.replace("FROM hot.", "FROM keyed.", 1)
        told = source.execute(whole, params, events=choice.says).rows
    rows = [list(row[:-1]) for row in told]
    total = told[0][-1] if told else offset
    names = [seen.name for seen in columns]
    return Page(names, rows, said_about(source, rows), total, progress, thin=True)


# --- what was said about them --------------------------------------------------------------


def said_about(source: Source, rows: Sequence[Sequence[Any]]) -> dict[str, list[dict[str, Any]]]:
    """Feedback, scores and labels of some rows, by row id."""
    ids = [row[0] for row in rows]
    if not ids:
        return {}
    views = " UNION ALL ".join(
        f"SELECT row_id, id, kind, name, left(value, {PREVIEW * 4}) AS value, creator, epoch_us(ts) AS at, writer, seq "
        f"FROM said.{view} WHERE row_id IN (SELECT unnest(?::VARCHAR[]))"
        for view in ("feedback", "scores", "labels")
    )
    sql = f'SELECT * EXCLUDE (writer, seq) FROM ({views}) ORDER BY kind, "at", writer, seq'
    found: dict[str, list[dict[str, Any]]] = {}
    for event in source.reader.execute(sql, [ids] * 3, (EVENTS,)).dicts():
        found.setdefault(event.pop("row_id"), []).append(event)
    return found


def newest(source: Source, choice: Choice, since: int) -> int:
    """How many rows of the choice were recorded after a time."""
    where, params = choice.between(since + 1, None).where()
    sql = f"SELECT count(*) FROM keyed.{quoted(source.table)} WHERE {where}"
    return int(source.execute(sql, params, events=choice.says).rows[0][0])
