"""Reactions: whether a text is one emoji, and what Weave calls it."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_TONE = "[\U0001f3fb-\U0001f3ff]"
_PICTURE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935"
    "\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
)
_ONE = f"{_PICTURE}\ufe0f?{_TONE}?\u20e3?[\U000e0020-\U000e007f]*"
_EMOJI = re.compile(
    f"{_ONE}(?:\u200d{_ONE})*"  # pictures joined into one
    "|[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    "|[0-9#*]\ufe0f?\u20e3"  # a keycap
)


def is_emoji(text: str) -> bool:
    """Whether `text` is exactly one emoji.

    >>> is_emoji("👍🏽"), is_emoji("👍👍"), is_emoji("ok")
    (True, False, False)
    """
    return _EMOJI.fullmatch(text) is not None


def detoned(emoji: str) -> str:
    """The emoji without its skin tone.

    >>> detoned("👍🏽")
    '👍'
    """
    return re.sub(_TONE, "", emoji)


def alias(emoji: str) -> str:
    """Its name between colons.

    >>> alias("👍")
    ':thumbs_up:'
    """
    names = _names()
    name = names.get(emoji) or names.get(emoji.replace("\ufe0f", ""))
    if name is None:
        name = "_".join(
            unicodedata.name(c, f"u{ord(c):x}").lower().replace(" ", "_") for c in emoji
        )
    return f":{name}:"


@cache
def _names() -> dict[str, str]:
    # Rich carries the list that Weave's own aliases come from; of several names the first is meant.
    from rich._emoji_codes import EMOJI

    return {emoji: name for name, emoji in reversed(EMOJI.items())}
