"""Moderation by a service: asked once a text, in batches, and no row loses its score when it fails."""

from __future__ import annotations

import pytest

from llmwatch.scorers import Safety
from llmwatch.scorers.safety import moderation
from llmwatch.scorers.safety.moderation import Moderation
from llmwatch.testing.openai_server import openai_server

MODEL = "omni-moderation-latest"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    with openai_server() as running:
        yield running


def test_it_is_only_asked_when_it_is_named(server):
    Safety().score_row({"output": "I will kill you"})
    assert server.requests == []


def test_its_judgement_is_beside_the_other_checks(server):
    safety = Safety(moderation=MODEL, moderation_base_url=server.url)
    calm, angry = safety.score_rows([{"output": "Good morning"}, {"output": "I will kill you"}])
    assert (calm["moderation_flag"], calm["flagged"]) == (False, False)
    assert angry["moderation_flag"]
    assert "violence" in angry["moderation_categories"]
    assert "moderation: violence" in angry["reasons"]
    assert angry["moderation_score"] > 0.5


def test_many_texts_are_few_requests_and_the_same_text_is_asked_once(server):
    asked = Moderation(MODEL, base_url=server.url)
    texts = [f"text {n % 50}" for n in range(100)]
    first = asked.judge(texts)
    assert len(server.requests) == 2
    assert asked.judge(texts) == first
    assert len(server.requests) == 2


def test_its_failure_leaves_the_rest_of_the_row(server, monkeypatch):
    server.faults.add(status=500)
    safety = Safety(moderation=MODEL, moderation_base_url=server.url)
    result = safety.score_row({"output": "mail a@example.com"})
    assert result["pii_flag"]
    assert result["moderation_flag"] is None
    assert "InternalServerError" in result["moderation_error"]


def test_after_a_failure_it_is_left_alone_for_a_while(server, monkeypatch):
    asked = Moderation(MODEL, base_url=server.url)
    server.faults.add(status=401, times=1)
    assert "AuthenticationError" in asked.judge(["one"])[0].error
    assert "not asked, after" in asked.judge(["two"])[0].error
    monkeypatch.setattr(moderation, "PAUSE_S", 0.0)
    asked._paused_until = 0.0
    assert asked.judge(["one"])[0].error is None


def test_without_a_key_the_reason_is_said(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = Safety(moderation=MODEL).score_row({"output": "hello"})
    assert result["moderation_flag"] is None
    assert "api_key" in result["moderation_error"]


def test_a_text_that_no_json_can_hold_is_sent_all_the_same(server):
    (judged,) = Moderation(MODEL, base_url=server.url).judge(["lone \ud800 surrogate"])
    assert judged.error is None
