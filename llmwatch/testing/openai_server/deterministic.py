"""Numbers and ids that depend only on what they are made from, so that a run can be repeated."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(*parts: object) -> str:
    """64 hex digits for these parts; the same parts always give the same digits."""
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def identifier(prefix: str, *parts: object) -> str:
    """An id that looks like OpenAI's, such as ``chatcmpl-5f0c...``."""
    return prefix + digest(prefix, *parts)[:29]


def draw(*parts: object) -> float:
    """A number in [0, 1) that looks random and depends only on the parts."""
    return int(digest(*parts)[:13], 16) / float(1 << 52)


def pick(options: list[Any], *parts: object) -> Any:
    """One of the options, chosen by the parts alone."""
    return options[int(draw(*parts) * len(options))]
