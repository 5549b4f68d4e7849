"""Made-up traffic for the benchmarks: really distinct rows of about 2.4 KB, three-span traces through a day."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Callable

from llmwatch import clock, settings
from llmwatch.store import Project
from llmwatch.stream import spool
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small

TABLE = "traces"
MODELS = ("small-1", "small-2", "large-1", "large-2")


class Traffic:
    """Three-span traces with texts put together from many distinct phrases, at a steady pace through a day."""

    def __init__(self, rows: int) -> None:
        chance = random.Random(7)
        letters = "abcdefghijklmnopqrstuvwxyz"
        words = ["".join(chance.choices(letters, k=chance.randint(2, 11))) for _ in range(30_000)]
        self.phrases = [" ".join(chance.choices(words, k=14)) for _ in range(50_000)]
        self.chance = chance
        self.start = 1_790_000_000_000_000
        self.step = max(1, 86_400_000_000 // rows)
        self.made = 0
        self.trace = ""
        self.vectors = [
            base64.b64encode(bytes(chance.getrandbits(8) for _ in range(384 * 4))).decode() for _ in range(64)
        ]

    def now(self) -> int:
        return self.start + self.made * self.step

    def row(self) -> bytes:
        """The body of one line; every third starts a new trace."""
        chance, n = self.chance, self.made
        row_id = clock.uuid7(self.now() * 1000, chance.getrandbits(62))
        if n % 3 == 0:
            self.trace = clock.uuid7(self.now() * 1000, chance.getrandbits(62))
        question = f"{chance.choice(self.phrases)} #{n}"
        documents = chance.choices(self.phrases, k=12)
        answer = " ".join(chance.choices(self.phrases, k=8))
        latency = chance.lognormvariate(5, 0.7)
        vector = f'"embedding":"{self.vectors[n % 64]}",' if n % 100 == 0 else ""
        self.made += 1
        return (
            f'{{"id":"{row_id}","trace_id":"{self.trace}","op_name":"step{n % 3}","kind":"generation",'
            f'"status":"success","model":"{MODELS[chance.randrange(4)]}","user_id":"u{chance.randrange(5000)}",'
            f'"started_at":{self.now()},"ended_at":{self.now() + int(latency * 1000)},"latency_ms":{latency:.3f},'
            f'"prompt_tokens":{len(question) // 4},"completion_tokens":{len(answer) // 4},{vector}'
            f'"prompt_chars":{len(question)},"output_chars":{len(answer)},'
            f'"inputs":{{"question":{json.dumps(question)},"documents":{json.dumps(documents)}}},'
            f'"output":{{"answer":{json.dumps(answer)}}},"summary":{{}}}}'
        ).encode()


def fill(project: Project, rows: int, traffic: Traffic, say: Callable[[str], None]) -> None:
    """Write rows, then compact and merge them as they come."""
    writer = spool.writer(project, TABLE, settings.current())
    started = time.perf_counter()
    with clock.use(now=traffic.now):
        for n in range(rows):
            writer.append("row", traffic.row())
            if n % 100_000 == 99_999:
                writer.rotate()
                compact(project, TABLE)
                merge_small(project, TABLE)
                say(f"{n + 1:,} of {rows:,} rows in {time.perf_counter() - started:.0f} s")
        writer.rotate()
        compact(project, TABLE)
        merge_small(project, TABLE)
