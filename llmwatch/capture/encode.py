"""Python values to JSON bytes: one C pass for plain data, a hook for known types, a walk for the rest."""

from __future__ import annotations

import re
from enum import EnumMeta
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.capture import bounds
from llmwatch.capture.fallback import Walker
from llmwatch.capture.images import image_of
from llmwatch.capture.tag import Tag

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIMIT = 1 << 20
TOTAL = 16 << 20
_OPTIONS = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_MARKLIKE = re.compile(rb'"_+type":')
_NO_STACK = b'{"_type":"unrecorded","reason":"RecursionError"}'
_dumps = orjson.dumps


def encode(value: Any, *, media: Path | None = None, limit: int = LIMIT) -> bytes:
    """The JSON of any value, at most `limit` bytes. Never raises because of the value.

    `media` is the directory where what does not belong on a line is kept.

    >>> encode({"prompt": "hi", "scores": {3, 1, 2}})
    b'{"prompt":"hi","scores":[1,2,3]}'
    """
    if type(value) is str and len(value) > limit:
        value = bounds.cut_text(value, limit)  # before encoding: it may be huge
    out = _json(value, media, limit)
    return out if len(out) <= limit else bounds.fit_json(out, limit)


def encode_fields(
    mapping: Mapping[str, Any],
    *,
    media: Path | None = None,
    limit: int = LIMIT,
    total: int = TOTAL,
) -> bytes:
    """A JSON object of a row's fields: `limit` bytes for each value, `total` for all of it."""
    try:
        out = _dumps(mapping) if _is_plain(mapping) else _json(mapping, media, total)
    except Exception:  # noqa: BLE001 - a key that is no text, a lone surrogate, a huge int
        out = _json(mapping, media, total)
    if len(out) <= limit and len(out) <= total:
        return out
    return bounds.fit_fields(out, limit, total)


def encode_texts(value: Any, limit: int = LIMIT) -> bytes | None:
    """The JSON of a text, or of a dict or list that `texts_only`; None when `encode` has to do it.

    Half the cost of `encode`, for what most calls are given and return.

    >>> encode_texts({"question": "why?", "k": 3})
    b'{"question":"why?","k":3}'
    """
    try:
        out = _dumps(value)
    except TypeError:  # a lone surrogate, a huge int
        return None
    if len(out) > limit or (_UNDERSCORE in out and out.rfind(b'_type":') >= 0):
        return None
    return out


def _json(value: Any, media: Path | None, limit: int) -> bytes:
    try:
        out = _dumps(value, None, _OPTIONS)
    except TypeError:
        return one_line(_with_hook(value, media, limit))
    # Scanning 2 KB for a word costs more than encoding it, so what a glance can rule out is not scanned for; and
    # rfind, because CPython's is more than twice as fast here as `in` (0.4 against 1 µs in 2 KB).
    if _is_plain(value):
        return out
    if (_UNDERSCORE in out and out.rfind(b'_type":') >= 0 and _MARKLIKE.search(out)) or (
        out.rfind(b"null") >= 0 and _has_nonfinite([value])
    ):
        out = _walked(value, media, limit)
    return one_line(out)


def one_line(out: bytes) -> bytes:
    """JSON without line breaks, which an `orjson.Fragment` may bring between its tokens."""
    if _NEWLINE in out or _RETURN in out:
        return out.replace(b"\n", b" ").replace(b"\r", b" ")
    return out


class _Hook:
    """Gives the C encoder the images of what it does not know, and remembers what it gave."""

    __slots__ = ("given", "media", "tags")

    def __init__(self, media: Path | None) -> None:
        self.media = media
        self.tags = 0
        self.given: list[Any] = []

    def __call__(self, value: Any) -> Any:
        image = value if type(value) is Tag else image_of(value, self.media)
        if type(image) is Tag:
            self.tags += 1
            image = image.as_dict()
        self.given.append(image)
        return image


def _with_hook(value: Any, media: Path | None, limit: int) -> bytes:
    hook = _Hook(media)
    try:
        out = _dumps(value, hook, _OPTIONS)
    except TypeError as error:
        # orjson wraps whatever the hook raised: the user's Ctrl-C must still be one.
        if error.__cause__ is not None and not isinstance(error.__cause__, Exception):
            raise error.__cause__ from None
        return _walked(value, media, limit)
    # More marks than the hook made: the user's own `_type`, which has to be escaped.
    if len(_MARKLIKE.findall(out)) != hook.tags:
        return _walked(value, media, limit)
    if b"null" in out and _has_nonfinite([value, *hook.given]):
        return _walked(value, media, limit)
    return out


def _walked(value: Any, media: Path | None, limit: int) -> bytes:
    try:
        return _dumps(Walker(media, nodes=limit).walk(value))
    except RecursionError:  # the caller is itself near the limit of its stack
        return _shallow(value, media, limit)


def _shallow(value: Any, media: Path | None, limit: int) -> bytes:
    try:
        return _dumps(Walker(media, nodes=limit, depth=6).walk(value))
    except RecursionError:
        return _NO_STACK  # a constant: nothing more can be called here


_UNDERSCORE, _NEWLINE, _RETURN = b"_\n\r"
_NO_FLOATS = frozenset({str, int, bool, type(None)})


def _is_plain(value: Any) -> bool:
    """Whether a glance shows no NaN or infinity and no key like a mark's: a flat dict, with lists of text at most."""
    if type(value) is not dict:
        return type(value) in _NO_FLOATS
    for key, field in value.items():
        cls = type(field)
        if (key < "a" and key[:1] == "_") or not (
            cls is str
            or cls in _NO_FLOATS
            or (cls is float and field - field == 0.0)
            or (cls is list and all(type(item) is str for item in field))
        ):
            return False
    return True


def _has_nonfinite(values: list[Any]) -> bool:
    """Whether a NaN or an infinity is among them, which orjson writes as null without a word."""
    for value in values:  # grows while it is walked
        cls = type(value)
        if cls is str:
            continue
        if cls is float:
            if value - value != 0.0:
                return True
        elif cls is dict:
            values.extend(value.values())
        elif cls is list or cls is tuple:
            values.extend(value)
        elif type(cls) is EnumMeta:
            values.append(value.value)
    return False
