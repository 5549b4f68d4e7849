"""A confidence that the answer itself states."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_KEYS = ("confidence", "confidence_score", "certainty", "probability")
_WORDS = {
    "very high": 0.95,
    "high": 0.85,
    "medium": 0.6,
    "moderate": 0.6,
    "low": 0.3,
    "very low": 0.1,
}
_LOOKED_AT = 100_000
"""Characters at the end of an answer: a confidence stands there."""
_SAID = re.compile(
    r"\b(?:confidence|certainty|probability)(?:\s+(?:score|level))?(?:\s+is|\s+of)?[\s*]*[:=]?[\s*]*"
    r"(\d{1,3}(?:\.\d+)?\s*%|0?\.\d+|[01](?:\.\d+)?(?![\d.%])|\d{1,2}\s*/\s*10|very high|very low|high|medium|moderate|low)",
    re.IGNORECASE,
)
_SURE = re.compile(r"\b(\d{1,3}(?:\.\d+)?)\s*%\s+(?:sure|certain|confident)\b", re.IGNORECASE)


def stated(output: Any, answer: str) -> float | None:
    """The confidence from 0 to 1 that an answer states, as a field or in words; None when it states none.

    >>> (
    ...     stated(None, "Paris. Confidence: 85%"),
    ...     stated({"answer": "x", "confidence": 0.4}, "x"),
    ...     stated(None, "Paris."),
    ... )
    (0.85, 0.4, None)
    """
    for fields in (output, _json(answer)):
        if isinstance(fields, Mapping):
            for key in _KEYS:
                if (found := _share(fields.get(key))) is not None:
                    return found
    answer = " ".join(answer[-_LOOKED_AT:].split())
    said = [*_SAID.finditer(answer)][-1:] or [*_SURE.finditer(answer)][-1:]
    return _share(said[0][1] + ("%" if said[0].re is _SURE else "")) if said else None


def _json(answer: str) -> Any:
    text = answer.strip().removeprefix("```json").removesuffix("```").strip()
    if not text.startswith("{") or len(text) > 1_000_000:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _share(value: Any) -> float | None:
    if isinstance(value, str):
        return _share_of_text(value.strip().lower())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = float(value) / 100 if 1 < value <= 100 else float(value)
    return number if 0 <= number <= 1 else None


def _share_of_text(text: str) -> float | None:
    if text in _WORDS:
        return _WORDS[text]
    try:
        if text.endswith("%"):
            return _within(float(text[:-1]) / 100)
        if "/" in text:
            part, whole = text.split("/", 1)
            return _within(float(part) / float(whole))
        return _within(float(text))
    except (ValueError, ZeroDivisionError):
        return None


def _within(number: float) -> float | None:
    return number if 0 <= number <= 1 else None
