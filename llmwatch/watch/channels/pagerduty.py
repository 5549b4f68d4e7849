"""PagerDuty, by its Events API v2: one incident a rule and project, resolved when its alerts are over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from llmwatch.watch.channels.posting import post
from llmwatch.watch.channels.secrets import secret
from llmwatch.watch.messages import Message
from llmwatch.watch.periods import moment
from llmwatch.watch.wording import one_line

_SEVERITIES = {"P0": "critical", "P1": "error", "P2": "warning"}


@dataclass(frozen=True)
class PagerDuty:
    """Sends events with the routing key in the variable `key_env`. `url` is another for the EU service region."""

    name: str = "pagerduty"
    key_env: str = "PAGERDUTY_ROUTING_KEY"
    url: str = "https://events.pagerduty.com/v2/enqueue"
    severities: tuple[str, ...] = ("P0", "P1")
    resolved: bool = True

    def send(self, message: Message) -> None:
        key = secret(self.key_env, self.name)
        body = orjson.dumps({"routing_key": key, **event(message)})
        post(self.url, body, {"Content-Type": "application/json"}, secrets=(key,))


def event(message: Message) -> dict[str, Any]:
    """The event without its key."""
    if message.kind == "resolved":
        return {"event_action": "resolve", "dedup_key": message.incident}
    links = [{"href": message.runbook, "text": "Runbook"}] if _is_link(message.runbook) else []
    return {
        "event_action": "trigger",
        "dedup_key": message.incident,
        "client": "llmwatch",
        "links": links,
        "payload": {
            "summary": message.title[:1024],
            "source": message.project,
            "severity": _SEVERITIES[message.severity],
            "timestamp": moment(message.at_us).isoformat(),
            "component": message.about[0].where if message.about else message.project,
            "class": one_line(message.rule, 200),
            "custom_details": {"said": message.lines(), "id": message.id},
        },
    }


def _is_link(text: str) -> bool:
    return text.startswith(("https://", "http://"))
