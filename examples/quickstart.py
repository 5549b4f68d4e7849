"""A small support bot, traced: retrieval -> generation -> answer, with the real OpenAI client and no network.

The model is the OpenAI-compatible server that llmwatch ships for tests. Set OPENAI_BASE_URL and OPENAI_API_KEY to use another.
"""

from __future__ import annotations

import os
from contextlib import nullcontext

import openai

import llmwatch
from llmwatch import StreamTable, traced
from llmwatch.testing.openai_server import openai_server

DOCUMENTS = [
    "To reset your key, open the security page, press reset and confirm by mail.",
    "Plans start at nine dollars a month; the first month is free.",
    "Every project can be exported as Parquet or CSV from its settings page.",
    "There are SDKs for Python and TypeScript.",
]
QUESTIONS = [
    ("ada", "How do I reset my key?"),
    ("ben", "What do plans cost a month?"),
    ("cy", "Can I export my project?"),
    ("ada", "Is there an SDK for Python?"),
    ("dee", ""),
]


@traced(kind="retrieval")
def retrieve(question: str) -> list[str]:
    words = set(question.lower().split())
    return sorted(DOCUMENTS, key=lambda text: -len(words & set(text.lower().split())))[:2]


@traced(kind="generation")
def generate(question: str, documents: list[str]) -> str:
    context = "\n".join(documents)
    reply = openai.OpenAI().chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": f"Answer from this context:\n{context}"},
            {"role": "user", "content": question},
        ],
    )
    return reply.choices[0].message.content or ""


@traced
def answer(question: str) -> str:
    if not question:
        raise ValueError("an empty question")
    return generate(question, retrieve(question))


def ask_everything() -> None:
    for turn in range(4):
        for user, question in QUESTIONS:
            with llmwatch.context(user_id=user, session_id=f"{user}-{turn}", version="1.0"):
                reply, row = answer.call(question)  # gives the row too, and records an exception instead of raising it
            if turn == 0:
                print(f"{user:>4}: {question or '(nothing)'}\n      {reply or row.exception.splitlines()[-1]}")
            row.feedback.add_reaction("👍" if turn else "👎")
            row.label({"resolved": turn > 0})


def show() -> None:
    table = StreamTable("quickstart/traces")
    print(f"\n{table.count()} rows in {table.project.path}\n")
    result = table.query(
        "SELECT coalesce(kind, 'root') AS kind, count(*) AS calls, count(exception) AS errors, "
        "round(quantile_cont(latency_ms, 0.5), 1) AS p50_ms, round(quantile_cont(latency_ms, 0.95), 1) AS p95_ms, "
        "sum(prompt_tokens) AS prompt_tokens FROM traces GROUP BY 1 ORDER BY calls DESC, kind"
    )
    for line in (result.columns, *result.rows):
        print("  ".join(f"{'-' if value is None else value!s:>13}" for value in line))
    labels = table.query("SELECT count(*) FILTER (value = 'true'), count(*) FROM labels").rows[0]
    print(f"\nresolved, as labelled later: {labels[0]} of {labels[1]}")


def main() -> None:
    llmwatch.init("quickstart", destination="local")
    own = "OPENAI_BASE_URL" in os.environ
    with nullcontext() if own else openai_server() as server:
        if server is not None:
            os.environ.update(server.environment)
        ask_everything()
    show()


if __name__ == "__main__":
    main()
