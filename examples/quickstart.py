"""Log answers of a pretend assistant to a table, ask questions of the table, attach feedback to a row."""

from __future__ import annotations

import random

from llmwatch import StreamTable

QUESTIONS = [
    "How do I reset my key?",
    "What does it cost?",
    "Can I export my data?",
    "Is there an SDK?",
]
MODELS = {"small": (180, 40), "large": (620, 120)}


def answer(question: str, chance: random.Random) -> dict[str, object]:
    model = chance.choice(list(MODELS))
    mean, spread = MODELS[model]
    return {
        "question": question,
        "answer": f"({model}) See the documentation.",
        "model": model,
        "tokens": chance.randint(20, 400),
        "latency_ms": round(max(20.0, chance.gauss(mean, spread)), 1),
    }


def main() -> None:
    chance = random.Random(7)
    table = StreamTable("quickstart/answers")
    for _ in range(200):
        table.log(answer(chance.choice(QUESTIONS), chance))

    newest = table.tail(1)[0]
    newest.add_feedback("reaction", "👍", creator="ada")

    print(f"{table.count()} rows in {table.project.path}\n")
    result = table.query(
        "SELECT model, count(*) AS rows, round(quantile_cont(latency_ms, 0.5)) AS p50_ms, "
        "round(quantile_cont(latency_ms, 0.95)) AS p95_ms, sum(tokens) AS tokens "
        "FROM answers GROUP BY model ORDER BY model"
    )
    for line in (result.columns, *result.rows):
        print("  ".join(f"{value!s:>8}" for value in line))
    print(f"\nfeedback on the newest row: {newest.feedback[0]['value']}")


if __name__ == "__main__":
    main()
