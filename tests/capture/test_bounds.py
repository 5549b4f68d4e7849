"""What is too large is cut, and says so; what fits beside it is kept."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmwatch import capture


def cut(value: object, limit: int) -> object:
    recorded = capture.encode(value, limit=limit)
    assert len(recorded) <= limit
    return orjson.loads(recorded)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=300), st.integers(100, 299))
def test_a_long_text_keeps_its_beginning_and_says_how_much_is_gone(text: str, limit: int) -> None:
    shown = cut(text, limit)
    assert isinstance(shown, str)
    head, _, rest = shown.rpartition("… [cut: ")
    assert text.startswith(head)
    assert rest == f"{len(text) - len(head)} of {len(text)} characters]"


@pytest.mark.parametrize("letter", ["x", "é", "😀", "\x00", '"', "\ud800"])
def test_a_cut_text_uses_most_of_the_room(letter: str) -> None:
    recorded = capture.encode(letter * 100_000, limit=10_000)
    assert 5_000 < len(recorded) <= 10_000


def test_a_huge_text_is_cut() -> None:
    shown = cut("x" * 50_000_000, 1 << 20)
    assert str(shown).endswith(" of 50000000 characters]")


def test_small_values_survive_beside_a_large_one() -> None:
    value = {"model": "m", "prompt": "p" * 100_000, "usage": {"tokens": 3}, "n": [1, 2]}
    shown = cut(value, 2_000)
    assert isinstance(shown, dict)
    assert {k: shown[k] for k in ("model", "usage", "n")} == {
        "model": "m",
        "usage": {"tokens": 3},
        "n": [1, 2],
    }
    assert len(shown["prompt"]) > 1_000


def test_messages_are_shortened_before_any_is_dropped() -> None:
    shown = cut([{"role": "user", "content": "x" * 5_000} for _ in range(5)], 4_000)
    assert isinstance(shown, list)
    assert [message["role"] for message in shown] == ["user"] * 5


def test_a_long_list_keeps_its_first_items_and_counts_the_rest() -> None:
    shown = cut(list(range(100_000)), 5_000)
    assert isinstance(shown, list)
    assert shown[:-1] == list(range(len(shown) - 1))
    assert shown[-1] == {"_type": "cut", "items": 100_000 - len(shown) + 1, "of": 100_000}


def test_a_wide_object_keeps_its_first_keys_and_counts_the_rest() -> None:
    shown = cut({f"key{n}": n for n in range(10_000)} | {"_cut": "mine"}, 5_000)
    assert isinstance(shown, dict)
    assert shown["key0"] == 0
    assert shown["__cut"]["of"] == 10_001
    assert shown["__cut"]["keys"] == 10_002 - len(shown)


def test_an_endless_key_does_not_break_the_limit() -> None:
    cut({"k" * 100_000: 1, "b": "x" * 5_000}, 1_000)


def test_a_marker_is_never_half_kept() -> None:
    assert cut([b"x" * 4000], 1_000) == [{"_type": "cut", "bytes": 5365, "was": "bytes"}]


def test_each_field_has_its_limit_and_the_row_has_one() -> None:
    fields = {"id": 1, **{f"f{n}": "x" * 10_000 for n in range(10)}}
    each = orjson.loads(capture.encode_fields(fields, limit=5_000, total=1_000_000))
    assert all(len(each[f"f{n}"]) in range(4_900, 5_001) for n in range(10))
    whole = capture.encode_fields(fields, limit=5_000, total=8_000)
    assert len(whole) <= 8_000
    assert orjson.loads(whole).keys() == fields.keys()


@given(
    st.recursive(
        st.text() | st.integers(),
        lambda i: st.lists(i) | st.dictionaries(st.text(), i),
        max_leaves=60,
    ),
    st.integers(200, 900),
)
def test_no_shape_breaks_the_row_limit(value: object, total: int) -> None:
    assert (
        len(capture.encode_fields({"a": value, "b": [value] * 5}, limit=500, total=total)) <= total
    )
