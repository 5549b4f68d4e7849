"""A request for calls as SQL: its conditions, its order, its page, and the tables it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmwatch.backend import wire
from llmwatch.backend.call_fields import CallFields, filter_conditions
from llmwatch.backend.expressions import condition
from llmwatch.backend.fields import as_number
from llmwatch.backend.fragments import Fragment, all_of, joined, sql
from llmwatch.store import EVENTS

TABLE = "traces"
_BY_START = [{"field": "started_at", "direction": "asc"}]


class CallQuery:
    """What a calls_query request asks for, apart from what its answers look like.

    `resolved` holds the values of the refs that filters and sorts lead through.
    """

    def __init__(self, req: Mapping[str, Any], resolved: Mapping[str, Any] | None = None) -> None:
        self._req, self._resolved = req, resolved or {}
        self._expanded = list(req.get("expand_columns") or [])
        self._fields = CallFields(req["project_id"], self._expanded)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables whose views the query reads."""
        asked = f"{self._req.get('query')}{self._req.get('sort_by')}"
        return (TABLE, EVENTS) if "feedback." in asked else (TABLE,)

    @property
    def follows_refs(self) -> bool:
        """Whether a filter or sort may lead through an expanded column."""
        asked = f"{self._req.get('query')}{self._req.get('sort_by')}"
        return any(f"{column}." in asked for column in self._expanded)

    def select(self, columns: str) -> Fragment:
        """The calls of the page, in order."""
        inner = sql(
            'FROM "traces" c WHERE {} ORDER BY {}{}', self.where(), self._order(), self._page()
        )
        return sql("{}SELECT {} {}", self._with(), columns, inner)

    def count(self) -> Fragment:
        inner = sql('SELECT 1 FROM "traces" c WHERE {}{}', self.where(), self._page())
        return sql("{}SELECT count(*) FROM ({}) AS found", self._with(), inner)

    def where(self) -> Fragment:
        found = filter_conditions(self._req.get("filter"))
        return all_of([*found, condition(self._req.get("query"), self._fields.find)])

    def refs_at(self, column: str) -> Fragment:
        """The distinct refs at an expanded column, whatever calls are asked for."""
        ref = self._fields.find(column).sql
        text = f'{{}}SELECT DISTINCT ref FROM (SELECT {{}} AS ref FROM "{TABLE}" c)'
        return sql(text + " WHERE starts_with(ref, 'weave:///')", self._with(), ref)

    def _with(self) -> Fragment:
        if not self._expanded:
            return Fragment("")
        pairs = "SELECT unnest(?::VARCHAR[]) AS ref, unnest(?::VARCHAR[]) AS val"
        values = [wire.dumps(value).decode() for value in self._resolved.values()]
        return Fragment(f"WITH resolved AS ({pairs}) ", (list(self._resolved), values))

    def _order(self) -> Fragment:
        """By the request's order; ties by id, because pages must not overlap."""
        given = self._req.get("sort_by")
        orders = [_order(each) for each in (_BY_START if given is None else given)]
        last = orders[-1][1] if orders else "ASC"
        return joined(", ", [*(self._by(*each) for each in orders), Fragment(f"c.id {last}")])

    def _by(self, path: str, direction: str) -> Fragment:
        """Present before missing in both directions; then numbers, then text."""
        field = self._fields.find(path)
        if field.kind != "text":
            return sql(f"{{}} {direction} NULLS LAST", field.one)
        text = field.one
        number = sql(f"{{}} {direction} NULLS LAST", as_number(text))
        return joined(", ", [sql("({} IS NULL)", text), number, sql(f"{{}} {direction}", text)])

    def _page(self) -> Fragment:
        limit, offset = self._req.get("limit"), self._req.get("offset")
        text = f" LIMIT {int(limit)}" if limit is not None else ""
        return Fragment(text + (f" OFFSET {int(offset)}" if offset else ""))


def _order(given: Mapping[str, str]) -> tuple[str, str]:
    from weave.trace.errors import InvalidRequest

    direction = str(given.get("direction", "asc")).upper()
    if direction not in {"ASC", "DESC"}:
        raise InvalidRequest(f"a sort direction is asc or desc, not {given['direction']!r}")
    return given["field"], direction
