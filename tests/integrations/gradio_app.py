"""Gradio applications, served until standard input ends: a chat, an interface with flags, and blocks of one's own.

python gradio_app.py chat|stream|steps|interface|blocks
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr

import llmwatch
from llmwatch.integrations.gradio import watch


@llmwatch.traced(kind="generation")
def generate(question):
    return f"answer to {question}"


def reply(message, history):
    if message == "break":
        raise gr.Error("the application's own")
    return generate(message)


async def stream(message, history):
    text = ""
    for word in generate(message).split():
        text += word + " "
        yield text


def steps(message, history):
    """Gradio runs each step of it in whatever thread is free."""
    text = ""
    for word in ("answer", "to"):
        text += word + " "
        yield text
    yield generate(message)


PROGRESS = gr.Progress()


def shout(text, times, request: gr.Request, progress=PROGRESS):
    progress(0.5)
    assert request.session_hash
    return text.upper() * int(times)


def blocks():
    with gr.Blocks() as demo:
        chatbot, box = gr.Chatbot(), gr.Textbox(label="question")
        state = gr.State([])

        def ask(question, said):
            said = [
                *said,
                {"role": "user", "content": question},
                {"role": "assistant", "content": generate(question)},
            ]
            return said, said, ""

        box.submit(ask, [box, state], [chatbot, state, box], api_name="ask")
    return demo


def interface(where):
    return gr.Interface(
        shout,
        [gr.Textbox(label="text"), gr.Number(label="times", value=2)],
        gr.Textbox(label="loud"),
        flagging_mode="manual",
        flagging_options=["wrong", "rude"],
        flagging_dir=where,
        api_name="shout",
    )


def main():
    llmwatch.init("demo")
    with tempfile.TemporaryDirectory() as where:
        made = {
            "chat": lambda: gr.ChatInterface(reply, api_name="chat"),
            "stream": lambda: gr.ChatInterface(stream, api_name="chat"),
            "steps": lambda: gr.ChatInterface(steps, api_name="chat"),
            "interface": lambda: interface(where),
            "blocks": blocks,
        }
        demo = watch(made[sys.argv[1]]())
        _, address, _ = demo.launch(
            prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", share=False
        )
        print(f"serving {address}", flush=True)
        sys.stdin.read()
        demo.close()
        print(f"kept {[file.name for file in Path(where).iterdir()]}", flush=True)
    llmwatch.finish()


if __name__ == "__main__":
    main()
