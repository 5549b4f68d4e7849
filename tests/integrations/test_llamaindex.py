"""LlamaIndex through Weave's own integration, on the embedded backend."""

from __future__ import annotations

import pytest

pytest.importorskip(
    "llama_index.core", reason='needs LlamaIndex: pip install "llmwatch[llamaindex]"'
)

from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM

import llmwatch
from llmwatch import StreamTable, traced

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # LlamaIndex's own
]


@traced
def answer(question):
    document = Document(text="A key is reset on the security page.")
    index = VectorStoreIndex.from_documents([document], embed_model=MockEmbedding(embed_dim=8))
    return str(index.as_query_engine(llm=MockLLM(max_tokens=5)).query(question))


def test_a_query_is_one_trace_with_retrieval_and_generation(llmwatch_store):
    llmwatch.init("index")
    try:
        assert answer("How do I reset my key?") == "text text text text text"
    finally:
        llmwatch.finish()
    rows = list(StreamTable("index/traces").rows())
    (root,) = [row for row in rows if row["parent_id"] is None]
    assert root["inputs"] == {"question": "How do I reset my key?"}
    assert {row["trace_id"] for row in rows} == {root["id"]}
    assert {row["status"] for row in rows} == {"success"}
    ids = {row["id"] for row in rows}
    assert all(row["parent_id"] in ids for row in rows if row is not root)
    kinds = {row["op_name"].rpartition("/")[2].partition(":")[0]: row["kind"] for row in rows}
    assert kinds["llama_index.span.VectorIndexRetriever.retrieve"] == "retrieval"
    assert kinds["llama_index.span.MockLLM.predict"] == "generation"
