"""A Streamlit chat: each answer is a row, with thumbs below it that are feedback on that row.

    streamlit run examples/streamlit_chat.py

Offline; OPENAI_BASE_URL and OPENAI_API_KEY choose a real service. Needs: pip install streamlit
"""

from __future__ import annotations

import os

import openai
import streamlit as st
from local_model import MODEL

from llmwatch import traced
from llmwatch.integrations import streamlit as watched
from llmwatch.testing.openai_server import openai_server

watched.init("example-streamlit", destination="local")


@st.cache_resource(show_spinner=False)
def client() -> openai.OpenAI:
    """One client, and one local server, for all reruns and all visitors."""
    if "OPENAI_BASE_URL" in os.environ:
        return openai.OpenAI()
    server = openai_server().start()
    return openai.OpenAI(base_url=server.url, api_key="test")


@traced(kind="response")
def reply(question: str) -> str:
    answered = client().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": question}]
    )
    return answered.choices[0].message.content or ""


st.title("Ask the help desk")
messages = st.session_state.setdefault("messages", [])

if question := st.chat_input("What would you like to know?"):
    answer, row = reply.call(question)
    messages.append({"role": "user", "text": question, "row": None})
    messages.append({"role": "assistant", "text": answer or "Something went wrong.", "row": row.id})

for message in messages:
    with st.chat_message(message["role"]):
        st.write(message["text"])
        watched.thumbs(message["row"])
