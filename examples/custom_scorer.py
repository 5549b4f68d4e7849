"""A scorer of your own: a function, a `weave.Scorer` with settings, on past rows and in an evaluation.

    python examples/custom_scorer.py

The same functions score live rows in the background: `use = "custom_scorer:is_brief"` under `[[scorers]]` in llmwatch.toml.
"""

from __future__ import annotations

import asyncio
from typing import Any

import weave

import llmwatch
from llmwatch import StreamTable, traced

ANSWERS = {
    "How do I reset my key?": "Open the security page and press reset.",
    "What does it cost?": "Well, that depends. There are many things to consider, and it is hard to say in general.",
    "Can I export?": "Yes, from the settings page.",
}


@traced(kind="generation")
def answer(question: str) -> str:
    return ANSWERS[question]


def is_brief(output: str, question: str) -> dict[str, Any]:
    """Arguments are found by name: the output, the call's inputs, columns of the row."""
    return {"words": len(output.split()), "brief": len(output.split()) <= 2 * len(question.split())}


class Avoids(weave.Scorer):
    """Whether an answer keeps from phrases that say nothing."""

    phrases: list[str]

    @weave.op
    def score(self, output: str) -> dict[str, Any]:
        found = [phrase for phrase in self.phrases if phrase in output.lower()]
        return {"passed": not found, "found": ", ".join(found)}


def main() -> None:
    llmwatch.init("example-scorer", destination="local")
    for question in ANSWERS:
        answer(question)
    avoids = Avoids(name="avoids", phrases=["it depends", "that depends", "hard to say"])
    for scorer in (is_brief, avoids):
        report = llmwatch.score(scorer, "example-scorer/traces", kinds=["generation"])
        print(f"{report.scorer}: {report.scored} rows scored")
    for row in StreamTable("example-scorer/traces").rows().filter(kind="generation"):
        print(f"  {row['inputs']['question']:24} {row.scores['is_brief']} {row.scores['avoids']}")

    evaluation = weave.Evaluation(
        name="answers",
        dataset=[{"question": question} for question in ANSWERS],
        scorers=[is_brief, avoids],
    )
    summary = asyncio.run(evaluation.evaluate(answer))
    print(f"evaluation: {summary['is_brief']['brief']}, {summary['avoids']['passed']}")


if __name__ == "__main__":
    main()
