"""What the scoring tests share: calls in a store, scorers in a module that another process can import, and what was said."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from llmwatch import clock, settings
from llmwatch.scoring.live import Lane, LaneRun
from llmwatch.scoring.spec import Spec
from llmwatch.store import EVENTS, Project, open_store
from llmwatch.stream import spool
from llmwatch.stream.query import Reader

SCORERS = """
import asyncio, os, time

def length(output):
    return {"characters": len(output)}

def moody(output, question):
    if question == "die":
        os._exit(3)
    if question == "hang":
        time.sleep(1000)
    if question == "raise":
        raise ValueError("I do not like this")
    if question == "once":
        flag = os.environ["MOODY_FLAG"]
        if not os.path.exists(flag):
            open(flag, "w").close()
            raise ConnectionError("not now")
    return {"ok": True}

async def slow(output):
    await asyncio.sleep(0.2)
    return {"fine": True}

def silent(output):
    return None

def hostile(output):
    return {"text": "\\ud800<script>\\x1b[31m", "nan": float("nan"), "many": {1, 2}}

def chatty(output):
    print("this must not be taken for an answer")
    return {"ok": 1}

class Above:
    name = "above"
    def __init__(self, limit=3):
        self.limit = limit
    def score_rows(self, rows):
        if any(row["output"] == "poison" for row in rows):
            raise ValueError("poison")
        return [{"above": len(row["output"]) > self.limit} for row in rows]
"""


def demo() -> Project:
    return open_store().project("local", "demo")


def scorers_in(directory: Path) -> str:
    (directory / "my_scorers.py").write_text(SCORERS)
    return str(directory)


def call(question: str = "why?", output: Any = "because", **columns: Any) -> str:
    """One call, as a traced function would have recorded it; returns its id."""
    row_id = clock.new_id()
    row = {
        "id": row_id,
        "op_name": "answer",
        "kind": "generation",
        "status": "success",
        "started_at": 1,
        "inputs": {"question": question},
        "output": output,
        **columns,
    }
    assert spool.writer(demo(), "traces", settings.current()).append(
        "row", json.dumps(row).encode()
    )
    return row_id


def lane(directory: Path, *names: str, **options: Any) -> Lane:
    paths = (scorers_in(directory),)
    specs = tuple(Spec(f"my_scorers:{name}", paths=paths, **options) for name in names)
    return Lane("-".join(names), specs)


def run(chosen: Lane, *, turns: int = 100) -> None:
    """Everything that is due, as a worker that was just started would do it."""
    live = LaneRun(chosen, demo().store, settings.current())
    try:
        while turns and live.turn():
            turns -= 1
    finally:
        live.close()


def said(kind: str = "score") -> list[dict[str, Any]]:
    reader = Reader(demo())
    try:
        found = reader.execute(
            "SELECT id, row_id, name, value, attributes FROM said.events WHERE kind = ? ORDER BY ts, writer, seq",
            [kind],
            [EVENTS],
        ).dicts()
    finally:
        reader.close()
    return [{**event, "value": json.loads(event["value"])} for event in found]


def scored() -> Counter[tuple[str, str]]:
    """How often each (row, scorer) was scored, of all that was ever written."""
    reader = Reader(demo())
    try:
        found = reader.execute(
            f"SELECT row_id, name FROM main.\"{EVENTS}\" WHERE kind = 'score'", [], [EVENTS]
        )
    finally:
        reader.close()
    return Counter((row[0], row[1]) for row in found.rows)
