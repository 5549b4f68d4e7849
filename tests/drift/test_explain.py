"""New prompts are found, put together, and described by the words that set them apart."""

from __future__ import annotations

import random

import numpy as np
import pytest
from drift_rows import question, recipe

from llmwatch.drift.embedders.ngrams import Ngrams
from llmwatch.drift.explain import distinctive, explain
from llmwatch.drift.frames import Frame
from llmwatch.drift.languages import guess
from llmwatch.drift.texts import of, of_json


def frame(texts, ids=None):
    return Frame(len(texts), ids=ids, texts=texts, vectors=Ngrams().embed(texts))


def prompts(count, make=question, seed=0):
    chance = random.Random(seed)
    return [f"{make(chance)} {chance.randrange(1000)}" for _ in range(count)]


def test_the_new_ones_come_first_and_make_one_group():
    before = frame(prompts(400))
    texts = prompts(360, seed=1) + prompts(40, recipe)
    found = explain(before, frame(texts, [str(n) for n in range(400)]))
    assert {int(one.row_id) >= 360 for one in found.newest} == {True}
    assert len(found.groups) == 1
    assert found.groups[0].rows == pytest.approx(40, abs=4)
    assert {"butter", "saffron", "rice", "simmer", "stir"} & set(found.groups[0].terms)


def test_a_name_tells_what_vectors_do_not():
    """Vectors by chance say nothing; that the new ones share a name does."""
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(800, 32))
    texts = prompts(760) + [f"{text} Zorblax" for text in prompts(40, seed=1)]
    before = Frame(400, texts=texts[:400], vectors=vectors[:400])
    now = Frame(400, ids=[str(n) for n in range(400)], texts=texts[400:], vectors=vectors[400:])
    newest = [int(one.row_id) for one in explain(before, now).newest]
    assert sum(n >= 360 for n in newest) >= 18


def test_two_kinds_are_two_groups():
    french = [f"Quelle est la météo à Lyon le {n} juin, avec du vent ?" for n in range(30)]
    found = explain(frame(prompts(400)), frame(prompts(330, seed=1) + prompts(40, recipe) + french))
    assert sorted(group.rows for group in found.groups) == pytest.approx([30, 40], abs=4)
    assert sum(group.share for group in found.groups) == pytest.approx(70 / 400, abs=0.02)


def test_where_nothing_is_new_next_to_nothing_stands_out():
    found = explain(frame(prompts(400)), frame(prompts(400, seed=1)))
    assert found.new_rows < 12
    assert found.groups == ()


def test_too_few_prompts_are_not_explained():
    assert explain(frame(prompts(10)), frame(prompts(400))) is None


def test_rows_without_a_vector_are_passed_over():
    given = frame(prompts(400))
    vectors = given.vectors.copy()
    vectors[:200] = np.nan
    found = explain(Frame(400, texts=given.texts, vectors=vectors), frame(prompts(300, seed=1)))
    assert found.looked_at == 300


def test_words_that_all_texts_have_say_nothing():
    assert distinctive(["the tulip and the rose"] * 3, {"rose": 0.9}) == ["tulip"]


@pytest.mark.parametrize(
    ("value", "prompt"),
    [
        ("hi", "hi"),
        ({"top_k": 3, "question": "why?"}, "why?"),
        ({"self": "<object>", "a": "one", "b": "two"}, "one two"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "look"}, {"type": "image_url"}],
                    }
                ]
            },
            "look",
        ),
        (
            [
                {"role": "user", "content": "first"},
                {"role": "assistant", "content": "x"},
                {"role": "user", "content": "last"},
            ],
            "last",
        ),
        ({"top_k": 3}, None),
        (None, None),
    ],
)
def test_the_prompt_of_inputs_is_what_the_user_said(value, prompt):
    assert of(value) == prompt


def test_inputs_that_are_cut_count_as_they_are():
    assert of_json('{"question": "cut he') == '{"question": "cut he'


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I reset my key?", "en"),
        ("Comment puis-je changer mon mot de passe ?", "fr"),
        ("パスワードを変更するには？", "ja"),
        ("x = 1", "unknown"),
    ],
)
def test_a_language_is_guessed_or_unknown(text, language):
    assert guess(text) == language
