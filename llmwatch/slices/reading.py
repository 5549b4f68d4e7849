"""Reads the rows of a table for a comparison: only the columns it needs, and of a large table a sample of whole users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from llmwatch.drift.reading import table_of
from llmwatch.errors import QueryRefused, SettingsError
from llmwatch.slices.contrast import Blocks
from llmwatch.slices.facets import LONGEST, Facet
from llmwatch.slices.metrics import Metric
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

BY = ("users", "sessions", "rows")
"""What rows may be put together by, the first that there is."""
FEWEST = 20
"""Users or sessions that a table must have for rows to be put together by them."""
_PARTS = 1_000_000
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Wanted:
    """What to read: which rows of a table, told apart by which columns, and which numbers of them."""

    table: str
    condition: str
    facets: Sequence[Facet] = ()
    metrics: Sequence[Metric] = ()
    every_call: bool = False
    by: str | None = None
    order: tuple[str, ...] = BY
    most_rows: int = 100_000
    side: str | None = None
    """SQL that says which of two sides a row is of."""


@dataclass(frozen=True)
class Rows:
    """The rows that were read: what each facet says of them, and the numbers of each metric (NaN where unknown)."""

    count: int
    shares: tuple[float, float]
    """Of the rows of each side, about the share that was read; where there are no sides, the second says it."""
    by: str
    ids: npt.NDArray[Any]
    blocks: Blocks
    within: Blocks
    """What rows of one user are put together by: their sessions, else nothing."""
    texts: dict[str, list[str | None]] = field(default_factory=dict)
    numbers: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    values: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    looked: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Of facets that were made of a sample only, the rows that were looked at."""
    times: Any = None
    side: Any = None


def has_steps(reader: Reader, table: str) -> bool:
    """Whether rows of the table have calls inside them."""
    sql = (
        f'SELECT 1 FROM keyed.{quoted(table)} AS r WHERE r."llmwatch parent_id" IS NOT NULL LIMIT 1'
    )
    return bool(reader.execute(sql, (), [table]).rows)


def conditions(selected: str, *, every_call: bool) -> str:
    """Finished rows of a selection; without `every_call` those that are no call inside another."""
    parts = [f"({selected})", "r.\"llmwatch status\" IS DISTINCT FROM 'running'"]
    if not every_call:
        parts.append('r."llmwatch parent_id" IS NULL')
    return " AND ".join(parts)


def read(reader: Reader, wanted: Wanted) -> Rows:
    """The rows. A sample is of whole users (or sessions), drawn by the hash of their names: the same ones each time."""
    who = _who(reader, wanted.table)
    counts, by = _counted(reader, wanted, who)
    shares = _shares(counts, wanted.most_rows)
    owner = _owner(who, by)
    fields = {"id": 'r."llmwatch id"', "at": 'epoch_us(r."llmwatch ts")', "owner": f"hash({owner})"}
    fields["session"] = f"hash({_owner(who, 'sessions')})"
    fields |= {f"f{n}": _shown(facet) for n, facet in enumerate(wanted.facets)}
    fields |= {f"m{n}": metric.sql for n, metric in enumerate(wanted.metrics)}
    fields["side"] = wanted.side or "true"
    drawn = f" AND {_drawn(owner, shares, fields['side'])}" if min(shares) < 1 else ""
    selected = ", ".join(f"{sql} AS {name}" for name, sql in fields.items())
    sql = f"SELECT {selected} FROM {joined(wanted.table, wanted.facets, wanted.metrics)} WHERE {wanted.condition}{drawn}"
    return _rows(reader.arrays(sql, (), tables(wanted.table)), wanted, by, shares)


def _shares(counts: tuple[int, int], most: int) -> tuple[float, float]:
    """Of each side, the share that is read: a small side whole, and of both together at most so many rows."""
    smaller = min(counts[0], counts[1], most // 2)
    first, second = (min(count, max(most // 2, most - smaller)) for count in counts)
    return first / max(1, counts[0]), second / max(1, counts[1])


def _drawn(owner: str, shares: tuple[float, float], side: str) -> str:
    limits = [round(share * _PARTS) for share in shares]
    return f"hash({owner}) % {_PARTS} < CASE WHEN {side} THEN {limits[1]} ELSE {limits[0]} END"


def _counted(reader: Reader, wanted: Wanted, who: dict[str, str]) -> tuple[tuple[int, int], str]:
    """How many rows there are of each side, and what they are put together by."""
    of = ", ".join(f"count({sql}), approx_count_distinct({sql})" for sql in who.values())
    second = f"count(*) FILTER ({wanted.side or 'true'})"
    sql = f"SELECT count(*), {second}, {of} FROM {source(wanted.table)} WHERE {wanted.condition}"
    (total, after, *counted) = reader.execute(sql, (), tables(wanted.table)).rows[0]
    counts = total - after, after
    if wanted.by is not None:
        if wanted.by not in BY:
            raise SettingsError(f"rows are put together by {', '.join(BY)}, not by {wanted.by!r}")
        return counts, wanted.by
    found = dict(zip(who, zip(counted[::2], counted[1::2], strict=True), strict=True))
    for name in wanted.order:
        rows, different = found.get(name, (total, total))
        if name == "rows" or (different >= FEWEST and 2 * rows >= total):
            return counts, name
    return counts, "rows"


def units(reader: Reader, table: str, condition: str, by: str | None) -> tuple[str, str]:
    """What rows are put together by, and the SQL that names it for each row."""
    who = _who(reader, table)
    _, name = _counted(reader, Wanted(table, condition, by=by), who)
    return name, _owner(who, name)


def _who(reader: Reader, name: str) -> dict[str, str]:
    table = table_of(reader, name)
    return {"users": table.group("user_id"), "sessions": table.group("session_id")}


def _owner(who: dict[str, str], by: str) -> str:
    return f'coalesce({who[by]}, r."llmwatch id")' if by in who else 'r."llmwatch id"'


def _within(sessions: Any, count: int) -> Blocks:
    """By session, where rows have one."""
    made = Blocks.named(np.ma.getdata(sessions))
    return made if FEWEST <= made.count < count else Blocks.each(count)


def _shown(facet: Facet) -> str:
    return facet.sql if facet.kind == "number" else f"left(CAST({facet.sql} AS VARCHAR), {LONGEST})"


def source(table: str) -> str:
    return f"keyed.{quoted(table)} AS r"


def joined(table: str, facets: Sequence[Facet], metrics: Sequence[Metric]) -> str:
    """The table with what its facets and metrics are read from beside it."""
    joins = [join for metric in metrics for join in metric.joins]
    used = [facet.sql for facet in facets] + [metric.sql for metric in metrics]
    if any("tr." in sql for sql in used):
        joins.insert(0, _traces(table))
    return " ".join([source(table), *joins])


def _traces(table: str) -> str:
    """What the calls of a trace cost together, and the models that they asked."""
    models = 'string_agg(DISTINCT k."llmwatch model", \' + \' ORDER BY k."llmwatch model")'
    return (
        'LEFT JOIN (SELECT k."llmwatch trace_id" AS "llmwatch of trace", sum(k."llmwatch cost_usd") AS "llmwatch trace cost", '
        f'{models} AS "llmwatch trace model" FROM keyed.{quoted(table)} AS k WHERE k."llmwatch trace_id" IS NOT NULL GROUP BY 1) '
        'AS tr ON tr."llmwatch of trace" = r."llmwatch trace_id"'
    )


def tables(table: str) -> list[str]:
    """The table and what was said about its rows, which a person's condition may ask for too."""
    return [table, EVENTS]


def check(reader: Reader, table: str, conditions: Sequence[str | None]) -> None:
    """`QueryRefused` unless each is one condition over columns that the table has."""
    import duckdb

    asked = [condition for condition in conditions if condition]
    reader.check_conditions(table, asked)
    for condition in asked:
        try:
            reader.execute(
                f"SELECT 1 FROM {source(table)} WHERE {condition} LIMIT 0", (), tables(table)
            )
        except duckdb.Error as error:
            raise QueryRefused(
                f"the condition {condition!r} cannot be asked of {table}: {error}"
            ) from None


def _rows(found: dict[str, Any], wanted: Wanted, by: str, shares: tuple[float, float]) -> Rows:
    count = len(found["id"])
    owner = np.ma.getdata(found["owner"])
    rows = Rows(
        count,
        shares,
        by,
        np.ma.getdata(found["id"]),
        Blocks.each(count) if by == "rows" else Blocks.named(owner),
        _within(found["session"], count) if by != "rows" else Blocks.each(count),
        values={m.name: numbers(found[f"m{n}"]) for n, m in enumerate(wanted.metrics)},
        times=np.ma.getdata(found["at"]),
        side=np.ma.getdata(found["side"]).astype(bool),
    )
    for n, facet in enumerate(wanted.facets):
        if facet.kind == "number":
            rows.numbers[facet.name] = numbers(found[f"f{n}"])
        else:
            rows.texts[facet.name] = texts(found[f"f{n}"])
    return rows


def numbers(values: Any) -> npt.NDArray[np.float64]:
    """A column as floats, NaN where there is none; what is infinite is none either."""
    made = np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
    return np.where(np.isfinite(made), made, np.nan)


def texts(values: Any) -> list[str | None]:
    listed: list[Any] = np.ma.getdata(values).tolist()
    mask = np.ma.getmaskarray(values)
    if not mask.any():
        return listed
    return [None if gone else value for value, gone in zip(listed, mask.tolist(), strict=True)]
