"""Questions answered from documents: embeddings, retrieval, generation, and a guardrail, all traced.

    python examples/rag.py

Offline; OPENAI_BASE_URL and OPENAI_API_KEY choose a real service.
"""

from __future__ import annotations

import numpy as np
import openai
from local_model import MODEL, local_model

import llmwatch
from llmwatch import Guardrail, StreamTable, traced
from llmwatch.scorers import Safety

DOCUMENTS = [
    "To reset your API key, open the security page, press reset and confirm by mail.",
    "Plans start at nine dollars a month. The first month is free.",
    "Every project can be exported as Parquet or CSV from its settings page.",
    "For a refund, write to Jo Miller at jo.miller@example.com within thirty days.",
]
QUESTIONS = {
    "ada": "How do I reset my API key?",
    "ben": "What do plans cost a month?",
    "cy": "Can a project be exported as CSV?",
    "dee": "Whom do I write to for a refund?",
}


class Library:
    """Documents found by what they are about."""

    def __init__(self, client: openai.OpenAI, documents: list[str]) -> None:
        self.client, self.documents = client, documents
        self.vectors = self.embed(documents)

    def embed(self, texts: list[str]) -> np.ndarray:
        reply = self.client.embeddings.create(model="text-embedding-3-small", input=texts)
        vectors = np.array([each.embedding for each in reply.data])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    @traced(kind="retrieval")
    def find(self, question: str, most: int = 2) -> list[dict[str, object]]:
        near = self.vectors @ self.embed([question])[0]
        return [
            {"text": self.documents[n], "score": round(float(near[n]), 4)}
            for n in np.argsort(-near)[:most]
        ]


@traced(kind="generation")
def generate(client: openai.OpenAI, question: str, documents: list[dict[str, object]]) -> str:
    context = "\n".join(str(document["text"]) for document in documents)
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "system", "content": f"Answer from this context only:\n{context}"},
            {"role": "user", "content": question},
        ],
    )
    return reply.choices[0].message.content or ""


# Who asks must not get an address that a document happens to hold.
@traced(guardrails=[Guardrail(Safety(policy="strict"), action="redact")])
def answer(library: Library, question: str) -> str:
    return generate(library.client, question, library.find(question))


def main() -> None:
    llmwatch.init("example-rag", destination="local")
    with local_model(), openai.OpenAI() as client:
        library = Library(client, DOCUMENTS)
        for user, question in QUESTIONS.items():
            with llmwatch.context(user_id=user, session_id=f"{user}-1", version="1.0"):
                print(f"{user:>4}: {question}\n      {answer(library, question)}")
    llmwatch.finish()
    table = StreamTable("example-rag/traces")
    steps = table.query(
        "SELECT coalesce(model, kind, 'answer') AS step, count(*) AS calls, round(avg(latency_ms), 1) AS mean_ms "
        "FROM traces GROUP BY 1 ORDER BY calls DESC, step"
    )
    for step in steps.dicts():
        print(f"{step['step']:>24}  {step['calls']:3} calls  {step['mean_ms']} ms")
    print("look at it: llmwatch board example-rag/traces")


if __name__ == "__main__":
    main()
