"""The history of alerts: rows of the StreamTable `alerts`, which also carries what people said (silence, resolve).

`state` says what a row tells: `firing`, `reopened`, `escalated`, `resolved`, `silenced` (fired, and nobody was told);
`notified` (a message went to a channel, or could not); `silence`, `unsilence` and `dismissed` are people's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import clock
from llmwatch.errors import NotFound
from llmwatch.watch.alerts import Change, Key, Track
from llmwatch.watch.rules import Rule
from llmwatch.watch.standing import Delivery
from llmwatch.watch.wording import one_line

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader
    from llmwatch.stream.table import StreamTable

TABLE = "alerts"
_ABOUT = ("firing", "reopened", "escalated", "resolved", "silenced", "dismissed", "notified")


@dataclass(frozen=True)
class Silence:
    """Alerts of rules with such a name (`*`: all) are told to nobody until then."""

    id: str
    rule: str
    until_us: int
    group: str = ""
    reason: str = ""
    by: str = ""

    def covers(self, key: Key) -> bool:
        return fnmatchcase(key.rule, self.rule) and self.group in key.source.group


@dataclass
class Alert:
    """One alert as its rows tell it."""

    id: str
    rule: str
    severity: str
    state: str
    table: str
    set: str
    group: str
    metric: str
    fired_us: int
    resolved_us: int | None = None
    said: str = ""
    reopened: int = 0
    messages: int = 0
    failed: int = 0
    silenced: bool = False


class Log:
    """Writes rows of the history of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._table: StreamTable | None = None

    def changed(self, rule: Rule, key: Key, track: Track, change: Change) -> None:
        self._add(
            change.state, rule, key, track, at_us=change.at_us, value=change.value, said=change.said
        )

    def silenced(self, rule: Rule, key: Key, track: Track, silence: Silence) -> None:
        self._add("silenced", rule, key, track, at_us=clock.now_us(), silence=silence.id)

    def dismissed_by(self, alert: Alert, by: str) -> None:
        self._log(state="dismissed", alert=alert.id, rule=alert.rule, by=by, at_us=clock.now_us())

    def notified(self, delivery: Delivery, error: str | None) -> None:
        """A message that went out, or (with an error) that could not."""
        message = delivery.message
        for about in message.about:
            self._log(
                state="notified", alert=about.alert, rule=message.rule, severity=message.severity,
                message=message.id, about=message.kind, channel=delivery.channel, ok=error is None,
                error=error, attempts=delivery.tries, at_us=clock.now_us(),
            )  # fmt: skip

    def silence(self, rule: str, until_us: int, group: str, reason: str, by: str) -> str:
        """Ask for silence; returns its id."""
        id_ = clock.new_id()[-12:]
        self._log(
            state="silence", silence=id_, rule=rule, until_us=until_us, group=group, by=by,
            reason=one_line(reason), at_us=clock.now_us(),
        )  # fmt: skip
        return id_

    def unsilence(self, id_: str, by: str) -> None:
        self._log(state="unsilence", silence=id_, by=by, at_us=clock.now_us())

    def close(self) -> None:
        """Have what was written on the disk."""
        if self._table is not None:
            self._table.finish()

    def _add(self, state: str, rule: Rule, key: Key, track: Track, **told: Any) -> None:
        source = key.source
        self._log(
            state=state, alert=track.alert, rule=rule.name, severity=track.severity, kind=rule.kind,
            table=source.table, set=source.set, group=source.group, metric=key.metric,
            fired_us=track.fired_us, next_step=rule.suggestion, runbook=rule.runbook, **told,
        )  # fmt: skip

    def _log(self, **told: Any) -> None:
        if self._table is None:  # most looks have nothing to write
            from llmwatch.stream.table import StreamTable

            self._table = StreamTable(f"{self._project.id}/{TABLE}", store=self._project.store.root)
        self._table.log({key: value for key, value in told.items() if value is not None})


def rows(reader: Reader, states: tuple[str, ...], since_us: int = 0) -> list[dict[str, Any]]:
    """Rows of these states, in order."""
    if TABLE not in reader.project.tables():
        return []
    if not any(column.key == "state" for column in reader.columns(TABLE)):
        return []
    found = reader.execute(
        'SELECT "llmwatch id", "llmwatch data" FROM keyed.alerts WHERE list_contains(?, state) '
        'AND epoch_us("llmwatch ts") >= ? ORDER BY "llmwatch ts", "llmwatch writer", "llmwatch seq"',
        [list(states), since_us],
        [TABLE],
    )
    return [{**orjson.loads(data), "row": row} for row, data in found.rows]


def silences(reader: Reader, now_us: int) -> list[Silence]:
    """The silences that hold now."""
    found: dict[str, Silence] = {}
    for row in rows(reader, ("silence", "unsilence")):
        if row["state"] == "unsilence":
            found.pop(row["silence"], None)
        elif row["until_us"] > now_us:
            found[row["silence"]] = Silence(
                row["silence"], row["rule"], row["until_us"], row.get("group", ""),
                row.get("reason", ""), row.get("by", ""),
            )  # fmt: skip
    return list(found.values())


def alerts(reader: Reader, since: datetime | None = None) -> list[Alert]:
    """Every alert since then, the newest last."""
    found: dict[str, Alert] = {}
    for row in rows(reader, _ABOUT):
        _told(found, row)
    first = 0 if since is None else _us(since)
    kept = [one for one in found.values() if (one.resolved_us or clock.now_us()) >= first]
    return sorted(kept, key=lambda one: one.fired_us)


def find(reader: Reader, text: str) -> list[Alert]:
    """The alerts that fire now with such an id, or of such a rule."""
    firing = [one for one in alerts(reader) if one.state == "firing"]
    chosen = [one for one in firing if one.id == text or fnmatchcase(one.rule, text)]
    if not chosen:
        known = ", ".join(sorted({one.rule for one in firing})) or "none"
        raise NotFound(f"no alert {text!r} fires; firing: {known}")
    return chosen


def _told(found: dict[str, Alert], row: dict[str, Any]) -> None:
    state, alert = row["state"], found.get(row.get("alert", ""))
    if state == "firing":
        found.setdefault(row["alert"], _begun(row))
        return
    if alert is None:
        return
    if state == "notified":
        alert.messages += bool(row.get("ok"))
        alert.failed += not row.get("ok")
    elif state in {"resolved", "dismissed"}:
        alert.state, alert.resolved_us = "resolved", row["at_us"]
    elif state == "reopened":
        alert.state, alert.resolved_us = "firing", None
        alert.reopened += 1
    elif state == "escalated":
        alert.severity = row["severity"]
    elif state == "silenced":
        alert.silenced = True


def _begun(row: dict[str, Any]) -> Alert:
    return Alert(
        row["alert"], row["rule"], row["severity"], "firing", row["table"], row["set"], row["group"],
        row["metric"], row["at_us"], said=row.get("said", ""),
    )  # fmt: skip


def _us(moment: datetime) -> int:
    epoch = datetime(1970, 1, 1, tzinfo=moment.tzinfo)
    return (moment - epoch) // timedelta(microseconds=1)
