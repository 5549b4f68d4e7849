"""The calls and the questions of `backend.py`: the same for llmwatch and for its peer, which runs elsewhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

PROJECT = "local/backend"
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
OPS = [f"weave:///{PROJECT}/op/{name}:v1" for name in ("answer", "retrieve", "generate", "rank")]
WORDS = [
    "key",
    "account",
    "reset",
    "question",
    "invoice",
    "order",
    "page",
    "owner",
    "token",
    "password",
    "refund",
]
RATED = 10
"""One call in so many has feedback."""


def calls(count: int) -> Iterator[dict[str, Any]]:
    """Complete calls in the order of their start, four to a trace."""
    chance = random.Random(7)
    for n in range(count):
        trace, place = divmod(n, 4)
        started = BEGIN + timedelta(seconds=n / 10)
        failed = n % 50 == 49
        text = " ".join(chance.choices(WORDS, k=40))
        yield {
            "project_id": PROJECT,
            "id": f"{n:08x}-0000-7000-8000-000000000000",
            "trace_id": f"{trace:08x}-0000-7000-9000-000000000000",
            "parent_id": None if place == 0 else f"{trace * 4:08x}-0000-7000-8000-000000000000",
            "op_name": OPS[place],
            "started_at": started,
            "ended_at": started + timedelta(milliseconds=chance.randrange(20, 3000)),
            "attributes": {"env": "prod" if n % 3 else "dev", "n": n},
            "inputs": {"question": text, "params": {"temperature": chance.random(), "top": n % 7}},
            "output": None if failed else {"text": text[::-1], "score": chance.random()},
            "exception": "ValueError: no" if failed else None,
            "summary": {
                "usage": {
                    "gpt-x": {"prompt_tokens": n % 900, "completion_tokens": n % 90, "requests": 1}
                },
                "status_counts": {"success": int(not failed), "error": int(failed)},
            },
        }


def feedback(count: int) -> Iterator[dict[str, Any]]:
    for n in range(0, count, RATED):
        yield {
            "project_id": PROJECT,
            "weave_ref": f"weave:///{PROJECT}/call/{n:08x}-0000-7000-8000-000000000000",
            "feedback_type": "rating",
            "payload": {"value": n // RATED % 5 + 1},
            "wb_user_id": "ann",
        }


def field(path: str) -> dict[str, str]:
    return {"$getField": path}


def compared(operator: str, path: str, value: Any) -> dict[str, Any]:
    return {operator: [field(path), {"$literal": value}]}


def asked(**more: Any) -> dict[str, Any]:
    return {"project_id": PROJECT, **more}


def by(path: str, direction: str) -> list[dict[str, str]]:
    return [{"field": path, "direction": direction}]


TEMPERATURE = "inputs.params.temperature"
QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "an op, one page": [asked(filter={"op_names": [OPS[2]]}, limit=1000)],
    "errors of one environment": [
        asked(
            query={
                "$expr": {
                    "$and": [
                        compared("$eq", "summary.weave.status", "error"),
                        compared("$eq", "attributes.env", "prod"),
                    ]
                }
            }
        )
    ],
    "a number in the output": [asked(query={"$expr": compared("$gt", "output.score", 0.99)})],
    "a word in the input": [
        asked(
            query={
                "$expr": {
                    "$contains": {
                        "input": field("inputs.question"),
                        "substr": {"$literal": "refund key refund"},
                    }
                }
            }
        )
    ],
    "sorted on a nested field, first page": [asked(sort_by=by(TEMPERATURE, "desc"), limit=100)],
    "the same, three pages through": [
        asked(sort_by=by(TEMPERATURE, "desc"), limit=1000, offset=n * 1000) for n in range(3)
    ],
    "filtered, sorted, page 20": [
        asked(
            filter={"op_names": [OPS[0]]},
            query={"$expr": compared("$gt", "attributes.n", 1000)},
            sort_by=by(TEMPERATURE, "asc"),
            limit=100,
            offset=1900,
        )
    ],
    "feedback above 4, joined": [
        asked(
            query={"$expr": compared("$gt", "feedback.[rating].payload.value", 4)},
            include_feedback=True,
            limit=1000,
        )
    ],
    "one trace": [asked(filter={"trace_ids": ["00000100-0000-7000-9000-000000000000"]})],
}
"""Requests for calls; a question may take several."""

STATS = [
    asked(),
    asked(filter={"trace_roots_only": True}),
    asked(query={"$expr": compared("$eq", "summary.weave.status", "error")}),
]
SERIES = asked(
    start=BEGIN,
    end=BEGIN + timedelta(days=1),
    granularity=3600,
    call_metrics=[
        {"metric": "latency_ms", "aggregations": ["avg", "max"], "percentiles": [50, 99]},
        {"metric": "error_count", "aggregations": ["sum"]},
    ],
    filter={"trace_roots_only": True},
)


def same(calls_found: list[Any]) -> list[str]:
    """What of an answer has to be the same everywhere: which calls, in which order."""
    return [call["id"] if isinstance(call, dict) else call.id for call in calls_found]
