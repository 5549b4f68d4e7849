"""The server itself: it listens on the loopback, remembers its requests, and stops cleanly."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmwatch import clock
from llmwatch.testing.listener import LocalServer

from .answers import default_reply
from .endpoints import Endpoints
from .faults import Faults, Trouble
from .generation import Generator
from .handler import Handler
from .reply import Replies, ReplyRules
from .request import Request
from .tokens import Splitter, rough

if TYPE_CHECKING:
    from typing_extensions import Self

Delay = float | Callable[[Request], float]


class OpenAIServer(LocalServer):
    """A small OpenAI-compatible server; see `openai_server` for what it takes."""

    handler = Handler

    def __init__(
        self,
        replies: Replies | None = None,
        *,
        port: int = 0,
        require_key: str | bool | None = None,
        models: Sequence[str] | None = None,
        delay: Delay = 0.0,
        token_delay: Delay = 0.0,
        tokenizer: Splitter = rough,
        now: Callable[[], int] | None = None,
        keep_requests: int = 10_000,
    ) -> None:
        rules = ReplyRules(replies, default_reply)
        generator = Generator(rules.reply_to, tokenizer)
        self.endpoints = Endpoints(generator, now or _seconds, models=models, key=require_key)
        self.faults = Faults()
        self.delay = delay
        self.token_delay = token_delay
        self._requests: deque[Request] = deque(maxlen=keep_requests)
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        super().__init__(port)

    @property
    def url(self) -> str:
        """The ``base_url`` for a client."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send the OpenAI client of another process here."""
        key = self.endpoints.key if isinstance(self.endpoints.key, str) else "test"
        return {"OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": key}

    @property
    def requests(self) -> list[Request]:
        """What was received so far, the oldest first (the last ``keep_requests``)."""
        with self._lock:
            return list(self._requests)

    def start(self) -> Self:
        self._stopping.clear()
        return super().start()

    def close(self) -> None:
        self._stopping.set()
        super().close()

    def receive(self, request: Request) -> Trouble:
        """Remember a request, and say what is to go wrong with it."""
        with self._lock:
            request.occurrence = self._seen[request.fingerprint]
            self._seen[request.fingerprint] += 1
            self._requests.append(request)
        return self.faults.strike(request)

    def pause(self, seconds: float) -> bool:
        """Wait; False when the server stops meanwhile."""
        if seconds <= 0:
            return not self._stopping.is_set()
        return not self._stopping.wait(None if seconds == float("inf") else seconds)

    def delay_for(self, request: Request) -> float:
        return self.delay(request) if callable(self.delay) else self.delay

    def token_delay_for(self, request: Request) -> float:
        return self.token_delay(request) if callable(self.token_delay) else self.token_delay


def _seconds() -> int:
    return clock.now_us() // 1_000_000
