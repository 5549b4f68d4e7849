"""Usage under one set of names, whoever reported it."""

from __future__ import annotations

import pytest

from llmwatch.scorers.usage import Usage, read


def test_a_chat_of_openai():
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0},
    }
    assert read(told) == Usage(100, 50, cached=64, audio_in=5, reasoning=20, audio_out=0)


def test_a_response_of_openai_with_the_names_that_weave_adds():
    told = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "cache_read_input_tokens": 64,
        "cache_creation_input_tokens": 0,
    }
    assert read(told) == Usage(100, 50, cached=64, reasoning=20)


def test_anthropic_counts_its_cache_beside_its_input():
    told = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    }
    assert read(told) == Usage(240, 5, cached=200, cache_write=30, cache_write_1h=20)


def test_google_counts_its_thoughts_beside_its_answer():
    told = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 6,
        "totalTokenCount": 19,
    }
    assert read(told) == Usage(9, 10, reasoning=6)


def test_an_embedding_has_no_completion():
    assert read({"prompt_tokens": 8, "total_tokens": 8}) == Usage(8, 0)
    assert read({"prompt_tokens": 8}) == Usage(8, None)


@pytest.mark.parametrize(
    "told",
    [None, "12", [], {}, {"prompt_tokens": "12"}, {"prompt_tokens": True}, {"prompt_tokens": -1}],
)
def test_what_is_no_count_is_not_told(told):
    assert not read(told)


def test_a_count_of_zero_is_told():
    assert read({"prompt_tokens": 0, "completion_tokens": 0})


def test_usages_add_up():
    assert Usage(1, 2, cached=1) + Usage(10, None, reasoning=4) == Usage(
        11, 2, cached=1, reasoning=4, requests=2
    )
