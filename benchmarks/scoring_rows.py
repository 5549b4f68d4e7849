"""What `scoring.py` scores and who is measured meanwhile: calls of a model with logprobs and documents, and a paced app."""

from __future__ import annotations

import json
import random
import sys
import time

from llmwatch import clock, settings
from llmwatch.store import Project, open_store
from llmwatch.stream import spool

TABLE = "traces"
_TOLD = "Reset it in the settings under Keys. Tell ann{n}@example.com or call +1 415 555 01{d:02d} if that fails. "


def write(project: Project, rows: int, seed: int = 7) -> list[str]:
    """Write `rows` calls of about 3 KB, as a traced client of a model records them; returns their ids."""
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 11))) for _ in range(20_000)]
    phrases = [" ".join(chance.choices(words, k=14)) for _ in range(20_000)]
    writer = spool.writer(project, TABLE, settings.current())
    ids = []
    for n in range(rows):
        ids.append(clock.new_id())
        assert writer.append("row", _line(ids[-1], n, chance, phrases))
    writer.rotate()
    return ids


def _line(row_id: str, n: int, chance: random.Random, phrases: list[str]) -> bytes:
    question = f"{chance.choice(phrases)} #{n}"
    documents = "\n".join(chance.choices(phrases, k=6))
    answer = " ".join(chance.choices(phrases, k=5))
    if n % 10 == 0:
        answer += _TOLD.format(n=n, d=n % 100)
    tokens = answer.split()[:30]
    logprobs = [{"token": t, "logprob": -chance.expovariate(4), "top_logprobs": []} for t in tokens]
    row = {
        "id": row_id,
        "trace_id": row_id,
        "op_name": "generate",
        "kind": "generation",
        "status": "success",
        "model": "gpt-4o-mini",
        "started_at": clock.now_us(),
        "latency_ms": 800.0,
        "inputs": {
            "model": "gpt-4o-mini",
            "messages": [
                {"role": "system", "content": f"Answer from these documents:\n{documents}"},
                {"role": "user", "content": question},
            ],
        },
        "output": {
            "model": "gpt-4o-mini",
            "choices": [
                {
                    "message": {"role": "assistant", "content": answer},
                    "logprobs": {"content": logprobs},
                }
            ],
            "usage": {"prompt_tokens": 300 + n % 50, "completion_tokens": 120 + n % 30},
        },
    }
    return json.dumps(row).encode()


def paced(store: str, seconds: float, a_second: int) -> None:
    """An app: a traced function called at a steady pace; prints what each call took, in microseconds."""
    import gc

    from llmwatch import traced
    from llmwatch.tracing import recorder

    recorder.configure(
        open_store(store).project("local", "app"), settings.load(store=store, worker=False)
    )

    @traced(kind="chain")
    def answer(question: str, documents: list[str]) -> str:
        return question.upper()

    documents = ["some words that were found " * 8] * 3
    for n in range(300):
        answer(f"question {n}", documents)
    gc.collect()
    gc.freeze()
    took = []
    pause = 1 / a_second
    until = time.perf_counter() + seconds
    due = time.perf_counter()
    while (now := time.perf_counter()) < until:
        if now < due:
            time.sleep(due - now)
        due += pause
        before = time.perf_counter_ns()
        answer(f"question {due}", documents)
        took.append((time.perf_counter_ns() - before) // 1000)
    print(json.dumps(took))


if __name__ == "__main__":
    paced(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
