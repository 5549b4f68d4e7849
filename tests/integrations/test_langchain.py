"""LangChain through Weave's own integration, on the embedded backend."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("langchain_core", reason='needs LangChain: pip install "llmwatch[langchain]"')

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool

import llmwatch
from llmwatch import StreamTable, traced
from llmwatch.testing.openai_server import openai_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # LangChain's own
]


@pytest.fixture
def rows(llmwatch_store):
    llmwatch.init("chains")
    table = StreamTable("chains/traces")

    def read():
        llmwatch.finish()
        return list(table.rows())

    yield read
    llmwatch.finish()


def chain(answer="because"):
    prompt = ChatPromptTemplate.from_template("Answer: {question}")
    return prompt | FakeListChatModel(responses=[answer]) | StrOutputParser()


@traced
def answer(question):
    return chain().invoke({"question": question})


@traced
def plain(question):
    return question


def short(row):
    return row["op_name"].rpartition("/")[2].partition(":")[0]


def below(rows, parent):
    return {short(row) for row in rows if row["parent_id"] == parent["id"]}


def only(rows, name):
    (found,) = [row for row in rows if short(row) == name]
    return found


def test_a_chain_nests_in_a_traced_function_step_by_step(rows):
    assert answer("why?") == "because"
    found = rows()
    root, sequence = only(found, "answer"), only(found, "langchain.Chain.RunnableSequence")
    assert below(found, root) == {"langchain.Chain.RunnableSequence"}
    assert below(found, sequence) == {
        "langchain.Prompt.ChatPromptTemplate",
        "langchain.Llm.FakeListChatModel",
        "langchain.Parser.StrOutputParser",
    }
    assert {row["trace_id"] for row in found} == {root["trace_id"]}
    assert {row["status"] for row in found} == {"success"}


def test_what_langchain_says_of_a_run_is_said_of_no_other_row(rows):
    answer("why?")
    plain("later")
    found = rows()
    kinds = {short(row): row["kind"] for row in found}
    assert kinds["langchain.Llm.FakeListChatModel"] == "generation"
    assert [name for name, kind in kinds.items() if kind is not None] == [
        "langchain.Llm.FakeListChatModel"
    ]
    for name in ("answer", "plain"):
        assert set(only(found, name)["attributes"]) == {"weave"}


def test_runs_of_a_batch_are_apart(rows):
    assert chain().batch([{"question": "a"}, {"question": "b"}]) == ["because", "because"]
    found = rows()
    sequences = [row for row in found if short(row) == "langchain.Chain.RunnableSequence"]
    assert [row["parent_id"] for row in sequences] == [None, None]
    assert [len(below(found, row)) for row in sequences] == [3, 3]


def test_async_and_streams(rows):
    assert asyncio.run(chain().ainvoke({"question": "when?"})) == "because"
    assert "".join(chain("so it is").stream({"question": "how?"})) == "so it is"
    roots = [row for row in rows() if row["parent_id"] is None]
    assert [short(row) for row in roots] == ["langchain.Chain.RunnableSequence"] * 2


def test_tools_have_their_kind_and_errors_their_text(rows):
    @tool
    def look_up(question: str) -> str:
        """Look it up."""
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        look_up.invoke({"question": "why?"})
    row = only(rows(), "langchain.Tool.look_up")
    assert (row["kind"], row["status"]) == ("tool", "error")
    assert "nothing there" in row["exception"]


def test_the_openai_model_has_its_tokens_user_and_session(rows):
    openai = pytest.importorskip("langchain_openai")
    with openai_server({"capital of france": "Paris it is."}) as server:
        model = openai.ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key="test")
        with llmwatch.context(user_id="u-7", session_id="s-1"):
            reply = model.invoke("What is the capital of France?")
    assert reply.content == "Paris it is."
    found = rows()
    call = only(found, "openai.chat.completions.create")
    assert call["parent_id"] == only(found, "langchain.Llm.ChatOpenAI")["id"]
    assert (call["model"], call["prompt_tokens"], call["completion_tokens"]) == (
        "gpt-4o-mini",
        14,
        4,
    )
    assert {row["session_id"] for row in found} == {"s-1"}
    assert {row["attributes"]["user_id"] for row in found} == {"u-7"}
