"""The texts in a value: looked at one by one, and put back changed, with the value's shape as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmwatch import capture

_HARMLESS = (int, float, bool, type(None), bytes)


class NotText(Exception):
    """An object whose texts cannot be changed."""


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every text in it changed: texts, dicts, lists, tuples and pydantic models. Others raise `NotText`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, _HARMLESS):
        return value
    if isinstance(value, Mapping):
        return {key: mapped(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [mapped(each, change) for each in value]
    if isinstance(value, tuple):
        parts = [mapped(each, change) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if hasattr(type(value), "model_validate"):
        return _model(value, change)
    raise NotText(type(value).__name__)


def _model(value: Any, change: Callable[[str], str]) -> Any:
    before = value.model_dump()
    after = mapped(before, change)
    return value if after == before else type(value).model_validate(after)


def as_text(value: Any) -> str:
    """What is to be read in an object of any kind."""
    return f"{capture.encode(value).decode('utf-8', 'replace')}\n{value}"


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def mapped_arguments(arguments: Arguments, change: Callable[[str], str]) -> Arguments:
    """Positional and named arguments with their texts changed; objects without changeable ones are as they were."""
    args, kwargs = arguments
    named = {name: _or_same(each, change) for name, each in kwargs.items()}
    return tuple(_or_same(each, change) for each in args), named


def _or_same(value: Any, change: Callable[[str], str]) -> Any:
    try:
        return mapped(value, change)
    except NotText:
        return value
