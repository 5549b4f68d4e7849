"""A nightly batch job: many documents summarised by a few threads, one trace each, failures and costs at the end.

    python examples/batch.py

Killed half way and started again, it goes on where it was: what was recorded says what is done.
Offline; OPENAI_BASE_URL and OPENAI_API_KEY choose a real service.
"""

from __future__ import annotations

import openai
from local_model import MODEL, local_model

import llmwatch
from llmwatch import StreamTable, ThreadPoolExecutor, traced
from llmwatch.scorers import TokenCost

DOCUMENTS = {
    f"report-{n:03}": f"Report {n}. "
    + "Sales rose in the north and fell in the south. " * (1 + n % 4)
    for n in range(40)
}
DOCUMENTS["report-007"] = ""  # there is always one


@traced(kind="chain")
def summarise(client: openai.OpenAI, name: str, text: str) -> str:
    if not text:
        raise ValueError(f"{name} is empty")
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "system", "content": "Summarise in one sentence."},
            {"role": "user", "content": text},
        ],
    )
    return reply.choices[0].message.content or ""


def done() -> set[str]:
    """The documents that have a summary, from whatever run."""
    table = StreamTable("example-batch/traces")
    if not table.count:
        return set()
    found = table.query(
        "SELECT DISTINCT inputs->>'name' FROM traces WHERE kind = 'chain' AND status = 'success'"
    )
    return {name for (name,) in found.rows}


def run(client: openai.OpenAI) -> None:
    waiting = {name: text for name, text in DOCUMENTS.items() if name not in done()}
    print(f"{len(DOCUMENTS) - len(waiting)} of {len(DOCUMENTS)} documents are done already")
    # llmwatch's executor carries the context into its threads: all of this is one session.
    with llmwatch.context(session_id="nightly", tags=["batch"]), ThreadPoolExecutor(4) as pool:
        started = [
            pool.submit(summarise.call, client, name, text) for name, text in waiting.items()
        ]
        for future in started:
            future.result()


def show() -> None:
    llmwatch.score(TokenCost(), "example-batch/traces")
    table = StreamTable("example-batch/traces")
    calls, tokens, usd = table.query(
        "SELECT count(*), sum(prompt_tokens + completion_tokens), sum(cost_usd) FROM traces WHERE model IS NOT NULL"
    ).rows[0]
    print(f"{calls} requests, {tokens:.0f} tokens, {usd:.6f} USD")
    failed = table.query(
        "SELECT inputs->>'name', exception_type FROM traces WHERE kind = 'chain' AND status = 'error'"
    )
    for name, why in failed.rows:
        print(f"failed: {name} ({why})")


def main() -> None:
    llmwatch.init("example-batch", destination="local")
    with local_model(), openai.OpenAI() as client:
        run(client)
    llmwatch.finish()
    show()


if __name__ == "__main__":
    main()
