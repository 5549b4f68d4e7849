"""`llmwatch.canary.compare`: two versions side by side on all pillars, with a verdict that holds however often one looks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.canary.arms import FEWEST, Harm, Sums, harm
from llmwatch.canary.pillars import Pillar, pillars
from llmwatch.canary.sequential import log_e, needed, reach
from llmwatch.canary.verdicts import Comparison, Judged, Side, Standing, verdict_of
from llmwatch.drift.reading import table_of
from llmwatch.errors import NotFound, SettingsError
from llmwatch.slices import metrics as metrics_
from llmwatch.slices import reading
from llmwatch.slices.comparison import reader_of
from llmwatch.slices.facets import named
from llmwatch.slices.selection import Selection, selected
from llmwatch.stream.columns import literal

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

ALPHA = 0.05
_SEEN_OFTEN = 0.2  # of a version's rows: what fewer have is watched, and not waited for
_UNLIKELY = 1e-4


@dataclass(frozen=True)
class Options:
    """How versions are compared; see `compare`."""

    column: str = "version"
    since: Any = None
    until: Any = None
    metrics: Sequence[str] = ()
    margins: Mapping[str, float] = field(default_factory=dict)
    alpha: float = ALPHA
    share: float | None = None
    by: str | None = None
    every_call: bool = False


def compare(
    where: Reader | Project | str,
    table: str = "traces",
    *,
    old: str,
    new: str,
    store: str | Path | None = None,
    **options: Any,
) -> Comparison:
    """Compare the rows of two versions since the new one came, by latency, errors, cost, feedback, safety and quality.

    The verdict is `promote` when every pillar that rows have is no worse by its margin, `roll back` when one is worse, else
    `keep going`. It may be asked for after every row: the chance of ever promoting a version that is worse by a margin is at
    most `alpha`, and so is that of ever rolling back one that is not worse.

    `margins` is how much worse is too much: `{"latency": .1, "errors": .01}`, of latency and cost a part. `metrics` are
    other pillars than all that there are. `share` is what was routed to the new version, to check that it was. `column`
    tells versions apart. Every option is one of `Options`.

    `print(llmwatch.canary.compare("support-bot", "traces", old="v1", new="v2"))`
    """
    chosen = _checked(options, old, new)
    with reader_of(where, table, store) as (reader, name):
        table_of(reader, name)
        return _Look(reader, name, old, new, chosen).comparison()


def _checked(options: Mapping[str, Any], old: str, new: str) -> Options:
    try:
        chosen = Options(**{name: value for name, value in options.items() if value is not None})
    except TypeError as error:
        known = ", ".join(Options.__dataclass_fields__)
        raise SettingsError(f"{error}; the options of a comparison are {known}") from None
    if old == new:
        raise SettingsError(f"two versions are compared, and {old!r} is one")
    if not 0 < chosen.alpha < 1:
        raise SettingsError(f"alpha is a chance between 0 and 1, such as .05, not {chosen.alpha}")
    if chosen.share is not None and not 0 < chosen.share < 1:
        raise SettingsError(f"share is a part between 0 and 1, such as .05, not {chosen.share}")
    return chosen


@dataclass(frozen=True)
class _Look:
    reader: Reader
    table: str
    old: str
    new: str
    options: Options

    def comparison(self) -> Comparison:
        options = self.options
        steps = not options.every_call and reading.has_steps(self.reader, self.table)
        measured = pillars(self._metrics(steps), options.margins)
        version = named(self.reader, self.table, [options.column])[0].sql
        selection = self._selection(version)
        condition = reading.conditions(
            f"{selection.sql()} AND {_is(version, self.old, self.new)}",
            every_call=options.every_call,
        )
        units = reading.units(self.reader, self.table, condition, options.by)
        found = _Read(
            self.reader, self.table, condition, version, units[1], measured, (self.old, self.new)
        )
        arms, shown, both = found.arms(), found.shown(), found.in_both()
        of_old = [shown.get(self.old, {}).get(str(n)) for n in range(len(measured))]
        measured = [
            pillar.fitting(mean_median_p95, given=pillar.name in options.margins)
            for pillar, mean_median_p95 in zip(measured, of_old, strict=True)
        ]
        counts = {name: shown.get(name, {}).get("rows", 0) for name in (self.old, self.new)}
        users = {name: shown.get(name, {}).get("users", 0) for name in (self.old, self.new)}
        judged = _judged(measured, arms, shown, counts, (self.old, self.new), options.alpha)
        routed = _routed(users[self.new], sum(users.values()), options.share)
        verdict, reasons = verdict_of(judged, (routed,) if routed else ())
        return Comparison(
            self.reader.project.id,
            self.table,
            self.old,
            self.new,
            str(selection),
            (counts[self.old], counts[self.new]),
            (users[self.old], users[self.new]),
            units[0],
            tuple(judged),
            verdict,
            reasons,
            tuple(_served(both, units[0])),
            options.alpha,
        )

    def _metrics(self, steps: bool) -> list[metrics_.Metric]:
        if self.options.metrics:
            return metrics_.metrics(self.reader, self.table, self.options.metrics, steps=steps)
        return metrics_.all_of(self.reader, self.table, steps=steps)

    def _selection(self, version: str) -> Selection:
        """From the first row of the new version on: earlier times were other times."""
        given = selected({"since": self.options.since, "until": self.options.until})
        sql = (
            f'SELECT min(epoch_us(r."llmwatch ts")) FROM {reading.source(self.table)} '
            f"WHERE {given.sql()} AND {_is(version, self.new)}"
        )
        first = self.reader.execute(sql, (), [self.table]).rows[0][0]
        if first is None:
            raise NotFound(f"no row of {self.table} has {self.options.column} {self.new!r} there")
        return given if given.start_us is not None else Selection(None, first, given.end_us)


def _served(both: int, by: str) -> Iterator[str]:
    if by != "rows" and both:
        yield f"{both:,} {by} were served by both versions; choose by a key that stays the same."


def _is(version: str, *names: str) -> str:
    return f"{version} IN ({', '.join(map(literal, names))})"


def _routed(new: int, total: int, share: float | None) -> str | None:
    """What to say when not as many were routed to the new version as were meant to be."""
    from scipy.stats import binomtest

    if share is None or not total or binomtest(new, total, share).pvalue > _UNLIKELY:
        return None
    return (
        f"{new / total:.2%} got the new version where {share:.2%} should: what decides that has to do with who it is, "
        "or rows are missing. Find out before you trust the rest."
    )


@dataclass(frozen=True)
class _Read:
    """What is read of the table: sums over users inside DuckDB, and figures to show."""

    reader: Reader
    table: str
    condition: str
    version: str
    unit: str
    pillars: Sequence[Pillar]
    names: tuple[str, str]

    @property
    def _from(self) -> str:
        joins = reading.joined(self.table, [], [pillar.metric for pillar in self.pillars])
        return f"{joins} WHERE {self.condition}"

    def arms(self) -> dict[tuple[str, int], Sums]:
        """For each version and pillar its sums."""
        values = ", ".join(f"{pillar.sql} AS v{n}" for n, pillar in enumerate(self.pillars))
        each = ", ".join(
            f"count(v{n})::DOUBLE AS n{n}, sum(v{n}) AS s{n}" for n in range(len(self.pillars))
        )
        sums = ", ".join(
            f"count(*) FILTER (n{n} > 0), sum(n{n}), sum(s{n}), sum(s{n} * s{n}), sum(s{n} * n{n}), sum(n{n} * n{n}) FILTER (n{n} > 0)"
            for n in range(len(self.pillars))
        )
        rows = f"SELECT {self.version} AS arm, {self.unit} AS unit, {values} FROM {self._from}"
        sql = f"SELECT arm, {sums} FROM (SELECT arm, unit, {each} FROM ({rows}) GROUP BY arm, unit) GROUP BY arm"
        made = {}
        for arm, *numbers in self.reader.execute(sql, (), reading.tables(self.table)).rows:
            for n in range(len(self.pillars)):
                made[arm, n] = Sums(*(float(value or 0) for value in numbers[6 * n : 6 * n + 6]))
        return made

    def shown(self) -> dict[str, dict[str, Any]]:
        """For each version its rows and users, and for each pillar mean, median and 95th percentile."""
        fields = ", ".join(
            f"avg({sql}), median({sql}), quantile_cont({sql}, 0.95)"
            for sql in (pillar.metric.sql for pillar in self.pillars)
        )
        sql = f"SELECT {self.version} AS arm, count(*), count(DISTINCT {self.unit}), {fields} FROM {self._from} GROUP BY arm"
        return {
            arm: {
                "rows": rows,
                "users": users,
                **{str(n): values[3 * n : 3 * n + 3] for n in range(len(self.pillars))},
            }
            for arm, rows, users, *values in self.reader.execute(
                sql, (), reading.tables(self.table)
            ).rows
        }

    def in_both(self) -> int:
        """Users that had rows of both versions."""
        rows = f"SELECT {self.unit} AS unit, {self.version} AS arm FROM {reading.source(self.table)} WHERE {self.condition}"
        sql = f"SELECT count(*) FROM (SELECT unit FROM ({rows}) GROUP BY unit HAVING count(DISTINCT arm) > 1)"
        return int(self.reader.execute(sql, (), [self.table]).rows[0][0])


def _judged(
    measured: Sequence[Pillar],
    arms: Mapping[tuple[str, int], Sums],
    shown: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, int],
    names: tuple[str, str],
    alpha: float,
) -> list[Judged]:
    """The pillars that either version has a value of."""
    none = Sums(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    pairs = [
        (arms.get((names[0], n), none), arms.get((names[1], n), none)) for n in range(len(measured))
    ]
    known = [n for n, pair in enumerate(pairs) if any(arm.rows for arm in pair)]
    made = []
    for n in known:
        old, new = pairs[n]
        often = min(
            _part(arm.rows, counts[name]) for arm, name in ((old, names[0]), (new, names[1]))
        )
        sides = [
            _side(arm, shown.get(name, {}).get(str(n)))
            for arm, name in zip(pairs[n], names, strict=True)
        ]
        made.append(
            judge(
                measured[n], old, new, (sides[0], sides[1]), often >= _SEEN_OFTEN, alpha, len(known)
            )
        )
    return made


def _part(rows: float, of: int) -> float:
    return rows / of if of else 0.0


def _side(arm: Sums, shown: Sequence[float | None] | None) -> Side:
    mean, median, p95 = shown if shown is not None else (None, None, None)
    return Side(int(arm.rows), int(arm.users), mean, median, p95)


def judge(
    pillar: Pillar,
    old: Sums,
    new: Sums,
    sides: tuple[Side, Side],
    required: bool,
    alpha: float,
    pillars_in_all: int,
) -> Judged:
    """How a pillar stands. Any of them may roll back, so each gets its part of alpha; all have to promote, so each gets it whole."""
    found = harm(new, old, pillar.scale, pillar.margin, pillar.metric.worse)
    low, high = bounds(found, pillar.margin, alpha, pillars_in_all)
    return Judged(
        pillar.name,
        pillar.metric.unit,
        pillar.scale,
        *sides,
        _told(pillar, found.estimate) if found.ready else None,
        _told(pillar, low),
        _told(pillar, high),
        pillar.told_margin,
        _standing(found, float(low), float(high), pillar.margin),
        required,
        _more_rows(found, new, pillar.margin, alpha),
    )


def bounds(found: Harm, margin: float, alpha: float, pillars_in_all: int) -> tuple[Any, Any]:
    """The least harm and the most, at all looks together."""
    low = found.estimate - reach(found.against_none, margin, alpha / max(1, pillars_in_all))
    high = found.estimate + reach(found.against_margin, margin, alpha)
    return low, high


def claims(found: Harm, margin: float, alpha: float, pillars_in_all: int) -> tuple[Any, Any]:
    """Whether it is said that there is harm, and that there is less than the margin: the same as `bounds` for many looks."""
    of_none, of_margin = found.against_none, found.against_margin
    worse = log_e(of_none * found.estimate, of_none, margin) >= math.log(
        max(1, pillars_in_all) / alpha
    )
    fine = log_e(of_margin * (margin - found.estimate), of_margin, margin) >= -math.log(alpha)
    return found.ready & worse & ~fine, found.ready & fine


def _standing(found: Harm, low: float, high: float, margin: float) -> Standing:
    if not found.ready:
        return "not enough data"
    if high <= margin:
        return "better" if high < 0 else "no worse"
    return "worse" if low > 0 else "open"


def _told(pillar: Pillar, value: Any) -> float | None:
    if not math.isfinite(value):
        return None
    return math.expm1(min(float(value), 50.0)) if pillar.scale in {"log", "ratio"} else float(value)


def _more_rows(found: Harm, new: Sums, margin: float, alpha: float) -> int | None:
    """As information grows with rows; at first it is only known how many users are needed at least."""
    if not new.rows or not new.worth:
        return None
    at_least = new.rows * FEWEST / float(new.worth)
    have = float(found.against_margin)
    enough = new.rows * needed(margin, margin, alpha) / have if have else at_least
    more = math.ceil(max(enough, at_least) - new.rows)
    return more if more > 0 else None
