"""A Gradio chat: each message is a row, thumbs are feedback on the row that answered. One line: `watch(demo)`.

    python examples/gradio_chat.py

Offline; OPENAI_BASE_URL and OPENAI_API_KEY choose a real service. Needs: pip install gradio
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import openai
from local_model import MODEL, local_model

import llmwatch
from llmwatch.integrations.gradio import watch


def make_demo(client: openai.OpenAI) -> gr.ChatInterface:
    def reply(message: str, history: list[dict[str, Any]]) -> Iterator[str]:
        messages = [{"role": m["role"], "content": m["content"]} for m in history]
        stream = client.chat.completions.create(
            model=MODEL, messages=[*messages, {"role": "user", "content": message}], stream=True
        )
        said = ""
        for chunk in stream:
            if chunk.choices:
                said += chunk.choices[0].delta.content or ""
                yield said

    return watch(gr.ChatInterface(reply, title="Ask the help desk", api_name="chat"))


def main() -> None:
    llmwatch.init("example-gradio", destination="local")
    with local_model(token_delay=0.02), openai.OpenAI() as client:
        print("look at it: llmwatch board example-gradio/traces")
        make_demo(client).launch()


if __name__ == "__main__":
    main()
