"""Values to JSON: what is plain is exact, what is hostile never raises, what is unknown is said."""

from __future__ import annotations

import datetime as dt
import enum
import math
import sys
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import orjson
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmwatch import capture

if TYPE_CHECKING:
    from pathlib import Path

keys = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["_type", "__type", "___type", 'x"_type', "content_type"]
)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | keys,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
    max_leaves=30,
)
anything = st.recursive(
    plain
    | st.floats()
    | st.text(st.characters())
    | st.integers()
    | st.datetimes()
    | st.timedeltas()
    | st.decimals()
    | st.binary()
    | st.complex_numbers()
    | st.frozensets(st.integers() | st.text())
    | st.builds(object),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text(st.characters()) | st.integers() | st.tuples(st.integers()), inner
        )
        | st.tuples(inner, inner)
    ),
    max_leaves=30,
)


def round_trip(value: Any, **options: Any) -> Any:
    media = options.get("media")
    return capture.decode(orjson.loads(capture.encode(value, **options)), media=media)


@given(plain)
def test_plain_json_reads_back_exactly_equal(value: Any) -> None:
    assert repr(round_trip(value)) == repr(value)


@given(st.dictionaries(keys, plain))
def test_plain_fields_read_back_exactly_equal(fields: dict[str, Any]) -> None:
    assert capture.decode(orjson.loads(capture.encode_fields(fields))) == fields


@given(st.dictionaries(keys, plain, min_size=1))
def test_plain_data_beside_a_value_that_is_not_reads_back_equal(fields: dict[str, Any]) -> None:
    restored = round_trip({"data": fields, "when": dt.date(2026, 1, 1), "raw": b"x"})
    assert restored == {"data": fields, "when": "2026-01-01", "raw": b"x"}


@given(anything)
@settings(max_examples=300)
def test_an_image_is_its_own_image(value: Any) -> None:
    """What came back once is what comes back ever after, unless it holds markers that stand as dicts."""
    once = round_trip(value)
    assert repr(round_trip(once)) == repr(once)


@given(anything, st.integers(300, 3000))
def test_a_field_is_never_longer_than_its_limit(value: Any, limit: int) -> None:
    assert len(capture.encode([value] * 10, limit=limit)) <= limit


def raises(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("hostile")


class HostileObject:
    __slots__ = ()
    __class__ = __dict__ = property(raises)  # type: ignore[assignment]
    __repr__ = __str__ = __eq__ = __iter__ = __len__ = __getattr__ = raises
    __hash__ = object.__hash__


class HostileDict(dict[str, Any]):
    items = keys = values = __iter__ = __len__ = __getitem__ = raises


class HostileText(str):
    __slots__ = ()
    __str__ = __repr__ = __len__ = encode = isascii = raises


class HostileError(Exception):
    __str__ = __repr__ = raises


class HostileModel(pydantic.BaseModel):
    n: int = 1
    model_dump = raises


def of_a_hostile_class() -> Any:
    class HostileMeta(type):
        __mro__ = __module__ = __name__ = property(raises)  # type: ignore[assignment]
        __getattribute__ = __hash__ = raises  # type: ignore[assignment]

    return HostileMeta("Hostile", (), {})()


@dataclass
class HostileField:
    good: int
    bad: int

    def __getattribute__(self, name: str) -> Any:
        return raises() if name == "bad" else object.__getattribute__(self, name)


HOSTILE = {
    "object": HostileObject,
    "dict": HostileDict,
    "text": lambda: HostileText("x"),
    "error": lambda: HostileError(1),
    "model": HostileModel,
    "class": of_a_hostile_class,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_never_raises_nor_costs_its_neighbours(name: str) -> None:
    value = HOSTILE[name]()
    keyed = {1: value}
    restored = round_trip({"before": 1, "value": value, "keyed": keyed, "after": [value]})
    assert restored["before"] == 1
    assert set(restored) == {"before", "value", "keyed", "after"}


def test_what_can_be_known_of_hostile_values_is_kept() -> None:
    assert round_trip(HostileText("text")) == "text"
    assert round_trip(HostileDict(a=1)) == {"a": 1}
    assert round_trip(HostileModel()) == {"n": 1}
    field = round_trip(HostileField(1, 2))
    assert field["good"] == 1
    assert field["bad"]["reason"] == "ZeroDivisionError"


def test_a_repr_that_takes_for_ever_is_not_asked() -> None:
    class Endless:
        def __repr__(self) -> str:
            while True:
                pass

    assert round_trip([Endless(), {Endless(): 1}])[0]["_type"] == "object"


def test_a_generator_is_not_consumed() -> None:
    numbers = (n for n in [1, 2])
    lines = iter([1, 2])
    capture.encode({"numbers": numbers, "lines": lines})
    assert list(numbers) == list(lines) == [1, 2]


def test_no_key_is_lost_when_two_read_the_same() -> None:
    value: dict[Any, str] = {1: "int", "1": "text", (1, 2): "tuple", "(1, 2)": "t", "\ud800": "a"}
    value["\ufffd"] = "b"
    assert sorted(round_trip(value).values()) == sorted(value.values())
    assert round_trip({1: "int", "1": "text"})["1"] == "text"


def test_a_key_type_that_is_not_exactly_text_is_escaped_too() -> None:
    class Key(str):
        __slots__ = ()

    assert round_trip({Key("_type"): "bytes", "__type": 2}) == {"_type": "bytes", "__type": 2}


def test_subclasses_of_plain_types_are_recorded_as_plain() -> None:
    class Level(enum.IntEnum):
        HIGH = 3

    class Name(str, enum.Enum):
        ADA = "ada"

    point = namedtuple("point", "x y")  # noqa: PYI024
    assert round_trip([Level.HIGH, Name.ADA, point(1, b"z")]) == [3, "ada", {"x": 1, "y": b"z"}]
    assert round_trip({Name.ADA: 1, Level.HIGH: 2}) == {"ada": 1, "3": 2}
    assert round_trip([defaultdict(list, a=[1]), MappingProxyType({"b": 2})]) == [
        {"a": [1]},
        {"b": 2},
    ]
    ordered = OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert list(round_trip(ordered)) == ["b", "a"]


def test_an_enum_of_a_number_that_json_has_not_keeps_it() -> None:
    class Odd(enum.Enum):
        NAN = math.nan
        HUGE = 2**100

    assert round_trip([Odd.NAN, Odd.HUGE]) == ["NaN", 2**100]


def test_models_are_recorded_by_their_fields() -> None:
    class Inner(pydantic.BaseModel):
        when: dt.date
        secret: pydantic.SecretStr

    @attrs.define
    class Outer:
        inner: Inner
        ratio: float

    recorded = capture.encode(Outer(Inner(when=dt.date(2026, 1, 1), secret="hunter2"), math.nan))  # type: ignore[arg-type]
    restored = capture.decode(orjson.loads(recorded))
    assert restored["ratio"] == "NaN"
    assert restored["inner"]["when"] == "2026-01-01"
    assert b"hunter2" not in recorded


@pytest.mark.parametrize("scalar", [np.float64("nan"), np.float16("nan"), np.longdouble("nan")])
def test_a_numpy_nan_is_not_a_null(scalar: Any) -> None:
    assert round_trip({"x": scalar, "none": None}) == {"x": "NaN", "none": None}


def test_numpy_scalars_are_numbers() -> None:
    values = [
        np.int8(-1),
        np.uint64(2**64 - 1),
        np.bool_(True),
        np.str_("s"),
        np.datetime64("NaT", "s"),
    ]
    assert round_trip(values) == [-1, 2**64 - 1, True, "s", "NaT"]


def test_cycles_through_objects_end() -> None:
    @dataclass
    class Node:
        name: str
        parent: Any = None

    node = Node("a")
    node.parent = Node("b", node)
    assert round_trip(node)["parent"]["parent"] == {
        "_type": "cycle",
        "class": Node.__module__ + "." + Node.__qualname__,
    }


def test_the_same_object_twice_is_not_a_cycle() -> None:
    shared = {"x": math.nan}
    assert round_trip([shared, shared]) == [{"x": "NaN"}] * 2


def test_a_value_nested_too_deep_is_cut_and_not_lost() -> None:
    deep: Any = "bottom"
    for _ in range(10_000):
        deep = [deep]
    recorded = capture.encode({"deep": deep, "kept": 1})
    assert b"nested too deep" in recorded
    assert orjson.loads(recorded)["kept"] == 1


def test_a_caller_at_the_end_of_its_stack_still_records() -> None:
    def at_depth(n: int) -> bytes:
        return at_depth(n - 1) if n else capture.encode({"x": math.nan})

    for room in range(12, 60, 3):
        assert orjson.loads(at_depth(sys.getrecursionlimit() - _frames() - room)).keys() & {
            "_type",
            "x",
        }


def _frames() -> int:
    frame, count = sys._getframe(), 0
    while frame.f_back:
        frame, count = frame.f_back, count + 1
    return count


def test_an_interrupt_in_the_users_code_is_not_swallowed() -> None:
    class Interrupting(pydantic.BaseModel):
        def model_dump(self, **_: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture.encode({"x": Interrupting()})


def test_an_exception_is_recorded_with_where_it_was_raised() -> None:
    try:
        raises()
    except ZeroDivisionError as error:
        recorded = round_trip(error)
    assert recorded["message"] == "hostile"
    assert "in raises" in recorded["traceback"][-1]


def test_without_a_media_directory_what_is_too_large_for_a_line_says_so() -> None:
    recorded = orjson.loads(capture.encode(capture.Audio(np.zeros(10), 8000)))
    assert recorded["missing"] == "no media directory"
    assert isinstance(capture.decode(recorded), capture.Media)


def test_a_mapping_of_fields_stays_an_object_of_those_keys(tmp_path: Path) -> None:
    recorded = capture.encode_fields(
        {"a": 1, "when": dt.date(2026, 1, 1), "raw": b"x"}, media=tmp_path
    )
    assert list(orjson.loads(recorded)) == ["a", "when", "raw"]


@pytest.mark.parametrize(
    "value",
    ["why?", "", "ünï \u202e\n", {"question": "why?", "k": 3, "on": True, "no": None}, ["a", "b"]],
)
def test_texts_are_encoded_in_one_pass_as_in_many(value: Any) -> None:
    assert capture.encode_texts(value) == capture.encode(value)


@pytest.mark.parametrize(
    "value",
    ["lone \ud800", {"big": 1 << 70}, {"_type": "Image"}, {"x": 'says "_type": no'}, "x" * 100],
)
def test_what_one_pass_cannot_do_is_left_to_encode(value: Any) -> None:
    one_pass = capture.encode_texts(value, limit=60)
    assert one_pass is None or one_pass == capture.encode(value, limit=60)
    if value != {"x": 'says "_type": no'}:  # escaped in a text, it is no mark
        assert one_pass is None
