"""Alerts: from what a rule finds in window after window to the few moments that somebody is told of.

An alert begins when the condition held for `lasting`, is over when it did not hold for `settled`, and is the same alert
again when it comes back within the cooldown. So a metric that flaps is one alert and one message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from llmwatch.drift.windows import duration_us
from llmwatch.watch.conditions import Held
from llmwatch.watch.rules import Rule
from llmwatch.watch.series import Source

State = Literal["quiet", "firing"]


@dataclass(frozen=True)
class Key:
    """What can be alerted of: a rule, a source, and one metric where the rule's is a pattern."""

    project: str
    rule: str
    source: Source
    metric: str

    @property
    def text(self) -> str:
        source = self.source
        told = (self.project, self.rule, source.table, source.set, source.group, self.metric)
        return hashlib.blake2b(
            "\0".join(told).encode("utf-8", "replace"), digest_size=10
        ).hexdigest()

    def alert_id(self, began_us: int) -> str:
        """The same for the same beginning: what is told twice after a crash has one id."""
        return f"{self.text[:12]}-{began_us // 1_000_000:x}"


@dataclass
class Track:
    """How one rule stands with one source. Plain values, kept between looks and over restarts."""

    state: State = "quiet"
    seen_us: int = 0
    """The newest window of which something was known."""
    looked_us: int = 0
    """The newest window that was looked at; what is told anew of an earlier one is read again."""
    holding: int = 0
    holding_since_us: int = 0
    quiet: int = 0
    quiet_since_us: int = 0
    alert: str = ""
    severity: str = ""
    fired_us: int = 0
    resolved_us: int = 0
    dismissed: bool = False
    """A person said that it is over: it may begin again only after it really was."""
    escalated: bool = False
    value: float | None = None
    said: str = ""
    told: str = ""
    """The severity that was told of this alert; empty when nobody was told yet."""
    told_over: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Track:
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in told.items() if key in known})


@dataclass(frozen=True)
class Change:
    """Something that is worth a row of the history."""

    state: Literal["firing", "resolved", "escalated", "reopened"]
    at_us: int
    value: float | None
    said: str


def step(
    rule: Rule, key: Key, track: Track, at_us: int, window_us: int, held: Held
) -> Iterator[Change]:
    """Take one window into the track; yields what changed. A window about which nothing is known changes nothing."""
    if held.holds is None:
        return
    track.seen_us = at_us
    if held.holds:
        yield from _holds(rule, key, track, at_us, window_us, held)
    else:
        yield from _does_not(rule, track, at_us, window_us, held)
    if track.state == "firing" and _is_to_escalate(rule, track, at_us):
        track.escalated, track.severity = True, rule.escalate_to
        yield Change("escalated", at_us, held.value, held.said)


def _holds(
    rule: Rule, key: Key, track: Track, at_us: int, window_us: int, held: Held
) -> Iterator[Change]:
    if not track.holding:
        track.holding_since_us = at_us - window_us
    track.holding += 1
    track.quiet = 0
    track.value, track.said = held.value, held.said
    lasted = _lasted(rule, rule.lasting, track.holding, at_us - track.holding_since_us)
    if track.state == "firing" or track.dismissed or not lasted:
        return
    again = track.alert and at_us - track.resolved_us < duration_us(rule.cooldown)
    track.state = "firing"
    if not again:
        _begin(rule, key, track, at_us)
    yield Change("reopened" if again else "firing", at_us, held.value, held.said)


def _begin(rule: Rule, key: Key, track: Track, at_us: int) -> None:
    track.alert = key.alert_id(at_us)
    track.fired_us, track.severity = at_us, rule.severity
    track.told, track.told_over, track.escalated = "", False, False


def _does_not(rule: Rule, track: Track, at_us: int, window_us: int, held: Held) -> Iterator[Change]:
    if not track.quiet:
        track.quiet_since_us = at_us - window_us
    track.quiet += 1
    track.holding = 0
    if not _lasted(rule, rule.settled, track.quiet, at_us - track.quiet_since_us):
        return
    track.dismissed = False
    if track.state == "firing":
        track.state, track.resolved_us = "quiet", at_us
        yield Change("resolved", at_us, held.value, held.said)


def _lasted(rule: Rule, told: int | str, windows: int, length_us: int) -> bool:
    needed, needed_us = rule.lasting_of(told)
    return windows >= needed if needed else length_us >= needed_us


def _is_to_escalate(rule: Rule, track: Track, at_us: int) -> bool:
    if rule.escalate_after is None or track.escalated or track.severity <= rule.escalate_to:
        return False
    return at_us - track.fired_us >= duration_us(rule.escalate_after)


def dismiss(track: Track, at_us: int) -> None:
    """A person said that the alert is over."""
    track.state, track.resolved_us, track.dismissed = "quiet", at_us, True
    track.holding = 0


def is_to_tell(track: Track) -> bool:
    """Whether a message is due: of a new alert, or of one that became more severe."""
    return track.state == "firing" and (not track.told or track.severity < track.told)


def is_to_tell_over(rule: Rule, track: Track, now_us: int) -> bool:
    """Whether it is time to say that an alert is over: it stayed away for the cooldown, or a person said so."""
    if track.state == "firing" or not track.told or track.told_over:
        return False
    return track.dismissed or now_us - track.resolved_us >= duration_us(rule.cooldown)
