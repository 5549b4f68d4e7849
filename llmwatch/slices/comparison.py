"""`llmwatch.slices.changed`: what is different between two selections of rows, and what accounts for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llmwatch.drift.multiple import benjamini_hochberg
from llmwatch.drift.reading import table_of
from llmwatch.errors import SettingsError
from llmwatch.names import parse_table
from llmwatch.slices import facets as facets_
from llmwatch.slices import metrics as metrics_
from llmwatch.slices import prompts, reading
from llmwatch.slices.accounts import Behaviour, account, behaved, scored
from llmwatch.slices.changes import Change, Changes, Outcome, Part, score_of
from llmwatch.slices.contrast import Contrast, contrast
from llmwatch.slices.facets import Facet
from llmwatch.slices.metrics import Metric
from llmwatch.slices.moves import Moved, moved
from llmwatch.slices.reading import Rows, Wanted
from llmwatch.slices.selection import Given, Selection, apart
from llmwatch.store import Project, open_store
from llmwatch.stream.query import Reader

ALPHA = 0.05
"""Of what is said to have changed, at most this share did not."""
FEWEST_ROWS = 30
_LEAST_EFFECT = 0.02
_MOST_PARTS = 8
_TOO_FEW = "not enough data"


def changed(
    where: Reader | Project | str,
    table: str = "traces",
    *,
    before: Given = None,
    after: Given = None,
    every_call: bool = False,
    by: str | None = None,
    alpha: float = ALPHA,
    texts: bool = True,
    most_rows: int = 40_000,
    store: str | Path | None = None,
) -> Changes:
    """What changed from the rows of `before` to those of `after`: every column, version, user and kind of prompt.

    `before` and `after` are SQL (`"version = 'v1'"`), two times (`("2026-01-05T09:00", "2026-01-05T10:00")`), or a
    mapping of `where`, `since` and `until`; one that is not given is all other rows. Where latency, errors, cost, feedback
    or scores changed too, what accounts for that comes first.

    `where` is a `Reader`, a `Project`, or the name of a project.

    `changes = llmwatch.slices.changed("support-bot", "traces", after=("2026-01-05T09:00", None)); print(changes)`
    """
    if not 0 < alpha < 1:
        raise SettingsError(f"alpha is a chance between 0 and 1, such as .05, not {alpha}")
    sides = apart(before, after)
    with reader_of(where, table, store) as (reader, name):
        table_of(reader, name)
        reading.check(reader, name, [side.where for side in sides])
        return _Comparison(reader, name, sides, every_call, by, alpha, texts, most_rows).changes()


@contextmanager
def reader_of(
    where: Reader | Project | str, table: str, store: str | Path | None = None
) -> Iterator[tuple[Reader, str]]:
    """A reader of the project, and the table's name in it; one that was given stays open."""
    if isinstance(where, Reader):
        yield where, table
        return
    if isinstance(where, Project):
        project, name = where, table
    else:
        entity, _, own = where.rpartition("/")
        parsed = parse_table(table, project=own, entity=entity or None)
        project, name = open_store(store).project(parsed.entity, parsed.project), parsed.table
    reader = Reader(project)
    try:
        yield reader, name
    finally:
        reader.close()


@dataclass(frozen=True)
class _Comparison:
    reader: Reader
    table: str
    sides: tuple[Selection, Selection]
    every_call: bool
    by: str | None
    alpha: float
    texts: bool
    most_rows: int

    def changes(self) -> Changes:
        began = time.perf_counter()
        rows, facets, metrics = self._read()
        counts = (int((~rows.side).sum()), int(rows.side.sum()))
        notes = list(self._notes(rows, counts))
        if min(counts) < FEWEST_ROWS:
            return self._made(rows, counts, (), (), notes, began)
        outcomes = _judged_outcomes(rows, metrics, facets, self.alpha)
        causes = self._causes(rows, [f for f in facets if f.role == "cause"], outcomes, metrics)
        return self._made(rows, counts, causes, outcomes, notes, began)

    def _read(self) -> tuple[Rows, list[Facet], list[Metric]]:
        reader, table = self.reader, self.table
        steps = not self.every_call and reading.has_steps(reader, table)
        first, second = (side.sql() for side in self.sides)
        chosen = (
            f"(({first}) <> ({second}))"  # a row of both sides says nothing about their difference
        )
        condition = reading.conditions(chosen, every_call=self.every_call)
        facets = facets_.facets(reader, table, condition, steps=steps)
        metrics = metrics_.all_of(reader, table, steps=steps)
        wanted = Wanted(
            table,
            condition,
            facets,
            metrics,
            self.every_call,
            self.by,
            ("sessions", "users", "rows"),
            self.most_rows,
            second,
        )
        rows = reading.read(reader, wanted)
        if self.texts:
            rows, asked = prompts.with_sample(reader, table, rows)
            facets = [*facets, *asked]
        return rows, facets, metrics

    def _causes(
        self,
        rows: Rows,
        facets: Sequence[Facet],
        outcomes: Sequence[Outcome],
        metrics: Sequence[Metric],
    ) -> tuple[Change, ...]:
        different = {outcome.name: outcome for outcome in outcomes if outcome.changed}
        told = [metric for metric in metrics if metric.name in different]
        found = [one for facet in facets if (one := moved(rows, facet)) is not None]
        accounts = [account(rows, one, told) for one in found]
        adjusted = benjamini_hochberg([one.p for one in found])
        behaviours = behaved(rows, found, told, self.alpha)
        weights = {name: abs(outcome.effect) for name, outcome in different.items()}
        made = [
            _change(one, 1.0 if p is None else p, explained, behaviour, weights, self.alpha)
            for one, p, explained, behaviour in zip(
                found, adjusted, accounts, behaviours, strict=True
            )
        ]
        return tuple(sorted(made, key=lambda change: change.rank))

    def _notes(self, rows: Rows, counts: tuple[int, int]) -> Iterator[str]:
        for side, count in zip(("before", "after"), counts, strict=True):
            if count < FEWEST_ROWS:
                yield f"Not enough data: {side} has {count:,} rows, {FEWEST_ROWS - count:,} more are needed."
        for side, share in zip(("before", "after"), rows.shares, strict=True):
            if share < 1:
                yield f"Read {share:.1%} of the rows {side}: whole {rows.by}, drawn by chance."

    def _made(
        self,
        rows: Rows,
        counts: tuple[int, int],
        causes: Any,
        outcomes: Any,
        notes: Any,
        began: float,
    ) -> Changes:
        return Changes(
            self.reader.project.id,
            self.table,
            (str(self.sides[0]), str(self.sides[1])),
            counts,
            tuple(causes),
            tuple(outcomes),
            by=rows.by,
            alpha=self.alpha,
            notes=tuple(notes),
            seconds=time.perf_counter() - began,
        )


def _change(
    one: Moved,
    p: float,
    explained: Mapping[str, float],
    behaviour: Behaviour | None,
    weights: Mapping[str, float],
    alpha: float,
) -> Change:
    is_changed = p <= alpha and one.effect >= _LEAST_EFFECT
    told = dict(explained) if is_changed else {}
    return Change(
        one.facet.name,
        one.effect,
        p,
        is_changed,
        tuple(Part(g.label, *g.shares, g.p, g.where) for g in one.groups[:_MOST_PARTS]),
        one.middle,
        told,
        behaviour,
        score_of(one.effect if is_changed else 0.0, told, weights, behaviour),
        one.facet.order,
    )


def _judged_outcomes(
    rows: Rows, metrics: Sequence[Metric], facets: Sequence[Facet], alpha: float
) -> tuple[Outcome, ...]:
    """Metrics first, then other columns that say how it went."""
    known: list[tuple[str, str, str, Any]] = [
        (m.name, m.unit, m.worse, rows.values[m.name]) for m in metrics
    ]
    known += [
        (f.name, "", "", rows.numbers[f.name])
        for f in facets
        if f.role == "outcome" and f.name in rows.numbers
    ]
    made = [_outcome(rows, *one) for one in known]
    adjusted = iter(
        benjamini_hochberg(
            [found.either() if found and found.freedom else None for _, found in made]
        )
    )
    judged = [
        _judged(outcome, worse, next(adjusted), alpha)
        for (outcome, _), (_, _, worse, _) in zip(made, known, strict=True)
    ]
    return tuple(one for one in judged if sum(one.rows))


def _outcome(
    rows: Rows, name: str, unit: str, _worse: str, values: Any
) -> tuple[Outcome, Contrast | None]:
    known = np.isfinite(values)
    sides = [np.flatnonzero(known & part) for part in (~rows.side, rows.side)]
    counts = len(sides[0]), len(sides[1])
    means = [float(values[side].mean()) if len(side) else None for side in sides]
    medians = [float(np.median(values[side])) if len(side) else None for side in sides]
    outcome = Outcome(
        name, unit, means[0], means[1], (medians[0], medians[1]), counts, 0.0, 1.0, False, _TOO_FEW
    )
    if min(counts) < FEWEST_ROWS:
        return outcome, None
    score = np.zeros(rows.count)
    score[known] = scored(values[known])
    found = contrast(score, (sides[1], sides[0]), (1.0, -1.0), rows.blocks)
    spread = float(score[known].std())
    return replace(outcome, effect=found.estimate / spread if spread else 0.0), found


def _judged(outcome: Outcome, worse: str, p: float | None, alpha: float) -> Outcome:
    if p is None:
        return outcome
    different = p <= alpha and abs(outcome.effect) >= _LEAST_EFFECT
    up = outcome.effect > 0
    verdict = (
        ("up" if up else "down") if not worse else "worse" if up == (worse == "high") else "better"
    )
    return replace(outcome, p=p, changed=different, verdict=verdict if different else "no change")
