"""A local HTTP listener for the servers that tests talk to: threads, no name look-up, connections that can be cut."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class LocalServer:
    """Listens on the loopback from `start` to `close`, at the same port each time; a context manager too."""

    handler: ClassVar[type[BaseHTTPRequestHandler]]
    """Answers the requests; its attribute `host` is the server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Listen, in a thread of its own; a server that runs already is left alone."""
        if self._listener is None:
            handler = type("BoundHandler", (self.handler,), {"host": self})
            self._listener = _Listener(self.port, handler)
            self.port = int(self._listener.server_address[1])
            self._thread = threading.Thread(
                target=self._listener.serve_forever,
                args=(0.02,),
                name=f"llmwatch-{type(self).__name__}",
                daemon=True,
            )
            self._thread.start()
        return self

    def close(self) -> None:
        """Stop, cutting open connections off, and wait until every thread is gone."""
        listener, thread = self._listener, self._thread
        if listener is None or thread is None:
            return
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
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Listener(ThreadingHTTPServer):
    """Accepts connections, and keeps each with its thread so that both can be ended."""

    daemon_threads = True  # a script that forgets to close the server must still end
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", port), handler)

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for the host's name here; a test server looks nothing up
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        self._open[request] = thread
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of a request is no news; a fault of ours is."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        super().shutdown_request(request)
        self._open.pop(request, None)

    def close_connections(self) -> None:
        """Cut every connection, so that the threads waiting on them end, and wait for them."""
        for connection, thread in list(self._open.items()):
            with contextlib.suppress(OSError):  # the client or its thread was quicker
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
