"""The model that the examples talk to: a local server that speaks OpenAI's protocol, unless OPENAI_BASE_URL names another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmwatch.testing.openai_server import openai_server

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")


@contextmanager
def local_model(replies: Any = None, **options: Any) -> Iterator[None]:
    """Clients made in the block talk to it.

    For the real service: OPENAI_BASE_URL=https://api.openai.com/v1 OPENAI_API_KEY=... python examples/rag.py
    """
    if "OPENAI_BASE_URL" in os.environ:
        yield
        return
    with openai_server(replies, **options) as server:
        os.environ.update(server.environment)
        try:
            yield
        finally:
            for name in server.environment:
                os.environ.pop(name, None)
