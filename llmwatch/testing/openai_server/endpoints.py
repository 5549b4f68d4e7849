"""Which path is answered by what, and the checks that come before every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import chat, embeddings, moderations
from .errors import ApiError, missing
from .responses import Responses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .generation import Generator
    from .request import Request
    from .wire import Answered

DEFAULT_MODELS = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-5",
    "gpt-5-mini",
    "o4-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "omni-moderation-latest",
)
_MODELS_SINCE = 1_700_000_000


class Endpoints:
    """Answers requests. ``models`` given: any other model is an error; None: every name is fine."""

    def __init__(
        self,
        generator: Generator,
        now: Callable[[], int],
        *,
        models: Sequence[str] | None = None,
        key: str | bool | None = None,
    ) -> None:
        self._generator = generator
        self._now = now
        self._models = models
        self.key = key
        self._responses = Responses()
        self._posts: dict[str, Callable[[Request], Answered]] = {
            "chat/completions": lambda request: chat.complete(request, generator, now()),
            "responses": lambda request: self._responses.create(request, generator, now()),
            "embeddings": lambda request: embeddings.embed(request, generator.split),
            "moderations": moderations.moderate,
        }

    def answer(self, request: Request) -> Answered:
        """The answer to a request, or an `ApiError`."""
        if request.method != "POST":
            return self._kept(request)
        post = self._posts.get(request.endpoint)
        if post is None:
            raise self._unknown(request)
        self._check_model(request)
        return post(request)

    def check_key(self, request: Request) -> None:
        """Refuse a request without the key this server requires."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if not self.key:
            return
        if scheme.lower() != "bearer" or not given:
            raise ApiError(
                401,
                "You didn't provide an API key. You need to provide your API key in an "
                "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            )
        if isinstance(self.key, str) and given != self.key:
            shown = f"{given[:8]}{'*' * 8}{given[-4:]}" if len(given) > 16 else "*" * len(given)
            raise ApiError(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")

    def _check_model(self, request: Request) -> None:
        if request.endpoint == "moderations" and not request.model:
            return
        if not request.model:
            raise missing("model")
        if self._models is not None:
            self._model(request.model)

    def _model(self, name: str) -> dict[str, Any]:
        if name not in (self._models or DEFAULT_MODELS):
            message = f"The model '{name}' does not exist or you do not have access to it."
            raise ApiError(404, message, param="model", code="model_not_found")
        return {"id": name, "object": "model", "created": _MODELS_SINCE, "owned_by": "openai"}

    def _kept(self, request: Request) -> dict[str, Any]:
        """Models, and responses given earlier."""
        kind, _, name = request.endpoint.partition("/")
        if request.method == "DELETE" and kind == "responses" and name:
            return self._responses.delete(name)
        if request.method == "GET" and kind == "responses" and name:
            return self._responses.get(name)
        if request.method == "GET" and kind == "models":
            return self._model(name) if name else self._model_list()
        raise self._unknown(request)

    def _model_list(self) -> dict[str, Any]:
        return {"object": "list", "data": [self._model(m) for m in self._models or DEFAULT_MODELS]}

    def _unknown(self, request: Request) -> ApiError:
        told = f"({request.method} {request.path})"
        if request.endpoint in self._posts:
            message = f"Not allowed to {request.method} on /v1/{request.endpoint} {told}."
            return ApiError(405, message, kind="invalid_request_error", code="method_not_supported")
        return ApiError(404, f"Invalid URL {told}", code="unknown_url")
