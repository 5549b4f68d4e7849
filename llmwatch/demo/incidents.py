"""What went wrong, told as a story: each incident with the alert it raises, and the page of the board that shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from llmwatch.board.spec import Board
from llmwatch.demo.rehearsal import PROJECT, TABLE
from llmwatch.demo.traffic import DAY_US, Incident

if TYPE_CHECKING:
    from llmwatch.watch.messages import Message

BOARD = "incidents"


@dataclass(frozen=True)
class Tale:
    """How an incident is told."""

    incident: str
    rule: str
    said: str
    table: str = TABLE
    page: str = f"board={BOARD}"


TALES = (
    Tale(
        "launch",
        "prompts drift",
        "A lantern is launched, and a third of the questions is about it.",
    ),
    Tale(
        "unsure model",
        "answers are unsure",
        "Version 1.1 brings a new model that is half as sure; it is rolled back in the evening.",
    ),
    Tale(
        "slow tenant",
        "a tenant waits",
        "One shop of three, nordwind, waits five times as long for its answers.",
    ),
    Tale(
        "injection campaign",
        "somebody tries to talk us into something",
        "Four new accounts try to get at the system prompt. The guardrail refuses them.",
    ),
    Tale(
        "cost leak",
        "answers cost more than usual",
        "Version 1.2 puts the whole help centre into every prompt. It still does.",
    ),
)


@dataclass(frozen=True)
class Told:
    """An incident, and what was said of it: the message, if there was one, and how many there were."""

    tale: Tale
    incident: Incident
    message: Message | None
    times: int

    @property
    def path(self) -> str:
        """Of the board's page, a day around the incident."""
        until = min(self.incident.end_us, self.incident.start_us + DAY_US) + DAY_US // 2
        span = f"{self.incident.start_us - DAY_US // 2}-{until}"
        return f"/local/{PROJECT}/{self.tale.table}?{self.tale.page}&{urlencode({'range': span})}"


def told(incidents: Sequence[Incident], messages: Sequence[Message]) -> Iterator[Told]:
    """Each incident with its alert."""
    for tale in TALES:
        incident = next(one for one in incidents if one.name == tale.incident)
        of_rule = [one for one in messages if one.rule == tale.rule]
        yield Told(tale, incident, of_rule[0] if of_rule else None, len(of_rule))


def board() -> Board:
    """A page with a panel for each incident."""
    made = Board(BOARD, table=f"{PROJECT}/{TABLE}", title="Incidents", range="all")
    roots = "parent_id IS NULL"
    answered = f"{roots} AND (attributes->'llmwatch'->>'decisions') IS NULL"
    tenant = "(attributes->>'tenant')"
    made.add("number", title="Questions", measure="count", where=roots, at=(0, 0, 6, 6))
    made.add("number", title="People", measure="distinct(user_id)", where=roots, at=(6, 0, 6, 6))
    made.add(
        "number", title="Resolved, as labelled later", measure="avg(number)",
        source="labels", unit="percent", better="up", at=(12, 0, 6, 6),
    )  # fmt: skip
    made.add(
        "number",
        title="Spent",
        measure="sum(cost_usd)",
        unit="usd",
        better="down",
        at=(18, 0, 6, 6),
    )
    made.add(
        "lines", title="Launch: questions about the Glow", measure="share(inputs->>'question' ILIKE '%glow%')",
        unit="percent", where=roots,
    )  # fmt: skip
    made.add(
        "lines", title="Unsure model: confidence of answers", measure="avg(number)",
        source="scores", where="name = 'confidence'",
    )  # fmt: skip
    made.add(
        "percentiles", title="Slow tenant: latency of nordwind", column="latency_ms", of=[50, 95],
        unit="ms", where=f"{answered} AND {tenant} = 'nordwind'",
    )  # fmt: skip
    made.add(
        "percentiles", title="Slow tenant: latency of the others", column="latency_ms", of=[50, 95],
        unit="ms", where=f"{answered} AND {tenant} <> 'nordwind'",
    )  # fmt: skip
    made.add(
        "bars", title="Injection campaign: refused by the guardrail", measure="count", by="user_id",
        where=f"{roots} AND (attributes->'llmwatch'->>'decisions') IS NOT NULL",
    )  # fmt: skip
    made.add(
        "lines", title="Cost leak: a call of the model", measure="avg(cost_usd)", by="model", unit="usd",
        where="model IS NOT NULL",
    )  # fmt: skip
    made.add("bars", title="Versions", measure="count", by="version", where=roots)
    made.add(
        "bars", title="Thumbs", measure="count", by="text", source="feedback",
        where="name LIKE '%reaction%'",
    )  # fmt: skip
    made.add(
        "rows", title="Questions", roots=True,
        columns=["timestamp", "inputs", "output", "latency_ms", "user_id", "version"],
    )  # fmt: skip
    return made
