"""How an exception is recorded: its type, and its message with the traceback, bounded."""

from __future__ import annotations

import traceback

from llmwatch.tracing.redact import Redactor

_LIMIT = 16_000  # characters: the end of a traceback says where, its beginning who asked


def describe(error: BaseException, redactor: Redactor) -> tuple[str, str]:
    """(type, text). Never raises, whatever `str(error)` does."""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    try:
        text = "".join(traceback.format_exception(kind, error, error.__traceback__, limit=-50))
    except Exception as broken:  # noqa: BLE001 - an exception whose own text cannot be made
        text = f"{name}: (its text could not be made: {type(broken).__name__})"
    if len(text) > _LIMIT:
        text = f"{text[: _LIMIT // 4]}\n… [cut] …\n{text[-_LIMIT * 3 // 4 :]}"
    try:
        return name, redactor.text(text)
    except Exception as broken:  # noqa: BLE001 - a redaction rule of the user's failed
        return name, f"{name}: [not recorded: redaction failed with {type(broken).__name__}]"
