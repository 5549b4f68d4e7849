"""The help desk itself: a small RAG application as anybody would write it, traced by llmwatch."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import llmwatch
from llmwatch import Guardrail, traced
from llmwatch.demo.help_centre import documents
from llmwatch.drift.embedders.ngrams import Ngrams
from llmwatch.scorers.safety.guard import Verdict, guard
from llmwatch.scorers.safety.policy import policy_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import openai
    from numpy.typing import NDArray

    from llmwatch.demo.traffic import Request
    from llmwatch.tracing.row import Row

INSTRUCTIONS = (
    "You are the help desk of a shop for outdoor things. Answer from the context, briefly."
)
REFUSAL = "I can only help with questions about the shop and what it sells."
_POLICY = policy_of("balanced").changed(block_injection_at=0.8)
_client: openai.OpenAI | None = None


def connect(client: openai.OpenAI | None) -> None:
    """Have the help desk's model answer through this client."""
    global _client
    _client = client


def serve(request: Request) -> Row:
    """Answer somebody's question; gives the row of the answer."""
    with llmwatch.context(
        user_id=request.user_id,
        session_id=request.session_id,
        version=request.version,
        tenant=request.tenant,
    ):
        _, row = answer.call(request.question, request.model, request.documents)
    return row


def safety(inputs: Mapping[str, Any]) -> Verdict:
    """The check of the guardrail: what a person asks must not try to talk the model into something."""
    return guard(inputs["question"], role="input", policy=_POLICY)


@traced(guardrails=[Guardrail(safety, on="input", action="fallback", fallback=REFUSAL)])
def answer(question: str, model: str, passages: int) -> str:
    """The answer to a question."""
    return generate(question, retrieve(question, passages), model)


@traced(kind="retrieval")
def retrieve(question: str, passages: int) -> list[dict[str, Any]]:
    """The pages of the help centre that are nearest to a question."""
    usual, vectors = _index()
    near = vectors @ (Ngrams().embed([question])[0] - usual)
    best = (-near).argsort(kind="stable")[:passages]
    pages = documents()
    return [
        {"id": pages[n].id, "score": round(float(near[n]), 3), "text": pages[n].text} for n in best
    ]


@traced(kind="generation")
def generate(question: str, passages: list[dict[str, Any]], model: str) -> str:
    """What the model makes of the pages."""
    assert _client is not None
    context = "\n\n".join(page["text"] for page in passages)
    reply = _client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": f"{INSTRUCTIONS}\n<context>\n{context}\n</context>"},
            {"role": "user", "content": question},
        ],
        logprobs=True,
    )
    return reply.choices[0].message.content or ""


@cache
def _index() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean of all pages, and what each page has beside it. A page also stands for two ways of asking for it."""
    texts = [f"{page.title}. {page.text} {' '.join(page.questions[:2])}" for page in documents()]
    vectors = Ngrams().embed(texts)
    usual = vectors.mean(axis=0)
    return usual, vectors - usual
