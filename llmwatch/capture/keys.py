"""Dict keys as JSON keys: the text of a key that is not text, clashes, and the escape of `_type`."""

from __future__ import annotations

import datetime as dt
import enum
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from llmwatch.capture.tag import class_name

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKLIKE = re.compile("_+type")
_ESCAPED = re.compile("__+type")
_PLAIN_TEXT = (Decimal, Fraction, UUID, complex)
_BIG = 1 << 1000


def clean_text(text: str) -> str:
    """An exact `str` that UTF-8 can hold: each lone surrogate becomes U+FFFD."""
    text = str.__str__(text)
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def escape_key(key: str) -> str:
    """A user's own `_type` is stored as `__type` (and `__type` as `___type`): ours is the only bare one."""
    return "_" + key if _MARKLIKE.fullmatch(key) else key


def unescape_key(key: str) -> str:
    return key[1:] if _ESCAPED.fullmatch(key) else key


def int_text(number: int) -> str:
    """Decimal digits, or hexadecimal past 1000 bits (Python refuses to print long decimals)."""
    return str(int(number)) if -_BIG < number < _BIG else hex(number)


def key_text(key: Any) -> str:
    """The text of any key, without running code of the key's own class when it is not a known one."""
    cls = type(key)
    if issubclass(cls, enum.Enum):
        return key_text(key.value)
    if issubclass(cls, str):
        return clean_text(key)
    if key is None or cls is bool:
        return {None: "null", True: "true", False: "false"}[key]
    return part_text(key)


def part_text(key: Any) -> str:
    """As `key_text`, but as it would be written inside a tuple: `'a'`, `True`."""
    cls = type(key)
    if cls is int:
        return int_text(key)
    if cls in (bool, float, bytes, type(None)):
        return repr(key)
    if cls is str:
        return repr(clean_text(key))
    if cls is tuple or cls is frozenset:
        return _group_text(key)
    return _known_text(key, cls)


def _group_text(key: tuple[Any, ...] | frozenset[Any]) -> str:
    parts = [part_text(part) for part in key]
    if type(key) is frozenset:
        return "frozenset({" + ", ".join(sorted(parts)) + "})"
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _known_text(key: Any, cls: type) -> str:  # noqa: PLR0911 - one line a kind
    if cls in _PLAIN_TEXT or issubclass(cls, PurePath):
        return clean_text(str(key))
    if cls in (dt.datetime, dt.date, dt.time):
        return str(key.isoformat())
    if issubclass(cls, int):
        return int_text(int.__int__(key))
    if issubclass(cls, float):
        return float.__repr__(key)
    if issubclass(cls, tuple):
        return _group_text(tuple.__getitem__(key, slice(None)))
    if cls.__module__ == "builtins" and cls is type:
        return f"<class {class_name(key)}>"
    return f"<{class_name(cls)} object>"


def json_keys(keys: Iterable[Hashable]) -> list[str]:
    """One JSON key a dict key, escaped and all different: text keys have their own name, another that
    reads the same is numbered (`{1: "a", "1": "b"}` gives `1 #2` and `1`)."""
    originals = [escape_key(key) if type(key) is str else key for key in keys]
    taken = {key for key in originals if type(key) is str}
    return [
        str(key) if _storable(key) else _free(escape_key(key_text(key)), taken) for key in originals
    ]


def _storable(key: object) -> bool:
    return type(key) is str and not _SURROGATE.search(key)


def _free(text: str, taken: set[str]) -> str:
    name, number = text, 2
    while name in taken:
        name, number = f"{text} #{number}", number + 1
    taken.add(name)
    return name
