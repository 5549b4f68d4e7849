"""Made-up traffic for `slices.py`: people with habits who ask a help desk, and ten things that can go wrong with it."""

from __future__ import annotations

import random

from llmwatch import StreamTable, clock
from llmwatch.stream import events

START_US = 1_795_000_000_000_000
STEP_US = 2_000_000
TOPICS = {
    "invoice": ["invoice", "payment", "bill", "charge", "receipt"],
    "password": ["password", "login", "account", "reset", "locked"],
    "delivery": ["delivery", "parcel", "courier", "address", "late"],
    "refund": ["refund", "return", "money", "broken", "exchange"],
    "coupon": ["coupon", "discount", "code", "voucher", "sale"],
}
NEW_TOPIC = ["warranty", "battery", "overheating", "recall", "serial"]
FORMS = {
    "en": "How do I get help with the {0} and my {1} please, what is this {2}",
    "de": "Wie kann ich mit dem {0} und der {1} etwas machen, was ist das für ein {2} bitte",
    "es": "Cómo puedo hacer algo con el {0} y la {1}, qué es este {2} por favor",
}
INCIDENTS = {
    "release": "version",
    "partial release": "version",
    "flood": "user",
    "fallback": "model",
    "newcomers": "language",
    "region": "region",
    "setting": "top_k",
    "subject": "kind of prompt",
    "history": "prompt_tokens",
    "nulls": "plan",
}
"""What goes wrong, and the column that says so."""


class People:
    """Each with a plan and a language, some asking much more than others."""

    def __init__(self, chance: random.Random, count: int = 300) -> None:
        self.names = [f"u{n}" for n in range(count)]
        self.weights = [chance.paretovariate(1.6) for _ in self.names]
        self.weights = [min(weight, 12.0) for weight in self.weights]
        self.plan = {name: chance.choice(["free", "free", "pro", "team"]) for name in self.names}
        self.language = {
            name: chance.choices(["en", "de", "es"], [8, 1, 1])[0] for name in self.names
        }
        self.slow = {name: chance.lognormvariate(0, 0.25) for name in self.names}

    def someone(self, chance: random.Random) -> str:
        return chance.choices(self.names, self.weights)[0]


def question(chance: random.Random, language: str, topic: list[str]) -> str:
    return f"{FORMS[language].format(*chance.sample(topic, 3))} {chance.randrange(100_000)}"


def row(
    chance: random.Random, people: People, user: str, incident: str | None
) -> tuple[dict, float]:
    """One row, and how good its answer was."""
    language = people.language[user]
    topic = TOPICS[chance.choice([*TOPICS])]
    made = {
        "user_id": user,
        "plan": people.plan[user],
        "version": "v1",
        "model": chance.choices(["small", "large"], [7, 3])[0],
        "region": chance.choices(["eu", "us", "ap", "sa"], [4, 3, 2, 1])[0],
        "tool": chance.choice(["search", "sql", "mail", "none"]),
        "top_k": 5,
        "beta": chance.random() < 0.2,
        "prompt_tokens": int(chance.lognormvariate(5.3, 0.6)),
    }
    slower, failing, worse = 1.0, 0.02, 0.0
    if incident == "release":
        made["version"], slower = "v2", 1.6
    elif incident == "partial release" and chance.random() < 0.3:
        made["version"], failing = "v2", 0.2
    elif incident == "flood" and chance.random() < 0.25:
        made["user_id"] = user = people.names[7]
        made["prompt_tokens"] *= 4
    elif incident == "fallback":
        made["model"] = chance.choices(["small", "large"], [2, 8])[0]
    elif incident == "newcomers" and chance.random() < 0.4:
        made["user_id"] = user = f"new{chance.randrange(200)}"
        made["plan"], language = "free", "de"
    elif incident == "region" and made["region"] == "eu":
        slower = 2.2
    elif incident == "setting":
        made["top_k"], slower = 20, 1.5
    elif incident == "subject" and chance.random() < 0.3:
        topic, worse = NEW_TOPIC, 0.3
    elif incident == "history":
        made["prompt_tokens"] = int(made["prompt_tokens"] * 2.5)
    elif incident == "nulls" and chance.random() < 0.35:
        made["plan"], worse = None, 0.3
    if incident is not None and made["region"] == "eu" and chance.random() < 0.15:
        made["region"] = "us"  # something is always different
    speed = people.slow.get(user, 1.0) * (1.9 if made["model"] == "large" else 1.0)
    made["latency_ms"] = (
        speed * slower * chance.lognormvariate(6, 0.4) * (made["prompt_tokens"] / 200) ** 0.3
    )
    made["cost_usd"] = (
        1e-5
        * made["prompt_tokens"]
        * (4 if made["model"] == "large" else 1)
        * (made["top_k"] / 5) ** 0.5
    )
    made["status"] = "error" if chance.random() < failing else "success"
    made["question"] = question(chance, language, topic)
    good = 0.8 - worse - (0.25 if language == "de" else 0.0) + chance.gauss(0, 0.1)
    return made, min(1.0, max(0.0, good))


def record(table: str, incident: str, rows: int, seed: int) -> int:
    """Rows of a usual time and, from the time that is returned on, of the incident; a score for each other row."""
    chance = random.Random(f"{incident} {seed}")
    people = People(chance)
    written = StreamTable(table)
    project, session, left = written.project, 0, 0
    for n in range(rows):
        if not left:
            session, left, user = session + 1, chance.randrange(1, 5), people.someone(chance)
        left -= 1
        made, good = row(chance, people, user, incident if n >= rows // 2 else None)
        with clock.use(now=lambda at=n: START_US + at * STEP_US):
            row_id = written.add(
                {**made, "session_id": f"s{session}-{made['user_id']}", "number": n}
            )
            if n % 2 == 0:
                events.add(
                    project,
                    kind="score",
                    name="helpful",
                    value=good,
                    row_id=row_id,
                    table=written.name,
                )
    return START_US + rows // 2 * STEP_US
