"""Numbers, times and texts as messages say them."""

from __future__ import annotations

import math
import unicodedata

from llmwatch.watch.periods import moment

_LONGEST = 500


def number(value: float) -> str:
    """A number at a glance.

    >>> number(1234.5), number(0.04321), number(3.0)
    ('1,234', '0.0432', '3')
    """
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def time(us: int) -> str:
    return f"{moment(us):%Y-%m-%d %H:%M} UTC"


def length(us: float) -> str:
    """How long, in the unit that a person would take.

    >>> length(90_000_000), length(7_200_000_000)
    ('2 min', '2.0 h')
    """
    minutes = us / 60e6
    if minutes < 1:
        return f"{us / 1e6:.0f} s"
    if minutes < 100:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 60 * 48 else f"{minutes / 1440:.1f} days"


def one_line(text: object, longest: int = _LONGEST) -> str:
    """A text that whoever wrote a row may have chosen: on one line, nothing in it that steers a terminal or a header."""
    kept = "".join(_shown(character) for character in str(text)[: longest + 1])
    return kept[:longest] + "…" if len(kept) > longest else kept


def _shown(character: str) -> str:
    if character in "\n\r\t" or unicodedata.category(character) in {"Zl", "Zp"}:
        return " "
    return "" if unicodedata.category(character) in {"Cc", "Cf", "Cs"} else character
