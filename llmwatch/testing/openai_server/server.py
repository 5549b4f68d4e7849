"""The server itself: it listens on the loopback, remembers its requests, and stops cleanly."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING

from llmwatch import clock

from .answers import default_reply
from .endpoints import Endpoints
from .faults import Faults, Trouble
from .generation import Generator
from .handler import Handler
from .reply import Replies, ReplyRules
from .request import Request
from .tokens import Splitter, rough

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

Delay = float | Callable[[Request], float]


class OpenAIServer:
    """A small OpenAI-compatible server; see `openai_server` for what it takes."""

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
        self.port = port
        self._requests: deque[Request] = deque(maxlen=keep_requests)
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

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
        """Listen, in a thread of its own; a server that runs already is left alone."""
        if self._listener is None:
            self._stopping.clear()
            self._listener = _Listener(self)
            self.port = self._listener.server_address[1]
            serve = self._listener.serve_forever
            self._thread = threading.Thread(
                target=serve, args=(0.05,), name="openai-server", daemon=True
            )
            self._thread.start()
        return self

    def close(self) -> None:
        """Stop, cutting open connections off, and wait until every thread is gone."""
        listener, thread = self._listener, self._thread
        if listener is None or thread is None:
            return
        self._stopping.set()
        listener.shutdown()
        thread.join()
        listener.close_connections()
        listener.server_close()
        self._listener = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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


class _Listener(ThreadingHTTPServer):
    """Accepts connections, and keeps each with its thread so that both can be ended."""

    daemon_threads = True  # a script that forgets to close the server must still end
    request_queue_size = 128

    def __init__(self, server: OpenAIServer) -> None:
        self._open: dict[socket.socket, threading.Thread] = {}
        handler = type("BoundHandler", (Handler,), {"host": server})
        super().__init__(("127.0.0.1", server.port), handler)

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for the host's name here; a test server looks nothing up
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        super().shutdown_request(request)
        self._open.pop(request, None)

    def close_connections(self) -> None:
        """Cut every connection, so that the threads waiting on them end, and wait for them."""
        for connection, thread in list(self._open.items()):
            with contextlib.suppress(OSError):  # the client or its thread was quicker
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
