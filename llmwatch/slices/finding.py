"""`llmwatch.slices.find`: where it is worse than elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from llmwatch.drift.explain import LONGEST_SHOWN
from llmwatch.drift.multiple import benjamini_hochberg
from llmwatch.drift.reading import table_of
from llmwatch.errors import SettingsError
from llmwatch.slices import facets as facets_
from llmwatch.slices import metrics as metrics_
from llmwatch.slices import prompts, reading, search
from llmwatch.slices.comparison import reader_of
from llmwatch.slices.facets import LANGUAGE, Facet
from llmwatch.slices.found import Exemplar, Slice, Slices
from llmwatch.slices.levels import Level, levels
from llmwatch.slices.metrics import Metric
from llmwatch.slices.reading import Rows, Wanted
from llmwatch.slices.search import Candidate, Search
from llmwatch.slices.selection import Given, Selection, selected
from llmwatch.store import Project
from llmwatch.stream.query import Reader

ALPHA = 0.05
_EXEMPLARS = 3
_MOST_LEVELS = 20  # of one column


@dataclass(frozen=True)
class Options:
    """How a search goes; see `find`."""

    metric: str | Sequence[str] | None = None
    columns: Sequence[str] | None = None
    rows: Given = None
    worse: Literal["high", "low"] | None = None
    every_call: bool = False
    by: str | None = None
    pairs: bool = True
    texts: bool = True
    alpha: float = ALPHA
    least: int = search.LEAST_ROWS
    most: int = 10
    most_rows: int = 100_000


def find(
    where: Reader | Project | str,
    table: str = "traces",
    *,
    store: str | Path | None = None,
    **options: Any,
) -> Slices:
    """The slices of a table that are worse than the rest: rows of one level of a column, or of two columns' together.

    `metric`: `latency`, `errors`, `cost`, `feedback`, `safety`, `quality` (every score and label), `score:NAME`,
    `label:NAME.KEY`, any column, or several of these; all that there is when not given. `worse` says which end is bad
    where the name does not. `columns` are looked at instead of those that tell; `rows` selects rows (SQL, two times,
    or a mapping of `where`, `since`, `until`). Every option is one of `Options`.

    At most `alpha` of the slices that are reported are no worse in truth. Rows of one user (or session) are one observation.

    `slices = llmwatch.slices.find("support-bot", "traces", metric="latency"); print(slices)`
    """
    chosen = _checked(options)
    with reader_of(where, table, store) as (reader, name):
        table_of(reader, name)
        selection = selected(chosen.rows)
        reading.check(reader, name, [selection.where])
        return _Finding(reader, name, selection, chosen).slices()


def _checked(options: dict[str, Any]) -> Options:
    try:
        chosen = Options(**{name: value for name, value in options.items() if value is not None})
    except TypeError as error:
        known = ", ".join(Options.__dataclass_fields__)
        raise SettingsError(f"{error}; the options of a search are {known}") from None
    if not 0 < chosen.alpha < 1:
        raise SettingsError(f"alpha is a share between 0 and 1, such as .05, not {chosen.alpha}")
    if chosen.worse not in {None, "high", "low"}:
        raise SettingsError(f"what is worse is high or low, not {chosen.worse!r}")
    if chosen.least < 2 or chosen.most < 1:
        raise SettingsError("a slice has at least 2 rows, and at least 1 slice is told")
    return chosen


@dataclass(frozen=True)
class _Finding:
    reader: Reader
    table: str
    selection: Selection
    options: Options

    def slices(self) -> Slices:
        began = time.perf_counter()
        rows, facets, metrics = self._read()
        searches = [
            (metric, known, self._searched(rows, facets, metric, known))
            for metric, known in _known(rows, metrics)
        ]
        chosen = self._chosen(rows, searches)
        told = self._with_texts(sorted(chosen, key=lambda one: -one.z)[: self.options.most])
        return Slices(
            self.reader.project.id,
            self.table,
            tuple(metric.name for metric, _, _ in searches),
            rows.count,
            tuple(told),
            sum(one.tested for _, _, one in searches),
            tuple(facet.name for facet in facets),
            rows.by,
            self.options.alpha,
            tuple(self._notes(rows, searches)),
            time.perf_counter() - began,
        )

    def _read(self) -> tuple[Rows, list[Facet], list[Metric]]:
        options, reader, table = self.options, self.reader, self.table
        steps = not options.every_call and reading.has_steps(reader, table)
        condition = reading.conditions(self.selection.sql(), every_call=options.every_call)
        asked = [options.metric] if isinstance(options.metric, str) else list(options.metric or ())
        metrics = self._metrics(asked, steps)
        if options.columns is None:
            facets = [
                f
                for f in facets_.facets(reader, table, condition, steps=steps)
                if f.role == "cause"
            ]
        else:
            facets = facets_.named(
                reader, table, [name for name in options.columns if name not in _MADE]
            )
        wanted = Wanted(
            table,
            condition,
            facets,
            metrics,
            options.every_call,
            options.by,
            most_rows=options.most_rows,
        )
        rows = reading.read(reader, wanted)
        if options.texts if options.columns is None else bool(_MADE & {*options.columns}):
            rows, made = prompts.with_prompts(reader, table, rows)
            facets = [
                *facets,
                *(f for f in made if options.columns is None or f.name in options.columns),
            ]
        return rows, facets, metrics

    def _metrics(self, asked: Sequence[str], steps: bool) -> list[Metric]:
        if asked:
            return metrics_.metrics(
                self.reader, self.table, asked, steps=steps, worse=self.options.worse
            )
        return metrics_.all_of(self.reader, self.table, steps=steps)

    def _searched(self, rows: Rows, facets: Sequence[Facet], metric: Metric, known: Any) -> Search:
        options = self.options
        usable = [
            facet for facet in facets if facet.name not in metric.tied and facet.name != metric.name
        ]
        found = [
            Level(level.facet, level.label, level.mask[known], level.where)
            for facet in usable
            for level in levels(rows, facet, least=options.least, most=_MOST_LEVELS)
        ]
        found.sort(key=lambda level: -int(level.mask.sum()))
        one = Search(
            rows.values[metric.name][known],
            metric.worse,
            found[: search.MOST_LEVELS],
            rows.blocks.take(known),
            rows.within.take(known),
            options.least,
            options.pairs,
        )
        one.run()
        return one

    def _chosen(self, rows: Rows, searches: Sequence[tuple[Metric, Any, Search]]) -> list[Slice]:
        """What Benjamini-Hochberg over all slices of all metrics leaves, without what others say better."""
        p_values = [c.p for _, _, one in searches for c in one.candidates]
        untested = sum(one.tested for _, _, one in searches) - len(p_values)
        adjusted = benjamini_hochberg([*p_values, *[1.0] * untested])[: len(p_values)]
        worse = [
            p
            for p, q in zip(p_values, adjusted, strict=True)
            if q is not None and q <= self.options.alpha
        ]
        if not worse:
            return []
        of = dict(zip(p_values, adjusted, strict=True))
        return [
            _slice(rows, metric, known, one, candidate, also, of.get(candidate.p) or 0.0)
            for metric, known, one in searches
            for candidate, also in one.chosen(max(worse), self.options.most)
        ]

    def _with_texts(self, slices: Sequence[Slice]) -> list[Slice]:
        ids = [row.row_id for one in slices for row in one.exemplars]
        found = (
            dict(zip(ids, prompts.prompts(self.reader, self.table, ids), strict=True))
            if self.options.texts
            else {}
        )
        return [
            replace(
                one,
                exemplars=tuple(
                    replace(row, text=_short(found.get(row.row_id))) for row in one.exemplars
                ),
            )
            for one in slices
        ]

    def _notes(self, rows: Rows, searches: Sequence[tuple[Metric, Any, Search]]) -> Iterator[str]:
        if rows.shares[1] < 1:
            yield f"Read {rows.shares[1]:.1%} of the rows: whole {rows.by}, drawn by chance."
        if rows.count > prompts.MOST and self.options.texts and self.options.columns is None:
            yield f"Prompts of more than {prompts.MOST:,} rows are not read: no slice by language or kind of prompt."
        for metric, known, _ in searches:
            count = int(known.sum())
            if count < 2 * self.options.least:
                yield f"Not enough data: {count:,} rows have {metric.name}, {2 * self.options.least - count:,} more are needed."
        if untold := sum(one.untold for _, _, one in searches):
            yield f"{untold} slices look worse and have too few {rows.by} to tell."


_MADE = frozenset({LANGUAGE, prompts.KIND})


def _known(rows: Rows, metrics: Sequence[Metric]) -> list[tuple[Metric, Any]]:
    """The rows that have a value, for each metric that some have."""
    made = [(metric, np.isfinite(rows.values[metric.name])) for metric in metrics]
    return [(metric, known) for metric, known in made if known.any()]


def _slice(
    rows: Rows,
    metric: Metric,
    known: Any,
    one: Search,
    candidate: Candidate,
    also: tuple[str, ...],
    p: float,
) -> Slice:
    inside = np.zeros(len(one.values), bool)
    inside[candidate.rows] = True
    parts = one.values[inside], one.values[~inside]
    mean, rest, whole = float(parts[0].mean()), float(parts[1].mean()), float(one.values.mean())
    conditions = [level.where for level in candidate.levels]
    return Slice(
        metric.name,
        metric.worse,
        tuple(level.said for level in candidate.levels),
        int(inside.sum()),
        float(inside.mean()),
        mean,
        rest,
        (float(np.median(parts[0])), float(np.median(parts[1]))),
        (float(np.quantile(parts[0], 0.95)), float(np.quantile(parts[1], 0.95))),
        candidate.found.estimate / one.spread,
        (whole - rest) / abs(whole) if whole else None,
        candidate.z,
        p,
        metric.unit,
        " AND ".join(str(sql) for sql in conditions) if all(conditions) else None,
        also[:_EXEMPLARS],
        _exemplars(rows.ids[known], one.values, candidate.rows, metric.worse),
    )


def _exemplars(ids: Any, values: Any, rows: Any, worse: str) -> tuple[Exemplar, ...]:
    order = np.argsort(values[rows] if worse == "low" else -values[rows], kind="stable")[
        :_EXEMPLARS
    ]
    return tuple(Exemplar(str(ids[row]), float(values[row])) for row in rows[order].tolist())


def _short(text: str | None) -> str | None:
    if text is None:
        return None
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
