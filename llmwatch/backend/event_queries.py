"""Queries over events (feedback, costs) that Weave's clients make: fields, conditions, order, pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.backend import wire
from llmwatch.backend.expressions import condition
from llmwatch.backend.fields import Field
from llmwatch.backend.fragments import Fragment, all_of, joined, sql
from llmwatch.store import EVENTS

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

COLUMNS = ("id", "row_id", "name", "value", "creator", "attributes", "ts")
Row = dict[str, Any]
_SCORES_AS_FEEDBACK = (
    "(SELECT * FROM events UNION ALL SELECT * REPLACE ('feedback' AS kind, 'wandb.runnable.' || name AS name, "
    "json_object('output', value::JSON)::VARCHAR AS value) FROM scores WHERE kind = 'score')"
)
"""To Weave, what a scorer of the worker's said is the feedback that a runnable gave."""


class EventQuery:
    """A query over the live events of one kind. `find` says what a field path means in SQL over `f`."""

    def __init__(
        self, kind: str, find: Callable[[str], Field], req: Mapping[str, Any], *also: Fragment
    ) -> None:
        asked = condition(req.get("query"), find)
        self._where = all_of([Fragment("f.kind = ?", (kind,)), asked, *also])
        self._from = _SCORES_AS_FEEDBACK if kind == "feedback" else "events"
        self._find, self._req = find, req

    def rows(self, reader: Reader) -> list[Row]:
        """The events of the page, `value` and `attributes` parsed."""
        names = ", ".join(f"f.{name}" for name in COLUMNS)
        found = sql(
            f"SELECT {names} FROM {self._from} f WHERE {{}} ORDER BY {{}}{{}}",
            self._where,
            self._order(),
            self._page(),
        )
        return [_row(row) for row in reader.execute(found.text, found.params, (EVENTS,)).rows]

    def count(self, reader: Reader) -> int:
        found = sql(f"SELECT count(*) FROM {self._from} f WHERE {{}}", self._where)
        return int(reader.execute(found.text, found.params, (EVENTS,)).rows[0][0])

    def _order(self) -> Fragment:
        """As asked for; ties, and everything by default, in the order of insertion."""
        terms = [
            sql(
                "{} "
                + ("DESC" if str(o["direction"]).lower() == "desc" else "ASC")
                + " NULLS LAST",
                self._find(o["field"]).one,
            )
            for o in self._req.get("sort_by") or []
        ]
        return joined(", ", [*terms, Fragment("f.ts, f.writer, f.seq")])

    def _page(self) -> Fragment:
        limit, offset = self._req.get("limit"), self._req.get("offset")
        text = f" LIMIT {int(limit)}" if limit is not None else ""
        return Fragment(text + (f" OFFSET {int(offset)}" if offset else ""))


def _row(values: tuple[Any, ...]) -> Row:
    row = dict(zip(COLUMNS, values, strict=True))
    row["value"] = None if row["value"] is None else wire.loads(row["value"])
    row["attributes"] = {} if row["attributes"] is None else wire.loads(row["attributes"])
    return row


def ids_only(query: Mapping[str, Any]) -> list[str] | None:
    """The ids of a query that is `$eq id`, `$in id` or an `$or` of them; None when it is anything else."""
    expr = query.get("$expr", query)
    if "$or" in expr:
        found = [ids_only(each) for each in expr["$or"]]
        return None if None in found else [one for ids in found if ids for one in ids]
    operands = expr.get("$eq") or expr.get("$in")
    if not operands or len(expr) != 1 or operands[0] != {"$getField": "id"}:
        return None
    literals = operands[1] if "$in" in expr else [operands[1]]
    return [literal["$literal"] for literal in literals if "$literal" in literal]
