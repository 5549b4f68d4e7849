"""The texts in a value: looked at one by one, and put back changed, with the value's shape as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmwatch import capture

_HARMLESS = (int, float, bool, type(None))
Change = Callable[[str], str]


class NotText(Exception):
    """An object whose texts cannot be changed."""


class NotRead(NotText):
    """Something whose contents are not there yet: what it will hold cannot be checked in it."""


def mapped(value: Any, change: Change) -> Any:
    """`value` with every text in it changed: texts (bytes that are UTF-8 too), dicts with their keys, lists, tuples,
    sets and pydantic models. Others raise `NotText`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, _HARMLESS) or _is_of_numbers(value):
        return value
    if isinstance(value, (bytes, bytearray)):
        return _bytes(value, change)
    if isinstance(value, Mapping):
        keys = _keys(value, change)
        return {key: mapped(each, change) for key, each in zip(keys, value.values(), strict=True)}
    return _items(value, change)


def _items(value: Any, change: Change) -> Any:
    for kind in (list, set, frozenset):
        if isinstance(value, kind):
            return kind(mapped(each, change) for each in value)
    if isinstance(value, tuple):
        parts = [mapped(each, change) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if hasattr(type(value), "model_validate"):
        return _model(value, change)
    if any(hasattr(type(value), name) for name in ("__next__", "__anext__", "__await__")):
        raise NotRead(f"a {type(value).__name__} within the value cannot be checked")
    raise NotText(type(value).__name__)


def _is_of_numbers(value: Any) -> bool:
    """A picture or an array of numbers: large, and no text."""
    if not hasattr(type(value), "__array_interface__"):
        return False
    kind = getattr(getattr(value, "dtype", None), "kind", "u")
    return kind not in "OSUV"


def _bytes(value: bytes | bytearray, change: Change) -> Any:
    try:
        text = value.decode()
    except UnicodeDecodeError:  # a picture, a sound
        return value
    return type(value)(change(text).encode("utf-8", "replace"))


def _keys(value: Mapping[Any, Any], change: Change) -> list[Any]:
    """The keys, those that may be more than the name of a field changed."""
    return [
        change(key) if isinstance(key, str) and not key.replace("_", "").isalpha() else key
        for key in value
    ]


def _model(value: Any, change: Change) -> Any:
    before = value.model_dump()
    after = mapped(before, change)
    return value if after == before else type(value).model_validate(after)


def as_text(value: Any) -> str:
    """What is to be read in an object of any kind."""
    return f"{capture.encode(value).decode('utf-8', 'replace')}\n{value}"


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def mapped_arguments(arguments: Arguments, change: Change) -> Arguments:
    """Positional and named arguments with their texts changed; an object with nothing to change in it is as it was."""
    args, kwargs = arguments
    named = {name: _or_same(each, change) for name, each in kwargs.items()}
    return tuple(_or_same(each, change) for each in args), named


def _or_same(value: Any, change: Change) -> Any:
    try:
        return mapped(value, change)
    except NotRead:  # a function may well be given something to read from
        return value
    except NotText:
        if change(text := as_text(value)) != text:
            raise  # and it cannot be taken out of there
        return value
