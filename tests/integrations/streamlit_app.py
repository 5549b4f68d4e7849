"""A chat, as a person writes one: `streamlit run streamlit_app.py`."""

from __future__ import annotations

import streamlit as st

import llmwatch
from llmwatch.integrations import streamlit as watched

watched.init("demo")


@llmwatch.traced(kind="generation")
def generate(question):
    return f"answer to {question}"


@llmwatch.traced
def answer(question):
    return generate(question)


said = st.session_state.setdefault("said", [])
if question := st.chat_input("question"):
    reply, row = answer.call(question)
    said.append((reply, row.id))
for reply, row_id in said:
    st.write(reply)
    watched.thumbs(row_id)
    watched.note(row_id)
st.button("again")
