"""A support bot's days, made up but not random: traces, an incident, feedback, scores, labels. The same every time.

python tests/board/support_traffic.py STORE [--traces 4000] [--until now]
"""

from __future__ import annotations

import argparse
import base64
import math
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import orjson

from llmwatch import StreamTable, capture, clock, settings
from llmwatch.store import EVENTS, Project, open_store
from llmwatch.stream import spool
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small

DAY_US = 86_400_000_000
TOPICS = {
    "reset": (
        [
            "How do I reset my API key?",
            "My key leaked, what now?",
            "Where can I rotate a key without downtime?",
        ],
        "Open **Security**, choose *Rotate key*, and confirm by mail. The old key keeps working for {n} minutes, so nothing that is deployed fails.",
        ["security.md#rotate", "security.md#leaks", "deploy.md#secrets"],
    ),
    "billing": (
        [
            "What does the Team plan cost?",
            "Why was I charged twice this month?",
            "Can I get an invoice with our VAT number?",
        ],
        "The Team plan is **$29 a seat** each month, billed on the first. A second charge of ${n} is usually a seat that was added mid-month:\n\n| item | amount |\n|---|---|\n| seats | $29.00 |\n| pro rata | ${n}.00 |",
        ["billing.md#plans", "billing.md#invoices", "billing.md#proration"],
    ),
    "export": (
        [
            "Can I export a project as Parquet?",
            "How large may a CSV export be?",
            "The export stops at 2 GB, is that a limit?",
        ],
        "Yes. *Settings → Export* writes Parquet or CSV. Files over {n} GB are split:\n\n```bash\nexport --project demo --format parquet --split {n}GB\n```",
        ["export.md#formats", "export.md#limits"],
    ),
    "sso": (
        [
            "How do I set up SSO with Okta?",
            "SAML says 'audience mismatch'",
            "Can contractors skip SSO?",
        ],
        "In Okta, create a SAML app and paste our audience URI. *Audience mismatch* means the URI lacks the trailing slash; {n} of our customers met it last month.",
        ["sso.md#okta", "sso.md#saml-errors", "sso.md#exceptions"],
    ),
    "limits": (
        [
            "I get 429 errors, what is my rate limit?",
            "How many requests a minute do I have?",
            "Can you raise our limit before Friday?",
        ],
        "Your plan allows **{n}00 requests a minute**. A 429 carries `Retry-After`; back off by that and add jitter.",
        ["limits.md#rates", "limits.md#429"],
    ),
}
MODELS = {
    "gpt-4o-mini": (0.15, 0.6, 620, 0.55),
    "gpt-4o": (2.5, 10.0, 1450, 0.25),
    "claude-sonnet-4": (3.0, 15.0, 1250, 0.15),
    "llama-3.3-70b": (0.6, 0.8, 900, 0.05),
}
"""Dollars a million tokens in and out, usual latency, share of the traffic."""
USERS = [
    f"{name}@{firm}.example"
    for firm in ("acme", "globex", "initech", "umbrella")
    for name in ("ada", "ben", "chen", "dora", "eli", "fay", "gus", "hana", "ivo", "june")
]


class SupportTraffic:
    """Makes one trace after another: answer → retrieve, generate."""

    def __init__(self, project: Project, traces: int, until_us: int, days: float = 1.0) -> None:
        self.project, self.chance = project, random.Random(11)
        self.start = int(until_us - days * DAY_US)
        self.times = sorted(self._moment(days) for _ in range(traces))
        self.now = self.start
        self.writer = spool.writer(project, "traces", settings.current())
        self.events = spool.writer(project, EVENTS, settings.current())
        self.incident = (
            self.start + int(0.71 * days * DAY_US),
            self.start + int(0.78 * days * DAY_US),
        )

    def _moment(self, days: float) -> int:
        """More by day than by night."""
        while True:
            at = self.chance.random() * days
            if (
                self.chance.random()
                < 0.35 + 0.65 * math.sin(math.pi * ((at % 1.0) * 0.9 + 0.05)) ** 2
            ):
                return int(self.start + at * DAY_US)

    def fill(self) -> None:
        with clock.use(now=lambda: self.now, ids=self._id):
            for at in self.times:
                self.now = max(self.now, at)
                self.trace()
        for writer in (self.writer, self.events):
            writer.flush(fsync=False)
            writer.rotate()

    def _id(self) -> str:
        return clock.uuid7(
            self.now * 1000 + self.chance.randrange(1000), self.chance.getrandbits(62)
        )

    def trace(self) -> None:
        chance, begun = self.chance, self.now
        topic = chance.choices(list(TOPICS), [4, 3, 2, 2, 2])[0]
        questions, template, sources = TOPICS[topic]
        question, amount = chance.choice(questions), chance.choice((2, 5, 7, 12, 15, 30))
        model = chance.choices(list(MODELS), [m[3] for m in MODELS.values()])[0]
        troubled = self.incident[0] <= begun < self.incident[1] and model == "gpt-4o"
        user, version = (
            chance.choice(USERS),
            "1.4.0" if begun > self.start + 0.55 * (self.times[-1] - self.start) else "1.3.2",
        )
        root, trace = self._id(), self._id()
        common = {
            "trace_id": trace,
            "user_id": user,
            "session_id": f"s-{user.split('@')[0]}-{begun // 3_600_000_000 % 97}",
            "version": version,
        }
        answer = template.format(n=amount)
        retrieval_ms = chance.lognormvariate(3.9, 0.45)
        documents = [
            {
                "source": s,
                "score": round(chance.uniform(0.55, 0.94), 3),
                "text": f"{s.split('#')[1].title()}: {answer[: 90 + 40 * i]}",
            }
            for i, s in enumerate(sources)
        ]
        self.row(
            "retrieve",
            "retrieval",
            common,
            root,
            begun + 2_000,
            retrieval_ms,
            {"question": question, "k": len(sources)},
            output=documents,
        )
        error = self._error(troubled)
        latency = MODELS[model][2] * chance.lognormvariate(0, 0.38) * (3.4 if troubled else 1.0)
        called = begun + int(retrieval_ms * 1000) + 6_000
        self.generation(
            common,
            root,
            called,
            latency,
            model,
            question=question,
            documents=documents,
            answer=answer,
            error=error,
        )
        whole = retrieval_ms + latency + chance.uniform(8, 20)
        self.now = begun + int(whole * 1000)
        failed = {"exception_type": error[0], "exception": _traceback(*error)} if error else {}
        self.row(
            "answer",
            None,
            common,
            None,
            begun,
            whole,
            {"question": question, "topic": topic},
            output=None if error else {"answer": answer, "sources": sources},
            row_id=root,
            **failed,
        )
        if not error:
            self.said(root, answer, troubled, topic)

    def _error(self, troubled: bool) -> tuple[str, str] | None:
        roll = self.chance.random()
        if troubled and roll < 0.38:
            return (
                "RateLimitError",
                "Error code: 429 - Rate limit reached for gpt-4o: retry in 1.2s",
            )
        if roll < 0.008:
            return ("APITimeoutError", "Request timed out.")
        if roll < 0.011:
            return ("JSONDecodeError", "Expecting ',' delimiter: line 1 column 83 (char 82)")
        return None

    def generation(
        self,
        common: Any,
        parent: str,
        at: int,
        latency: float,
        model: str,
        *,
        question: str,
        documents: Any,
        answer: str,
        error: Any,
    ) -> None:
        system = (
            "You are the support assistant of a developer platform. Answer from the context, briefly, in Markdown.\n\nContext:\n"
            + "\n".join(f"[{d['source']}] {d['text']}" for d in documents)
        )
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        tokens, made = (
            40 + sum(len(m["content"]) for m in messages) // 4,
            len(answer) // 4 + self.chance.randrange(6, 40),
        )
        price = MODELS[model]
        output = {
            "id": f"chatcmpl-{self.chance.getrandbits(48):012x}",
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": answer},
                }
            ],
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": made,
                "total_tokens": tokens + made,
            },
        }
        more: dict[str, Any] = {
            "model": model,
            "prompt_tokens": tokens,
            "prompt_chars": tokens * 4,
            "ttft_ms": round(latency * self.chance.uniform(0.18, 0.34), 2),
        }
        if error:
            more |= {"exception_type": error[0], "exception": _traceback(*error)}
        else:
            more |= {
                "completion_tokens": made,
                "output_chars": len(answer),
                "cost_usd": round((tokens * price[0] + made * price[1]) / 1e6, 7),
            }
        self.now = at + int(latency * 1000)
        self.row(
            "generate",
            "generation",
            common,
            parent,
            at,
            latency,
            {"model": model, "messages": messages, "temperature": 0.2},
            output=None if error else output,
            **more,
        )

    def row(
        self,
        name: str,
        kind: str | None,
        common: Any,
        parent: str | None,
        at: int,
        ms: float,
        inputs: Any,
        *,
        output: Any,
        row_id: str | None = None,
        **more: Any,
    ) -> None:
        row_id = row_id or self._id()
        vector = [math.sin(len(str(inputs)) * (n + 1) * 0.37) for n in range(16)]
        fields = {
            "id": row_id, **common, "parent_id": parent, "op_name": name, "kind": kind,
            "status": "error" if "exception" in more else "success", "started_at": at, "ended_at": at + int(ms * 1000),
            "latency_ms": round(ms, 3), "inputs": inputs, "output": output, "attributes": {"env": "production", "region": "eu-west-1"},
            "embedding": base64.b64encode(struct.pack("<16f", *vector)).decode() if name == "generate" else None, **more,
        }  # fmt: skip
        self.writer.append("row", orjson.dumps({k: v for k, v in fields.items() if v is not None}))

    def said(self, row_id: str, answer: str, troubled: bool, topic: str) -> None:
        chance = self.chance
        grounded = min(1.0, max(0.0, chance.gauss(0.58 if topic == "billing" else 0.84, 0.1)))
        self.event(
            row_id,
            "score",
            "groundedness",
            {
                "score": round(grounded, 3),
                "why": "every claim has a source"
                if grounded > 0.7
                else "the amount is in none of the documents",
            },
            "groundedness-v2",
        )
        self.event(row_id, "score", "toxicity", round(abs(chance.gauss(0.01, 0.01)), 4), "toxicity")
        if chance.random() < 0.16:
            up = chance.random() < (0.45 if troubled or grounded < 0.6 else 0.86)
            emoji = "👍" if up else "👎"
            self.event(
                row_id,
                "feedback",
                "wandb.reaction.1",
                {"emoji": emoji, "alias": "up" if up else "down", "detoned": emoji},
                "web",
            )
            if not up and chance.random() < 0.6:
                self.event(
                    row_id,
                    "feedback",
                    "wandb.note.1",
                    {
                        "note": chance.choice(
                            [
                                "Wrong amount, it is per seat.",
                                "Did not answer my question.",
                                "Too slow.",
                            ]
                        )
                    },
                    "web",
                )
        if chance.random() < 0.1:
            self.event(row_id, "label", "resolved", chance.random() < 0.8, "desk")

    def event(self, row_id: str, kind: str, name: str, value: Any, creator: str) -> None:
        self.events.append(
            "event",
            orjson.dumps(
                {
                    "id": self._id(),
                    "row_id": row_id,
                    "table": "traces",
                    "kind": kind,
                    "name": name,
                    "value": value,
                    "creator": creator,
                }
            ),
        )


def _traceback(kind: str, text: str) -> str:
    return (
        "Traceback (most recent call last):\n"
        '  File "/srv/app/bot.py", line 41, in answer\n    return generate(question, retrieve(question))\n'
        '  File "/srv/app/bot.py", line 27, in generate\n    reply = client.chat.completions.create(model=model, messages=messages)\n'
        f'  File "/srv/app/llm.py", line 88, in create\n    raise {kind}(response)\n{kind}: {text}'
    )


def picture(seed: int, side: int = 160) -> bytes:
    """A small PNG, drawn without a library."""
    rows = b""
    for y in range(side):
        rows += b"\0" + bytes(
            c
            for x in range(side)
            for c in (
                (x * 2 + seed * 37) % 256,
                (y * 2 + seed * 11) % 256,
                (x * y // 40 + seed * 53 + (x * 7919 + y * 104729) % 29) % 256,
            )
        )
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def fill_products(project: Project, count: int = 160) -> None:
    """A table of dicts with pictures: what `StreamTable.log` was given."""
    table = StreamTable(
        "captions", project_name=project.name, entity_name=project.entity, store=project.store.root
    )
    chance = random.Random(3)
    for n in range(count):
        table.log(
            {
                "picture": capture.Bytes(picture(n % 12), type="image/png")
                if hasattr(capture, "Bytes")
                else picture(n % 12),
                "caption": chance.choice(
                    [
                        "a red chair by a window",
                        "two cats on a sofa",
                        "a bowl of soup",
                        "a bicycle in rain",
                    ]
                ),
                "confidence": round(chance.betavariate(6, 2), 3),
                "accepted": chance.random() < 0.8,
                "model": chance.choice(["vision-1", "vision-2"]),
            }
        )
    table.finish()


def make(
    store: Path, traces: int = 4000, until_us: int | None = None, days: float = 1.0
) -> Project:
    settings.use(settings.load(store=str(store), worker=False, retention_days=0, max_store_gb=0))
    project = open_store(store).project("local", "support-bot")
    SupportTraffic(project, traces, until_us or clock.now_us(), days).fill()
    for table in ("traces", EVENTS):
        compact(project, table)
        merge_small(project, table)
    fill_products(project)
    return project


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("store", type=Path)
    options.add_argument("--traces", type=int, default=4000)
    options.add_argument("--days", type=float, default=1.0)
    given = options.parse_args()
    made = make(given.store, given.traces, days=given.days)
    print(made.id, made.tables())
