"""Errors as OpenAI's API sends them: a status, and a body with message, type, param and code."""

from __future__ import annotations

from typing import Any

_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "requests",
}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_MESSAGES = {
    400: "The request is invalid.",
    401: "Incorrect API key provided.",
    403: "You do not have access to this resource.",
    404: "Not found.",
    408: "Request timed out.",
    409: "The request conflicts with another one.",
    429: "Rate limit reached for requests. Please try again later.",
    503: "The engine is currently overloaded, please try again later.",
}


class ApiError(Exception):
    """What the server answers instead of a reply; a ``replies`` function may raise it too.

    The client turns it into its own exception: 429 becomes ``openai.RateLimitError``, and so on.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        default = "The server had an error while processing your request. Sorry about that!"
        self.status = status
        self.message = message or _MESSAGES.get(status, default)
        self.code = code if code is not None or message else _CODES.get(status)
        self.param = param
        self.kind = kind or _TYPES.get(status, "server_error" if status >= 500 else "api_error")
        self.retry_after = retry_after
        super().__init__(f"{status}: {self.message}")

    def body(self) -> dict[str, Any]:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}

    def headers(self) -> dict[str, str]:
        if self.retry_after is None:
            return {}
        milliseconds = round(self.retry_after * 1000)
        return {"retry-after": f"{self.retry_after:g}", "retry-after-ms": str(milliseconds)}


def missing(param: str) -> ApiError:
    """The error for a parameter that has to be there."""
    message = f"Missing required parameter: '{param}'."
    return ApiError(400, message, code="missing_required_parameter", param=param)


def invalid(param: str, message: str) -> ApiError:
    """The error for a parameter whose value cannot be."""
    return ApiError(400, f"Invalid '{param}': {message}", code="invalid_value", param=param)
