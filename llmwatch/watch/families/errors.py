"""Errors by category."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmwatch.watch import names, parts
from llmwatch.watch.families.measure import Facts, Plain, State, Values, share
from llmwatch.watch.reading import texts

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame
    from llmwatch.watch.sets import Errors

_INVALID = "ValueError TypeError KeyError ValidationError RequestValidationError BadRequestError UnprocessableEntityError"
_INVALID += " NotFoundError AuthenticationError PermissionDeniedError ConflictError JSONDecodeError UnicodeDecodeError"
_MODEL = "RuntimeError InternalServerError APIStatusError APIError ServiceUnavailableError OverloadedError"
_MODEL += " APIConnectionError APIResponseValidationError ContentFilterFinishReasonError LengthFinishReasonError"
_BY_TYPE = {
    **dict.fromkeys(_INVALID.split(), "invalid_input"),
    **dict.fromkeys(_MODEL.split(), "model_error"),
}
_TOLD = re.compile(r"(?:error code|status(?: code)?|http)\W{0,3}([45]\d\d)\b", re.IGNORECASE)
_CODES = (
    "attributes.http.status_code",
    "attributes.http.response.status_code",
    "data.status_code",
    "data.http_status",
)
_BELOW_500 = {429: "rate_limited", 408: "timeout", 499: "timeout"}


class ErrorsMeasure(Plain):
    def __init__(self, told: Errors) -> None:
        self._own = dict(told.categories)

    def columns(self, columns: Columns) -> dict[str, str]:
        del columns
        data = 'r."llmwatch data"'
        code = ", ".join(_code(place) for place in _CODES)
        return {
            "error status": f"lower(coalesce(r.\"llmwatch status\", {data}->>'status', {data}->>'status_code'))",
            "error type": f"coalesce(r.\"llmwatch exception_type\", {data}->>'exception_type', {data}->>'error_type')",
            "error text": f"left(coalesce(r.\"llmwatch exception\", {data}->>'exception', {data}->>'error'), 500)",
            "error code": f"coalesce({code})",
            "error success": f"lower({data}->>'success')",
        }

    def part(self, frame: Frame) -> State:
        columns = [texts(frame[f"error {name}"]) for name in ("status", "type", "text", "success")]
        codes = np.ma.filled(np.ma.asarray(frame["error code"], dtype=np.float64), np.nan).tolist()
        found = (
            category(kind, code, text, self._own)
            for status, kind, text, success, code in zip(*columns, codes, strict=True)
            if has_failed(status, kind, text, success, code)
        )
        return [len(codes), parts.tally(found)]

    def merge(self, states: Sequence[State]) -> State:
        return [sum(s[0] for s in states), parts.merge_tallies(s[1] for s in states)]

    def values(self, state: State, facts: Facts) -> Values:
        del facts
        n, counts = state
        failed = sum(counts.values())
        rate = share(failed, n)
        values: Values = {
            "errors/total_rate_percent": None if rate is None else 100 * rate,
            "errors/total_count": failed,
            "errors/request_count": n,
        }
        for one in dict.fromkeys([*names.CATEGORIES, *self._own.values(), *counts]):
            count_name, rate_name = names.errors(one)
            values[count_name] = counts.get(one, 0)
            values[rate_name] = share(counts.get(one, 0), n)
        return values


def _code(place: str) -> str:
    column, _, path = place.partition(".")
    return f"try_cast(r.\"llmwatch {column}\"->>'$.{path}' AS INTEGER)"


def has_failed(
    status: str | None, kind: str | None, text: str | None, success: str | None, code: float
) -> bool:
    """By what a call says first; then by what a logged dict may say."""
    if status is not None and status in {"error", "failed", "failure"}:
        return True
    if kind is not None or code >= 400:
        return True
    return success in {"false", "0"} or (text not in {None, "", "false"} and status != "success")


def category(
    kind: str | None,
    code: float = float("nan"),
    text: str | None = None,
    own: Mapping[str, str] = {},
) -> str:
    """The category of a failure: by the person's map, then the HTTP status of our own answer, then the exception.

    >>> (
    ...     category("ValueError"),
    ...     category("openai.RateLimitError"),
    ...     category(None, 503),
    ...     category("Odd"),
    ... )
    ('invalid_input', 'rate_limited', '5xx', 'unknown')
    """
    short = (kind or "").rpartition(".")[2]
    if kind is not None and (mapped := own.get(kind) or own.get(short)):
        return mapped
    if code >= 400:
        return "5xx" if code >= 500 else _BELOW_500.get(int(code), "invalid_input")
    if "timeout" in short.lower() or "DeadlineExceeded" in short:
        return "timeout"
    if "ratelimit" in short.lower().replace("_", "") or "TooManyRequests" in short:
        return "rate_limited"
    told = _TOLD.search(text or "")
    if told is not None:  # a provider's answer, repeated in the exception
        said = int(told[1])
        return "model_error" if said >= 500 else _BELOW_500.get(said, "invalid_input")
    return _BY_TYPE.get(short, "unknown")
