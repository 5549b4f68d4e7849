"""Judging: takes every rule through the windows that it has not seen yet. The same for a look and for a backtest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmwatch.drift.windows import duration_us
from llmwatch.watch.alerts import Change, Key, Track, step
from llmwatch.watch.conditions import Absence, Drift
from llmwatch.watch.rules import Rule
from llmwatch.watch.series import MINUTE_US, Known, Series
from llmwatch.watch.standing import Standing

_MOST_MINUTES = 1440
"""A rule that goes by the clock looks back at most a day of minutes."""


@dataclass(frozen=True)
class Changed:
    """What became of an alert."""

    rule: Rule
    key: Key
    track: Track
    change: Change


def keys(project: str, rules: Sequence[Rule], known: Known) -> Iterator[tuple[Rule, Key]]:
    """What each rule watches, as far as anything was told of it."""
    for rule in rules:
        if rule.project not in {None, project, project.rpartition("/")[2]}:
            continue
        metric = rule.when.metric
        for source in known.sources(metric, rule.when.set, rule.table, rule.by):
            if isinstance(rule.when, Absence) or "*" not in metric:
                yield rule, Key(project, rule.name, source, metric)
            else:
                for name in known.series[source].told(metric):
                    yield rule, Key(project, rule.name, source, name)


def judge(
    project: str, rules: Sequence[Rule], known: Known, standing: Standing, now_us: int
) -> list[Changed]:
    """Take every track through the windows that have come; what changed, in the order of time."""
    found = [
        changed
        for rule, key in keys(project, rules, known)
        for changed in follow(rule, key, known, standing.track(key), now_us)
    ]
    return sorted(found, key=lambda one: one.change.at_us)


def follow(
    rule: Rule,
    key: Key,
    known: Known,
    track: Track,
    now_us: int,
    minutes: int = _MOST_MINUTES,
) -> Iterator[Changed]:
    """One rule and source, window after window; a rule by the clock over at most the last `minutes`."""
    series = known.series[key.source]
    when = _of_metric(rule, key)
    window_us = MINUTE_US if rule.by_the_clock else series.window_us
    for at_us in _times(rule, key, series, track, now_us, minutes):
        held = when.holds(known, key.source, at_us)
        track.looked_us = max(track.looked_us, at_us)
        for change in step(rule, key, track, at_us, window_us, held):
            yield Changed(rule, key, track, change)


def _of_metric(rule: Rule, key: Key):  # type: ignore[no-untyped-def]
    """The condition, of one metric where it is of a pattern."""
    from dataclasses import replace

    if key.metric == rule.when.metric or isinstance(rule.when, (Absence, Drift)):
        return rule.when
    return replace(rule.when, metric=key.metric)  # type: ignore[type-var]


def _times(
    rule: Rule, key: Key, series: Series, track: Track, now_us: int, minutes: int
) -> Sequence[int]:
    """The ends of windows that are new to the track; of a rule by the clock, each minute."""
    if rule.by_the_clock:
        now = now_us // MINUTE_US * MINUTE_US
        start = max(track.seen_us or now - 10 * MINUTE_US, now - minutes * MINUTE_US)
        return range(start // MINUTE_US * MINUTE_US + MINUTE_US, now + 1, MINUTE_US)
    if track.seen_us:
        return [end for end in series.ends if track.seen_us < end <= now_us]
    known = [
        end
        for place, end in enumerate(series.ends)
        if end <= now_us and series.value(key.metric, place) is not None
    ]
    return known[-_first(rule, series.window_us) :]


def _first(rule: Rule, window_us: int) -> int:
    """How many windows a rule looks back at when it is new: enough to see what goes on, no more."""
    needed = (
        one if isinstance(one, int) else duration_us(one) // max(window_us, 1) + 1
        for one in (rule.lasting, rule.settled)
    )
    return max(needed) + 1
