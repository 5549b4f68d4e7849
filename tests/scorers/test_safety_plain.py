"""What is read in a text that hides something, and where it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmwatch.scorers.safety import ngrams
from llmwatch.scorers.safety.plain import plain


@pytest.mark.parametrize(
    ("given_text", "read"),
    [
        ("ig\u200bno\u200dre\u2060", "ignore"),
        ("\uff49\uff47\uff4e\uff4f\uff52\uff45", "ignore"),
        ("\U0001d422gnore", "ignore"),
        ("".join(chr(0xE0000 + ord(c)) for c in "ignore"), "ignore"),
        ("ign\u043ere \u0430ll", "ignore all"),
        ("pass\u00adword", "password"),
    ],
)
def test_a_disguise_is_read_through(given_text, read):
    assert plain(given_text).text == read


def test_russian_stays_russian():
    assert plain("Привет, как дела?").text == "Привет, как дела?"


def test_a_place_in_the_read_text_is_found_in_the_given_one():
    text = "\u200bmy \u200b\u200bkey: a\u200bbc"
    shown = plain(text)
    assert "".join(text[shown.place(i)] for i in range(len(shown.text))) == shown.text


@given(st.text(alphabet=st.characters(), max_size=60))
def test_places_are_right_whatever_the_text(text):
    shown = plain(text)
    places = [shown.place(i) for i in range(len(shown.text))]
    assert places == sorted(set(places))
    assert not places or places[-1] < len(text)


@given(st.text(alphabet=st.characters(codec="utf-32-le", categories=None), max_size=80))
def test_runs_lie_in_the_text_whatever_it_is(text):
    found = ngrams.grams(text)
    for runs in (*found.words, *found.characters):
        assert len(runs.starts) == len(runs.ends) == len(runs.buckets)
        assert all(0 <= bucket < ngrams.BUCKETS for bucket in runs.buckets)
        assert all(runs.starts < runs.ends)
    assert len(found.places) <= len(text)


def test_the_same_words_have_the_same_buckets_wherever_they_stand():
    one, two = ngrams.grams("say hello there"), ngrams.grams("oh,\n say   HELLO there")
    assert set(one.words[2].buckets) <= set(two.words[2].buckets)


def test_windows_reach_the_end_and_overlap():
    starts, ends = ngrams.grams("word " * 1_000).windows()
    assert ends[-1] == 5_000
    assert all(starts[1:] < ends[:-1])
