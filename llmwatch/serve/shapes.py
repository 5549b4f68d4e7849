"""Whether a request has the shape that Weave's SDK gives it: what is missing, what is of the wrong type, and where.

The SDK's own parameter types say so; nothing is written down twice. A key that they do not know is left alone.
"""

from __future__ import annotations

import collections.abc
import sys
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import typing_extensions

from llmwatch.backend import wire

Check = Callable[[Any, str], "str | None"]
"""Says what is wrong with a value at a path; None when nothing is."""

_LISTS = (list, collections.abc.Iterable, collections.abc.Sequence)
_UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))
_MARKS: tuple[Any, ...] = (typing_extensions.Required, typing_extensions.NotRequired)
if sys.version_info >= (3, 11):
    _MARKS = (*_MARKS, typing.Required, typing.NotRequired)
_LARGEST = 2**63


def problem(request: Any, params: str) -> str | None:
    """What is wrong with a request of the named parameters (`CallStartParams`); None when nothing is."""
    return _check_of(params)(request, "")


def from_text(texts: list[str], params: str, name: str) -> Any:
    """A parameter of a URL, which is text, as what the named parameters take."""
    wanted = _wanted(_fields(_params(params)).get(name, (str, False))[0])
    if list in wanted:
        return texts
    if int in wanted and texts[-1].removeprefix("-").isdecimal():
        return int(texts[-1])
    if bool in wanted and texts[-1] in {"true", "false"}:
        return texts[-1] == "true"
    return texts[-1]


@cache
def _check_of(params: str) -> Check:
    # the path of a request says what is in the URL
    return _object(_params(params), left_out=("entity", "project"))


def _params(name: str) -> Any:
    from weave.vendor.weave_server_sdk import types as sdk
    from weave.vendor.weave_server_sdk.types import objects, projects

    return next(getattr(m, name) for m in (sdk, objects, projects) if hasattr(m, name))


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The keys of a typed dict as they are on the wire: their type, and whether they have to be there."""
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    found = {}
    for name, hint in hints.items():
        required = (
            typing.get_origin(hint) in _MARKS and typing.get_origin(hint).__name__ == "Required"
        )
        found[_alias(hint) or name] = (hint, required or name in kind.__required_keys__)
    return found


def _alias(hint: Any) -> str | None:
    for inner in typing.get_args(hint):
        if (alias := getattr(inner, "alias", None) or _alias(inner)) is not None:
            return str(alias)
        if typing.get_origin(hint) not in (*_MARKS, typing_extensions.Annotated):
            return None
    return None


def _check(hint: Any) -> Check:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in _MARKS:
        return _check(args[0])
    if origin is typing_extensions.Annotated:
        return _time if getattr(args[1], "format", None) == "iso8601" else _check(args[0])
    made = _MADE.get(origin)
    return made(args) if made is not None else _simple(hint)


def _simple(hint: Any) -> Check:
    if hasattr(hint, "__required_keys__"):
        # a query is checked where it is understood
        return _mapping if hint.__name__ == "Query" else _object(hint)
    return _SIMPLE.get(hint, _anything)


def _wanted(hint: Any) -> set[Any]:
    """The simple types, and `list`, that a hint is made of."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in _LISTS:
        return {list}
    if origin in (*_UNIONS, *_MARKS) or origin is typing_extensions.Annotated:
        return set().union(*(_wanted(each) for each in args))
    return {hint} if isinstance(hint, type) else set()


def _object(kind: Any, left_out: tuple[str, ...] = ()) -> Check:
    fields = {k: v for k, v in _fields(kind).items() if k not in left_out}
    checks: dict[str, Check] = {}

    def check(value: Any, path: str) -> str | None:
        if not isinstance(value, Mapping):
            return f"{path or 'the body'} is an object, not {_named(value)}"
        for name, (hint, required) in fields.items():
            if name not in value:
                if required:
                    return f"{_join(path, name)} is missing"
                continue
            if name not in checks:  # made when first needed: types may hold themselves
                checks[name] = _check(hint)
            if (wrong := checks[name](value[name], _join(path, name))) is not None:
                return wrong
        return None

    return check


def _any_of(hints: tuple[Any, ...]) -> Check:
    checks = [_check(hint) for hint in hints if hint is not type(None)]
    nullable = type(None) in hints

    def check(value: Any, path: str) -> str | None:
        if value is None and nullable:
            return None
        wrong = [check(value, path) for check in checks]
        return (
            None
            if None in wrong or not wrong
            else wrong[-1]
            if len(wrong) == 1
            else _longest(wrong)
        )

    return check


def _longest(wrong: list[str | None]) -> str:
    """Of what is wrong by each of several types, what is wrong furthest inside: that type was meant."""
    return max((each or "" for each in wrong), key=lambda each: each.partition(" ")[0].count("."))


def _one_of(words: tuple[Any, ...]) -> Check:
    def check(value: Any, path: str) -> str | None:
        known = isinstance(value, str) and value in words
        return None if known else f"{path} is one of {', '.join(map(str, words))}"

    return check


def _values(args: tuple[Any, ...]) -> Check:
    inner = _check(args[1])

    def check(value: Any, path: str) -> str | None:
        if not isinstance(value, Mapping):
            return f"{path} is an object, not {_named(value)}"
        if inner is _anything:
            return None
        found = (inner(each, _join(path, str(key))) for key, each in value.items())
        return next((wrong for wrong in found if wrong is not None), None)

    return check


def _items(args: tuple[Any, ...]) -> Check:
    inner = _check(args[0]) if args else _anything

    def check(value: Any, path: str) -> str | None:
        if not isinstance(value, (list, tuple)):
            return f"{path} is a list, not {_named(value)}"
        found = (inner(each, f"{path}[{number}]") for number, each in enumerate(value))
        return next((wrong for wrong in found if wrong is not None), None)

    return check


def _time(value: Any, path: str) -> str | None:
    if value is None:
        return None
    try:
        wire.as_datetime(value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return f"{path} is a time in ISO 8601, not {_named(value)}"
    return None


def _anything(_value: Any, _path: str) -> str | None:
    return None


def _mapping(value: Any, path: str) -> str | None:
    return None if isinstance(value, Mapping) else f"{path} is an object, not {_named(value)}"


def _text(value: Any, path: str) -> str | None:
    return None if isinstance(value, str) else f"{path} is text, not {_named(value)}"


def _bool(value: Any, path: str) -> str | None:
    return None if isinstance(value, bool) else f"{path} is true or false, not {_named(value)}"


def _int(value: Any, path: str) -> str | None:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if whole and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST:
        return None
    return f"{path} is a whole number, not {_named(value)}"


def _float(value: Any, path: str) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if number else f"{path} is a number, not {_named(value)}"


_SIMPLE: dict[Any, Check] = {str: _text, bool: _bool, int: _int, float: _float}
_MADE: dict[Any, Callable[[tuple[Any, ...]], Check]] = {
    **dict.fromkeys(_UNIONS, _any_of),
    **dict.fromkeys(_LISTS, _items),
    **dict.fromkeys((dict, collections.abc.Mapping), _values),
    typing_extensions.Literal: _one_of,
}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _named(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
