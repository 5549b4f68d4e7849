"""Backtest: when rules would have fired over the windows that were told, how often, and with which limit they would be rare."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmwatch.watch import loading
from llmwatch.watch.alerts import Key, Track
from llmwatch.watch.conditions import Threshold
from llmwatch.watch.judging import Changed, follow, keys
from llmwatch.watch.periods import moment
from llmwatch.watch.rules import Rule, with_threshold
from llmwatch.watch.series import DAY_US, Known
from llmwatch.watch.wording import number

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader
    from llmwatch.watch.sets import MetricSet

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows that something long goes on, as `cli.output.progress` does."""
RARE_A_WEEK = 1.0
"""A suggested limit lets a rule fire at most so often a week."""
_MOST_KEYS = 50
_STEPS = 12


@dataclass(frozen=True)
class Outcome:
    """What one rule would have done."""

    rule: Rule
    watched: int
    """Sources (sets, groups, metrics) that it had anything to look at of."""
    windows: int
    """Windows of which the metric was known."""
    days: float
    """From the first of them to the end."""
    fired_us: tuple[int, ...] = ()
    reopened: int = 0
    escalated: int = 0
    firing_us: int = 0
    said: str = ""
    suggested: float | None = None

    @property
    def a_week(self) -> float | None:
        """Alerts a week; None when less than a day is known."""
        return None if self.days < 1 else len(self.fired_us) * 7 / self.days

    def as_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule.name,
            "severity": self.rule.severity,
            "watched": self.watched,
            "windows": self.windows,
            "days": round(self.days, 2),
            "alerts": len(self.fired_us),
            "a_week": None if self.a_week is None else round(self.a_week, 2),
            "messages": len(self.fired_us) + self.escalated,
            "reopened": self.reopened,
            "firing_hours": round(self.firing_us / 3_600_000_000, 2),
            "fired": [moment(us).isoformat() for us in self.fired_us],
            "said": self.said,
            "suggested": self.suggested,
        }


def backtest(
    reader: Reader,
    rules: Sequence[Rule],
    from_us: int,
    until_us: int,
    sets: Sequence[MetricSet] = (),
    progress: Progress | None = None,
) -> list[Outcome]:
    """Take the rules through the windows of a stretch of time, as the watch would have.

    Of `sets`, the windows from before they were kept are measured from the rows."""
    known = known_of(reader, rules, from_us, until_us, sets, progress)
    return [_outcome(reader.project.id, rule, known, from_us, until_us) for rule in rules]


def known_of(
    reader: Reader,
    rules: Sequence[Rule],
    from_us: int,
    until_us: int,
    sets: Sequence[MetricSet] = (),
    progress: Progress | None = None,
) -> Known:
    """What the rules look at in a stretch of time: what was told of it, and of `sets` what was not."""
    known = loading.load(reader, rules, loading.span(rules, from_us, until_us))
    if sets:
        _fill(reader, known, rules, from_us, until_us, sets, progress)
    return known


def _fill(
    reader: Reader,
    known: Known,
    rules: Sequence[Rule],
    from_us: int,
    until_us: int,
    sets: Sequence[MetricSet],
    progress: Progress | None,
) -> None:
    from llmwatch import settings
    from llmwatch.watch import untold

    mine = untold.of_project(sets, reader)
    groupings = {(), *(rule.by for rule in rules)}
    total = untold.days(known, mine, from_us, until_us)
    with (progress or _unseen)("measuring days", total) as passed:
        untold.fill(
            reader, known, mine, from_us, until_us, settings.current(),
            groupings=groupings, passed=passed,
        )  # fmt: skip


@contextmanager
def _unseen(_what: str, _total: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


def _outcome(project: str, rule: Rule, known: Known, from_us: int, until_us: int) -> Outcome:
    watched = [key for _, key in keys(project, [rule], known)]
    ends = [end for key in watched for end in _known_ends(known, key, from_us, until_us)]
    if not ends:
        return Outcome(rule, len(watched), 0, 0.0)
    firing, changed = 0, []
    for key in watched:
        one, lasted = _replayed(rule, key, known, from_us, until_us)
        changed += one
        firing += lasted
    began = sorted(one.change.at_us for one in changed if one.change.state == "firing")
    states = [one.change.state for one in changed]
    days = (until_us - min(ends)) / DAY_US
    said = next((one.change.said for one in reversed(changed) if one.change.state == "firing"), "")
    return Outcome(
        rule, len(watched), len(ends), days, tuple(began), states.count("reopened"),
        states.count("escalated"), firing, said,
        _suggested(rule, watched, known, from_us, until_us, days),
    )  # fmt: skip


def _known_ends(known: Known, key: Key, from_us: int, until_us: int) -> Iterator[int]:
    series = known.series[key.source]
    for place, end in enumerate(series.ends):
        told = key.metric == "*" or series.value(key.metric, place) is not None
        if from_us < end <= until_us and told:
            yield end


def _replayed(
    rule: Rule, key: Key, known: Known, from_us: int, until_us: int
) -> tuple[list[Changed], int]:
    """What changed, and how long it fired."""
    track = Track(seen_us=from_us)
    minutes = (until_us - from_us) // 60_000_000 + 1
    changed = list(follow(rule, key, known, track, until_us, minutes))
    lasted, since = 0, None
    for one in changed:
        if one.change.state in {"firing", "reopened"}:
            since = one.change.at_us
        elif one.change.state == "resolved" and since is not None:
            lasted, since = lasted + one.change.at_us - since, None
    return changed, lasted + (until_us - since if since is not None else 0)


def _suggested(
    rule: Rule, watched: Sequence[Key], known: Known, from_us: int, until_us: int, days: float
) -> float | None:
    """The tightest round limit with which the rule fires at most once a week; None where that cannot be said."""
    when = rule.when
    if not isinstance(when, Threshold) or days < 1 or len(watched) > _MOST_KEYS:
        return None
    high = when.above is not None
    values = sorted(_values(watched, known, from_us, until_us), reverse=not high)
    allowed = max(1.0, RARE_A_WEEK * days / 7)
    low, top = len(values) // 2, len(values) - 1
    for _ in range(_STEPS):  # the further out the limit, the fewer the alerts
        if low >= top:
            break
        middle = (low + top) // 2
        limit = _rounded(values[middle], up=high)
        tried = with_threshold(rule, limit)
        fired = sum(_fires(tried, key, known, from_us, until_us) for key in watched)
        low, top = (low, middle) if fired <= allowed else (middle + 1, top)
    return _rounded(values[top], up=high) if values else None


def _values(watched: Sequence[Key], known: Known, from_us: int, until_us: int) -> Iterator[float]:
    for key in watched:
        yield from known.series[key.source].between(key.metric, from_us, until_us)


def _fires(rule: Rule, key: Key, known: Known, from_us: int, until_us: int) -> int:
    changed, _ = _replayed(rule, key, known, from_us, until_us)
    return sum(one.change.state == "firing" for one in changed)


def _rounded(value: float, *, up: bool) -> float:
    """To two digits, away from what is usual.

    >>> _rounded(1234.0, up=True), _rounded(0.0321, up=False)
    (1300.0, 0.032)
    """
    if value == 0:
        return 0.0
    digits = 1 - math.floor(math.log10(abs(value)))
    scaled = value * 10.0**digits
    whole = math.ceil(scaled - 1e-9) if up else math.floor(scaled + 1e-9)
    return float(f"{whole / 10.0**digits:.12g}")


def in_words(outcome: Outcome) -> str:
    """The suggestion as a setting that can be copied."""
    when = outcome.rule.when
    if outcome.suggested is None or not isinstance(when, Threshold):
        return ""
    side = "above" if when.above is not None else "below"
    now = when.above if when.above is not None else when.below
    assert now is not None
    return f"{side} = {outcome.suggested:g} (now {number(now)})"
