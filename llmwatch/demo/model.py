"""The model of the help desk: the OpenAI-compatible server that llmwatch ships, which answers from the pages it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from llmwatch.testing.openai_server import OpenAIServer
from llmwatch.testing.openai_server.answers import default_reply

if TYPE_CHECKING:
    from llmwatch.testing.openai_server import Reply, Request

SURENESS = {"help-small-1": 0.93, "help-small-2": 0.46}
"""How sure each model is of a token, so that the second is half as sure of its answers as the first."""
_NO_KEY = "none-needed"


class Model:
    """A running server. `pace` says how many seconds the next answer to a question takes."""

    def __init__(self) -> None:
        self.pace: dict[str, float] = {}
        self.server = OpenAIServer(_reply, delay=self._delay, keep_requests=1)

    def _delay(self, request: Request) -> float:
        return self.pace.get(request.question, 0.0)


@contextmanager
def connected() -> Iterator[Model]:
    """A model that answers the help desk inside the block, through the real client."""
    import openai

    from llmwatch.demo import application

    model = Model()
    with (
        model.server,
        openai.OpenAI(base_url=model.server.url, api_key=_NO_KEY, max_retries=0) as client,
    ):
        application.connect(client)
        try:
            yield model
        finally:
            application.connect(None)


def _reply(request: Request) -> Reply:
    told = default_reply(request)
    sure = SURENESS.get(str(request.body.get("model")))
    return told if sure is None or told.confidence < 0.5 else replace(told, confidence=sure)
