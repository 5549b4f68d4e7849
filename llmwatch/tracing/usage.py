"""Model, tokens and text length of an output that looks like an answer of a model."""

from __future__ import annotations

from typing import Any

from llmwatch.tracing.row import Row

_looks_like_answer: dict[type, bool] = {}


def columns(row: Row, output: Any) -> dict[str, Any]:
    """Model, tokens and length of an answer; the usage itself goes to the row's summary.

    A row whose children carry usage only sums theirs up: it is the same tokens, and they must not count twice.
    """
    if roll_up(row):
        return {}
    model, used, text = read(output)
    found: dict[str, Any] = {"output_chars": len(text)} if text else {}
    if isinstance(model, str):
        found["model"] = model
    if not used:
        return found
    prompt = used.get("prompt_tokens", used.get("input_tokens"))
    completion = used.get("completion_tokens", used.get("output_tokens"))
    if type(prompt) is int:
        found["prompt_tokens"] = prompt
    if type(completion) is int:
        found["completion_tokens"] = completion
    if isinstance(model, str):
        row.summary["usage"] = {model: {"requests": 1, **used}}
        _pass_up(row)
    return found


def read(output: Any) -> tuple[Any, dict[str, Any] | None, str]:
    """(model, usage, text), each empty where the output has none."""
    if type(output) is dict:
        return output.get("model"), _as_dict(output.get("usage")), _text(output.get("choices"))
    kind = type(output)
    known = _looks_like_answer.get(kind)
    if known is None:
        fields = getattr(kind, "model_fields", None) or getattr(kind, "__annotations__", {})
        known = _looks_like_answer[kind] = "usage" in fields and "model" in fields
    if not known:
        return None, None, ""
    return (
        getattr(output, "model", None),
        _as_dict(getattr(output, "usage", None)),
        _text(getattr(output, "choices", None)) or _text_of(getattr(output, "output_text", "")),
    )


def roll_up(row: Row) -> bool:
    """Sum the usage of a row's children into its own summary; False when they have none."""
    if not row._kept:
        return False
    total: dict[str, dict[str, Any]] = {}
    counts: dict[str, Any] = {}
    for child in row._kept:
        summary = child.summary or {}
        _add(counts, summary.get("status_counts") or {})
        for model, used in (summary.get("usage") or {}).items():
            _add(total.setdefault(model, {}), used)
    if total:
        row.summary["usage"] = total
        _pass_up(row, counts)
    return bool(total)


def _pass_up(row: Row, counts: dict[str, Any] | None = None) -> None:
    """Let the parent, ours or Weave's, count it. `.call()` made the row its parent's child already."""
    failed = row.exception is not None
    row.summary["status_counts"] = {"success": int(not failed), "error": int(failed)}
    # Weave sums these too, and tells by them a call that used a model from one whose children did.
    _add(row.summary["status_counts"], counts or {})
    if row._parent is not None and not row._keep:
        row._parent._children.append(row)


def _add(total: dict[str, Any], used: dict[str, Any]) -> None:
    for name, value in used.items():
        if isinstance(value, dict):
            _add(total.setdefault(name, {}), value)
        elif isinstance(value, (int, float)):
            total[name] = total.get(name, 0) + value


def _as_dict(usage: Any) -> dict[str, Any] | None:
    if hasattr(usage, "model_dump"):
        usage = usage.model_dump(exclude_unset=True)
    return usage if isinstance(usage, dict) else None


def _text(choices: Any) -> str:
    if not isinstance(choices, list) or not choices:
        return ""
    message = _get(choices[0], "message")
    return _text_of(_get(message, "content"))


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)
