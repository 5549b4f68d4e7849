"""One panel's questions to a table, and how those of several panels are answered in one pass over its rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llmwatch.board.choice import Choice
from llmwatch.board.source import Source, event_column
from llmwatch.board.spec import Panel
from llmwatch.stream.columns import quoted

Answer = dict[str, Any]
Rows = list[tuple[Any, ...]]
_TELLING = ("score", "value", "confidence", "probability", "stars", "rating", "passed", "flagged")
_AS_NUMBER = "coalesce(try_cast(value->>'$.{0}' AS DOUBLE), try_cast(value->>'$.{0}' AS BOOLEAN)::INT::DOUBLE)"
_NUMBER = f"coalesce(number, {', '.join(map(_AS_NUMBER.format, _TELLING))})"
_TEXT = "coalesce(text, value->>'$.emoji', value->>'$.note', value->>'$.label')"
"""What was said, as a number or a text, also where it is one field of an object."""


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of a column: one value for one share, else a list. Together, those of a column are sorted for once."""

    column: str
    shares: tuple[float, ...]

    @property
    def sql(self) -> str:
        return f"quantile_cont({self.column}, [{', '.join(map(str, self.shares))}])"

    def of(self, found: Any, shares: Sequence[float]) -> Any:
        """These out of what was found for `shares`."""
        if found is None:
            return None
        values = [found[shares.index(share)] for share in self.shares]
        return values if len(values) > 1 else values[0]


Measured = str | Quantiles
"""An SQL aggregate."""


@dataclass(frozen=True)
class Asked:
    """One panel's question: of which source, about which rows, grouped by what."""

    source: Source
    panel: Panel
    choice: Choice

    def column(self, name: str) -> str:
        return event_column(name) if self.panel.source else self.source.sql_of(name)

    def wish(
        self,
        keys: Sequence[str],
        *measures: Measured,
        also: str = "",
        rest: str = "",
        choice: Choice | None = None,
    ) -> Wish:
        return Wish(self, choice or self.choice, tuple(keys), measures, also, rest)

    def rows(
        self, keys: Sequence[str], *measures: Measured, also: str = "", rest: str = ""
    ) -> Generator[Sequence[Wish], Sequence[Rows], Rows]:
        """The rows of a single wish, for a panel that has no other at this point."""
        found = yield [self.wish(keys, *measures, also=also, rest=rest)]
        return found[0]

    def relation(self) -> str:
        """The rows of the choice as a relation; `hot` first: who runs it falls back to `keyed`."""
        if self.panel.source:
            return f'(SELECT * REPLACE ({_NUMBER} AS number, {_TEXT} AS text), ts AS "llmwatch ts" FROM said.{quoted(self.panel.source)} WHERE "table" IN (?, \'\'))'
        return f"hot.{quoted(self.source.table)}"

    def run(self, select: str, rest: str, choice: Choice) -> Rows:
        """Rows of `SELECT {select} FROM <the chosen rows> {rest}`."""
        import duckdb

        sql, params = self._sql(select, rest, choice)
        says = choice.says or bool(self.panel.source)
        try:
            return self.source.execute(sql, params, events=says).rows
        except duckdb.BinderException:
            # a column that is not kept in memory: texts, ids of traces
            read = sql.replace("FROM hot.", "FROM keyed.", 1)
            return self.source.execute(read, params, events=says).rows

    def _sql(self, select: str, rest: str, choice: Choice) -> tuple[str, list[Any]]:
        if not self.panel.source:
            where, params = choice.where(searched=False)
            where += self._found(choice)
            return f"SELECT {select} FROM {self.relation()} WHERE {where} {rest}", params
        where, params = replace(choice, conditions=(), params=(), search="").where()
        params = [self.source.table, *params]
        if self.panel.where:
            where += f" AND ({self.panel.where})"
        if choice.conditions or choice.search:
            inner, more = choice.between(None, None).where(searched=False)
            inner += self._found(choice)
            where += f' AND row_id IN (SELECT "llmwatch id" FROM keyed.{quoted(self.source.table)} WHERE {inner})'
            params += more
        return f"SELECT {select} FROM {self.relation()} WHERE {where} {rest}", params

    def _found(self, choice: Choice) -> str:
        if not choice.search:
            return ""
        return f" AND {choice.found or self.source.searches.condition(choice)}"


@dataclass(frozen=True)
class Wish:
    """Measures of chosen rows, grouped by keys: what one panel needs to know at one point."""

    asked: Asked
    choice: Choice
    keys: tuple[str, ...]
    measures: tuple[Measured, ...]
    also: str = ""
    """A condition more, beginning with AND."""
    rest: str = ""
    """Order and limit."""

    @property
    def alike(self) -> object:
        """Wishes that are alike are answered by one query."""
        panel = self.asked.panel
        events = (panel.source, panel.where) if panel.source else None
        ranked = (self.rest, self.measures) if self.rest else None
        return (self.asked.source.id, events, self.choice, self.keys, self.also, ranked)

    def rows(self, measures: Sequence[Measured] | None = None) -> Rows:
        """A row for each group: its keys, then its measures."""
        measures = tuple(measures or self.measures)
        asked, plain = _sorted_for_once(measures)
        found, n = self._found(tuple(asked)), len(self.keys)
        return [(*row[:n], *(pick(row[n:]) for pick in plain)) for row in found]

    def _found(self, measures: tuple[str, ...]) -> Rows:
        grouped = f"GROUP BY {', '.join(str(n + 1) for n in range(len(self.keys)))}"
        rest = f"{self.also} {grouped if self.keys else ''} {self.rest}"
        source = self.asked.source
        ask = partial(self.asked.run, ", ".join((*self.keys, *measures)), rest, self.choice)
        if self.choice.search:
            return ask()  # what was found by now is more the next time
        return source.answers.get((self.alike, measures), ask)


def _sorted_for_once(
    measures: Sequence[Measured],
) -> tuple[list[str], list[Callable[[Sequence[Any]], Any]]]:
    """SQL for measures with all quantiles of a column in one, and how to get each measure from a row of that."""
    shares: dict[str, tuple[float, ...]] = {}
    for each in measures:
        if isinstance(each, Quantiles):
            shares[each.column] = tuple(sorted({*shares.get(each.column, ()), *each.shares}))
    written = {
        each: Quantiles(each.column, shares[each.column]).sql
        if isinstance(each, Quantiles)
        else each
        for each in measures
    }
    asked = list(dict.fromkeys(written.values()))

    def pick(each: Measured, row: Sequence[Any]) -> Any:
        value = row[asked.index(written[each])]
        return each.of(value, shares[each.column]) if isinstance(each, Quantiles) else value

    return asked, [partial(pick, each) for each in measures]


Steps = Generator[Sequence[Wish], Sequence[Rows], Answer]
"""How a panel comes to its answer: it wishes, is given rows, and may wish again."""


def alone(steps: Steps) -> Answer:
    """A panel's answer, each of its wishes a query."""
    try:
        wishes = next(steps)
        while True:
            wishes = steps.send([wish.rows() for wish in wishes])
    except StopIteration as stop:
        answer: Answer = stop.value
        return answer


def together(wishes: Sequence[Wish]) -> list[Rows]:
    """The rows of wishes that are alike, by one query for all of them."""
    first = wishes[0]
    if first.rest or len(wishes) == 1:
        return [first.rows()] * len(wishes)
    measures = tuple(dict.fromkeys(measure for wish in wishes for measure in wish.measures))
    found, keys = first.rows(measures), len(first.keys)
    places = [[keys + measures.index(measure) for measure in wish.measures] for wish in wishes]
    return [[(*row[:keys], *(row[n] for n in mine)) for row in found] for mine in places]
