"""The prompt of a row: which of what a call was given, or of what was logged, the person asked."""

from __future__ import annotations

from typing import Any

import orjson

PROMPT_KEYS = (
    "prompt", "question", "query", "user_query", "user_input", "input", "text", "message", "request",
    "instruction", "content",
)  # fmt: skip
"""Names that a prompt goes by, the first that is there counts."""
OUTPUT_KEYS = ("output", "answer", "response", "completion", "reply", "prediction", "result")
LONGEST_JSON = 262_144
"""Characters of a JSON value that are parsed; of a longer one its beginning is taken as text."""
LONGEST_KEPT = 2_000
"""Characters of a prompt that a saved baseline keeps, and that an explanation has at hand."""


def of_json(text: str | None) -> str | None:
    """The prompt in the JSON text of a call's inputs.

    >>> of_json('{"question": "How do I reset my key?", "top_k": 3}')
    'How do I reset my key?'
    """
    if not text:
        return None
    if len(text) >= LONGEST_JSON:
        return text
    try:
        return of(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


def of(value: Any) -> str | None:
    """The prompt in a value: a text, chat messages, or a mapping that has one of them; None when it has no text.

    >>> of(
    ...     {
    ...         "messages": [
    ...             {"role": "system", "content": "Be brief."},
    ...             {"role": "user", "content": "Hi"},
    ...         ]
    ...     }
    ... )
    'Hi'
    """
    if isinstance(value, str):
        return value or None
    if isinstance(value, dict):
        return _of_mapping(value)
    if isinstance(value, list):
        return _of_messages(value) or _joined(value)
    return None


def _of_mapping(value: dict[str, Any]) -> str | None:
    for key in ("messages", *PROMPT_KEYS):
        if key in value and (found := of(value[key])):
            return found
    return _joined([each for key, each in value.items() if key != "self"])


def _of_messages(messages: list[Any]) -> str | None:
    """What the user said last; what was said before is in earlier rows."""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return _content(message.get("content"))
    return None


def _content(content: Any) -> str | None:
    if isinstance(content, str):
        return content or None
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return " ".join(part for part in parts if isinstance(part, str)) or None
    return None


def _joined(values: list[Any]) -> str | None:
    return " ".join(each for each in values if isinstance(each, str)) or None
