"""A round: one look at all rules of a project, from the windows that came to the messages that go out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.watch import alerts, history, loading, standing
from llmwatch.watch.alerts import Key, Track
from llmwatch.watch.channels.protocol import Channel
from llmwatch.watch.history import Log, Silence
from llmwatch.watch.judging import Changed, judge, keys
from llmwatch.watch.messages import Firing, Kind, message
from llmwatch.watch.rules import Rule
from llmwatch.watch.series import DAY_US, Known, Source
from llmwatch.watch.standing import Delivery, Standing

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

_AT_FIRST_US = DAY_US
"""What a first round reads at most: what fires now began within this."""
_KEPT_US = 35 * DAY_US


@dataclass
class Round:
    """What one look found."""

    changed: list[Changed] = field(default_factory=list)
    firing: list[tuple[Rule, Key, Track]] = field(default_factory=list)
    messages: list[Delivery] = field(default_factory=list)


def look(
    reader: Reader, rules: Sequence[Rule], channels: Sequence[Channel], now_us: int | None = None
) -> Round:
    """Look at every rule, write down what changed and line up what is to be told. Sends nothing."""
    project = reader.project
    now = clock.now_us() if now_us is None else now_us
    kept = standing.load(project) or _remembered(reader)
    known = loading.load(reader, rules, _span(rules, kept, now))
    found = Round(judge(project.id, rules, known, kept, now))
    with _log(project) as log:
        for one in found.changed:
            log.changed(one.rule, one.key, one.track, one.change)
        _follow_people(reader, kept, now)
        found.firing = _firing(project, rules, known, kept)
        _mute(log, kept, found.firing, history.silences(reader, now))
    found.messages = _line_up(kept, rules, known, project, channels, found.firing, now)
    kept.told_us = now
    _forget(kept, now)
    standing.save(project, kept)
    return found


def _remembered(reader: Reader) -> Standing:
    """What fires by the history, for when the standing was lost: nobody is told of it again."""
    kept = Standing()
    for one in history.alerts(reader):
        if one.state == "firing":
            source = Source(one.table, one.set, one.group)
            track = kept.track(Key(reader.project.id, one.rule, source, one.metric))
            track.state, track.alert, track.severity = "firing", one.id, one.severity
            track.fired_us = track.seen_us = one.fired_us
            track.told = one.severity if one.messages else ""
    return kept


def _span(rules: Sequence[Rule], kept: Standing, now_us: int) -> loading.Span:
    """From the oldest window that some track waits for, within a day; and what was told since the last look."""
    oldest = now_us - _AT_FIRST_US
    looked = [track.looked_us for track in kept.tracks.values() if track.looked_us > oldest]
    return loading.span(rules, min(looked, default=oldest), now_us, kept.told_us)


def _forget(kept: Standing, now_us: int) -> None:
    """Tracks of groups that were not heard of for long: there is one for each user that ever came."""
    for key, track in list(kept.tracks.items()):
        if track.state == "quiet" and now_us - track.looked_us > _KEPT_US:
            del kept.tracks[key]


@contextmanager
def _log(project: Project) -> Iterator[Log]:
    log = Log(project)
    try:
        yield log
    finally:
        log.close()


def _follow_people(reader: Reader, kept: Standing, now_us: int) -> None:
    """End the alerts that a person said are over."""
    for row in history.rows(reader, ("dismissed",)):
        if row["row"] in kept.dismissed:
            continue
        kept.dismissed.append(row["row"])
        for track in kept.tracks.values():
            if track.alert == row["alert"] and track.state == "firing":
                alerts.dismiss(track, now_us)


def _firing(
    project: Project, rules: Sequence[Rule], known: Known, kept: Standing
) -> list[tuple[Rule, Key, Track]]:
    tracks = [(rule, key, kept.track(key)) for rule, key in keys(project.id, rules, known)]
    return [one for one in tracks if one[2].state == "firing"]


def _mute(
    log: Log, kept: Standing, firing: Sequence[tuple[Rule, Key, Track]], silences: Sequence[Silence]
) -> None:
    """Mark what is silenced, so that nobody is told of it while that lasts."""
    muted = {}
    for rule, key, track in firing:
        silence = next((one for one in silences if one.covers(key)), None)
        if silence is not None and alerts.is_to_tell(track):
            muted[track.alert] = silence
            if track.alert not in kept.muted:
                log.silenced(rule, key, track, silence)
    kept.muted = list(muted)


def _line_up(
    kept: Standing,
    rules: Sequence[Rule],
    known: Known,
    project: Project,
    channels: Sequence[Channel],
    firing: Sequence[tuple[Rule, Key, Track]],
    now_us: int,
) -> list[Delivery]:
    """The messages that are due: one a rule, to each channel that takes it."""
    made: list[Delivery] = []
    now_firing = Firing(list(firing))
    due: dict[tuple[str, Kind], list[tuple[Key, Track]]] = {}
    by_name = {rule.name: rule for rule in rules}
    for rule, key in keys(project.id, rules, known):
        track = kept.track(key)
        kind = _due(rule, track, kept, now_us)
        if kind is not None:
            due.setdefault((rule.name, kind), []).append((key, track))
    for (name, kind), told in due.items():
        rule = by_name[name]
        said = message(kind, rule, told, now_firing, now_us)
        made += [
            Delivery(channel.name, said, first_us=now_us, next_us=now_us)
            for channel in _takers(rule, kind, said.severity, channels)
        ]
        for _, track in told:
            _mark(track, kind)
    kept.deliveries += made
    return made


def _due(rule: Rule, track: Track, kept: Standing, now_us: int) -> Kind | None:
    if alerts.is_to_tell(track) and track.alert not in kept.muted:
        return "escalated" if track.told else "firing"
    return "resolved" if alerts.is_to_tell_over(rule, track, now_us) else None


def _mark(track: Track, kind: Kind) -> None:
    if kind == "resolved":
        track.told_over = True
    else:
        track.told = track.severity


def _takers(
    rule: Rule, kind: Kind, severity: str, channels: Sequence[Channel]
) -> Iterator[Channel]:
    for channel in channels:
        named = rule.channels is None or channel.name in rule.channels
        if rule.channels is None and severity not in channel.severities:
            continue
        if named and (kind != "resolved" or channel.resolved):
            yield channel


def describe(found: Round) -> dict[str, Any]:
    """A round as plain values."""
    return {
        "firing": [
            {
                "rule": rule.name,
                "severity": track.severity,
                "alert": track.alert,
                "table": key.source.table,
                "set": key.source.set,
                "group": key.source.group,
                "metric": key.metric,
                "value": track.value,
                "said": track.said,
                "fired_us": track.fired_us,
                "next_step": rule.suggestion,
                "runbook": rule.runbook,
            }
            for rule, key, track in found.firing
        ],
        "changed": [
            {"rule": one.rule.name, "alert": one.track.alert, **vars(one.change)}
            for one in found.changed
        ],
    }
