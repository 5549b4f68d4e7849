"""Messages: what is said of alerts, once, in plain words. Channels put it into their own form, and escape it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from llmwatch.watch.alerts import Key, Track
from llmwatch.watch.rules import Rule
from llmwatch.watch.series import in_words
from llmwatch.watch.wording import length, one_line, time

Kind = Literal["firing", "escalated", "resolved"]
MOST_ALERTS = 20
_WORDS = {"firing": "", "escalated": "still firing: ", "resolved": "over: "}


@dataclass(frozen=True)
class About:
    """One alert of a message."""

    alert: str
    where: str
    said: str
    value: float | None
    since_us: int


@dataclass(frozen=True)
class Message:
    """What one rule has to say. Several of its alerts at once (one a group) are one message."""

    id: str
    kind: Kind
    project: str
    rule: str
    severity: str
    about: tuple[About, ...]
    at_us: int
    causes: tuple[str, ...] = ()
    next_step: str = ""
    runbook: str = ""
    more: int = 0
    """Alerts beside those of `about`."""

    @property
    def incident(self) -> str:
        """The same for all messages of a rule in a project: what a pager folds them by."""
        return one_line(f"llmwatch/{self.project}/{self.rule}", 250)

    @property
    def title(self) -> str:
        return one_line(f"[{self.severity}] {_WORDS[self.kind]}{self.rule} ({self.project})", 200)

    def lines(self) -> list[str]:
        """The message as lines of plain text."""
        said = [f"{one.where}: {one.said} (since {time(one.since_us)})" for one in self.about]
        if self.more:
            said.append(f"and {self.more} more")
        if self.causes:
            said += ["Fires with it, and may be the cause: " + "; ".join(self.causes)]
        if self.kind != "resolved" and self.next_step:
            said.append(f"Next step: {self.next_step}")
        if self.runbook:
            said.append(f"Runbook: {self.runbook}")
        return [one_line(line, 2000) for line in said]

    def as_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = _utf8({**asdict(self), "title": self.title, "lines": self.lines()})
        return told

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Message:
        about = tuple(About(**one) for one in told["about"])
        kept = {key: told[key] for key in cls.__dataclass_fields__ if key in told}
        return cls(**{**kept, "about": about, "causes": tuple(told["causes"])})


@dataclass
class Firing:
    """What is firing now, so that a symptom's message can name its causes."""

    alerts: list[tuple[Rule, Key, Track]] = field(default_factory=list)

    def causes_of(self, rule: Rule, tables: Sequence[str]) -> tuple[str, ...]:
        """The causes that fire now, with what they say."""
        return tuple(
            one_line(f"{cause.name} ({place(key)}: {track.said})", 300)
            for cause, key, track in self.alerts
            if _explains(rule, cause) and key.source.table in tables
        )[:MOST_ALERTS]


def _explains(rule: Rule, cause: Rule) -> bool:
    if rule.causes:
        return cause.name in rule.causes
    return rule.kind == "symptom" and cause.kind == "cause"


def message(
    kind: Kind, rule: Rule, alerts: Sequence[tuple[Key, Track]], firing: Firing, now_us: int
) -> Message:
    """One message about alerts of one rule in one project."""
    shown = sorted(alerts, key=lambda one: one[1].fired_us)
    tables = sorted({key.source.table for key, _ in shown})
    told = "\0".join([kind, *sorted(track.alert + track.severity for _, track in shown)])
    return Message(
        id=hashlib.blake2b(told.encode(), digest_size=12).hexdigest(),
        kind=kind,
        project=shown[0][0].project,
        rule=rule.name,
        severity=min(track.severity for _, track in shown),
        about=tuple(_about(kind, key, track) for key, track in shown[:MOST_ALERTS]),
        at_us=now_us,
        causes=() if kind == "resolved" else firing.causes_of(rule, tables),
        next_step=rule.suggestion,
        runbook=rule.runbook or "",
        more=max(0, len(shown) - MOST_ALERTS),
    )


def _about(kind: Kind, key: Key, track: Track) -> About:
    said = track.said
    if kind == "resolved":
        lasted = length(max(0, track.resolved_us - track.fired_us))
        said = f"over since {time(track.resolved_us)}, it lasted {lasted}"
    return About(track.alert, place(key), one_line(said), track.value, track.fired_us)


def place(key: Key) -> str:
    """The table, and the group where the alert is one group's."""
    group = in_words(key.source.group)
    return one_line(f"{key.source.table}, {group}" if group else key.source.table, 200)


def _utf8(told: Any) -> Any:
    """Plain values without lone surrogates, which no JSON can hold."""
    if isinstance(told, str):
        return told.encode("utf-8", "replace").decode()
    if isinstance(told, dict):
        return {key: _utf8(value) for key, value in told.items()}
    return [_utf8(one) for one in told] if isinstance(told, (list, tuple)) else told
