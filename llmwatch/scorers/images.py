"""How many tokens an image is to OpenAI's models, and how large an image is, from the first of its bytes."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

Size = tuple[int, int]

TYPICAL: Size = (1024, 1024)
"""Taken for an image whose size cannot be seen: a count with it is an estimate."""


class _Tiles(NamedTuple):
    """Tokens an image, and a tile of 512 pixels of it."""

    base: int
    tile: int


# By the longest prefix of a model's name. A number is how many tokens a patch of 32 pixels counts as.
_RULES: dict[str, _Tiles | float] = {
    "gpt-4o-mini": _Tiles(2833, 5667),
    "gpt-4o": _Tiles(85, 170),
    "gpt-4": _Tiles(85, 170),
    "gpt-4.5": _Tiles(85, 170),
    "gpt-4.1-mini": 1.62,
    "gpt-4.1-nano": 2.46,
    "gpt-5": _Tiles(70, 140),
    "gpt-5-mini": 1.62,
    "gpt-5-nano": 2.46,
    "o1": _Tiles(75, 150),
    "o3": _Tiles(75, 150),
    "o4-mini": 1.72,
    "computer-use-preview": _Tiles(65, 129),
}
_PATCH, _MOST_PATCHES, _TILE = 32, 1536, 512


def tokens(model: str, size: Size, detail: str = "auto") -> int | None:
    """The tokens of an image of `size`; None for a model whose rule is not published.

    >>> (
    ...     tokens("gpt-4o", (1024, 1024)),
    ...     tokens("gpt-4o", (2048, 4096)),
    ...     tokens("gpt-4o", (4096, 8192), "low"),
    ... )
    (765, 1105, 85)
    >>> tokens("gpt-4.1-mini", (1024, 1024))
    1659
    """
    rule = _rule(model)
    if rule is None:
        return None
    if isinstance(rule, _Tiles):
        return rule.base if detail == "low" else rule.base + rule.tile * _tiles(size)
    return math.ceil(patches(size) * rule)


def is_tiled(model: str) -> bool:
    """Whether an image of low detail costs a model the same whatever its size."""
    return isinstance(_rule(model), _Tiles)


def _rule(model: str) -> _Tiles | float | None:
    name = max((prefix for prefix in _RULES if model.startswith(prefix)), key=len, default=None)
    return None if name is None else _RULES[name]


def _tiles(size: Size) -> int:
    """Fitted into 2048 by 2048, then down to 768 at its shorter side, in tiles of 512."""
    width, height = size
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return math.ceil(round(width * scale, 6) / _TILE) * math.ceil(round(height * scale, 6) / _TILE)


def patches(size: Size) -> int:
    """Patches of 32 pixels that cover the image, made smaller so that they are no more than 1,536.

    >>> patches((1024, 1024)), patches((1800, 2400))
    (1024, 1452)
    """
    width, height = size
    whole = math.ceil(width / _PATCH) * math.ceil(height / _PATCH)
    if whole <= _MOST_PATCHES:
        return whole
    scale = math.sqrt(_PATCH**2 * _MOST_PATCHES / (width * height))
    across, down = width * scale / _PATCH, height * scale / _PATCH
    scale *= min(math.floor(across) / across, math.floor(down) / down)
    return math.ceil(round(width * scale / _PATCH, 6)) * math.ceil(
        round(height * scale / _PATCH, 6)
    )


# --- the size of an image ----------------------------------------------------------------

_HEAD = 512 << 10
"""Of base64 text: the size of a JPEG can stand behind a large preview."""


def size_of_url(url: object) -> Size | None:
    """The size of an image in a `data:` address; None for one elsewhere, which nobody looks at."""
    if not isinstance(url, str) or not url.startswith("data:image/"):
        return None
    head, comma, text = url[: _HEAD + 100].partition(";base64,")
    if not comma or len(head) > 100:
        return None
    text = text[:_HEAD]
    try:
        return size_of(base64.b64decode(text[: len(text) // 4 * 4]))
    except (binascii.Error, ValueError):
        return None


def size_of(data: bytes) -> Size | None:
    """Width and height of a PNG, JPEG, GIF or WebP, from its beginning.

    >>> size_of(b"GIF89a" + bytes([16, 0, 9, 0]))
    (16, 9)
    """
    try:
        found = _read_size(data)
    except (struct.error, IndexError):
        return None
    return found if found and min(found) > 0 else None


def _read_size(data: bytes) -> Size | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _pair(">II", data, 16)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _pair("<HH", data, 6)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"\xff\xd8"):
        return next(_jpeg(data), None)
    return None


def _pair(form: str, data: bytes, at: int) -> Size:
    first, second = struct.unpack_from(form, data, at)
    return first, second


def _webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = _pair("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _jpeg(data: bytes) -> Iterator[Size]:
    """The size stands in the first segment that starts a frame: C0 to CF, but for three that are tables."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = _pair(">HH", data, at + 5)
            yield width, height
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + max(length, 2)
