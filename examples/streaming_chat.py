"""A chat that streams: the time to the first token, tokens and costs of each turn, in one session.

    python examples/streaming_chat.py

Offline; OPENAI_BASE_URL and OPENAI_API_KEY choose a real service.
"""

from __future__ import annotations

from collections.abc import Iterator

import openai
from local_model import MODEL, local_model

import llmwatch
from llmwatch import StreamTable, traced
from llmwatch.scorers import TokenCost

TURNS = ["What is observability?", "And why would a chatbot need it?", "Give me one example."]


@traced(kind="response")
def reply(client: openai.OpenAI, messages: list[dict[str, str]]) -> Iterator[str]:
    """The answer piece by piece; the row ends when the last one was read, and knows when the first one came."""
    stream = client.chat.completions.create(
        model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        if chunk.choices and (text := chunk.choices[0].delta.content):
            yield text


def chat(client: openai.OpenAI) -> None:
    messages: list[dict[str, str]] = [{"role": "system", "content": "You are brief."}]
    for turn in TURNS:
        messages.append({"role": "user", "content": turn})
        print(f"you: {turn}\nbot: ", end="")
        said = []
        with llmwatch.context(user_id="ada", session_id="chat-1"):
            for piece in reply(client, messages):
                print(piece, end="", flush=True)
                said.append(piece)
        print()
        messages.append({"role": "assistant", "content": "".join(said)})


def main() -> None:
    llmwatch.init("example-chat", destination="local")
    with local_model(delay=0.03, token_delay=0.005), openai.OpenAI() as client:
        chat(client)
    llmwatch.finish()
    # The worker does this by itself a few seconds after each call; here the program ends at once.
    llmwatch.score(TokenCost(), "example-chat/traces")
    table = StreamTable("example-chat/traces")
    turns = table.query(
        "SELECT ttft_ms, latency_ms, prompt_tokens, completion_tokens, cost_usd FROM traces "
        "WHERE model IS NOT NULL ORDER BY started_at"
    )
    for n, turn in enumerate(turns.dicts(), 1):
        print(
            f"turn {n}: first token after {turn['ttft_ms']:.0f} of {turn['latency_ms']:.0f} ms, "
            f"{turn['prompt_tokens']} + {turn['completion_tokens']} tokens, {turn['cost_usd']:.6f} USD"
        )


if __name__ == "__main__":
    main()
