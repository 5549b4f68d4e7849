"""HTTP: reads one request after the other from a connection and writes what it is answered."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Protocol

from .deterministic import identifier
from .errors import ApiError
from .request import Request
from .wire import Answered, EventStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .endpoints import Endpoints
    from .faults import Fault, Trouble

_BAD_JSON = (
    "We could not parse the JSON body of your request. "
    "(HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects "
    "a JSON payload, but what was sent was not valid JSON.)"
)


class Host(Protocol):
    """What a connection needs of the server behind it."""

    endpoints: Endpoints

    def receive(self, request: Request) -> Trouble: ...

    def pause(self, seconds: float) -> bool: ...

    def delay_for(self, request: Request) -> float: ...

    def token_delay_for(self, request: Request) -> float: ...


class Broken(Exception):
    """The connection is to be closed here, as an injected fault or a stopping server wants."""


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    server_version = "openai-server"
    disable_nagle_algorithm = (
        True  # a token is smaller than a packet and must not wait for the next
    )
    host: Host

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names http.server looks for

    def log_message(self, *_args: Any) -> None:
        """Nothing: tests read `requests` instead."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def _serve(self) -> None:
        request = Request(self.command, self.path, self._lowered_headers(), {})
        try:
            self._answer(request)
        except ApiError as error:
            self._send_json(request, error.body(), status=error.status, extra=error.headers())
        except Broken:
            self.close_connection = True
        except ConnectionError:
            request.disconnected = True
            self.close_connection = True

    def _lowered_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _answer(self, request: Request) -> None:
        raw = self._body()
        unreadable = self._parse(raw, request)
        trouble = self.host.receive(request)
        if not self.host.pause(trouble.delay + self.host.delay_for(request)):
            raise Broken
        if trouble.broken and trouble.breaks_at_once(streaming=request.stream):
            self._break(request, trouble.broken)
            return
        self.host.endpoints.check_key(request)
        if unreadable:
            raise unreadable
        self._send(request, self._answered(request), trouble)

    def _body(self) -> bytes:
        try:
            return self._read_body()
        except (
            ValueError
        ) as error:  # a length that is no number: where the next request begins is lost
            self.close_connection = True
            raise ApiError(400, "The length of the body could not be read.") from error

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return body

    def _parse(self, raw: bytes, request: Request) -> ApiError | None:
        """Fill in the body; what is wrong with it is told only after the key was checked."""
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return ApiError(400, _BAD_JSON)
        request.body = body
        return None

    def _answered(self, request: Request) -> Answered:
        try:
            return self.host.endpoints.answer(request)
        except ApiError:
            raise
        except (
            Exception
        ) as error:  # a fault in a test's own replies must reach its client, as a 500
            told = f"{type(error).__name__}: {error}"
            raise ApiError(500, told, kind="server_error", code="reply_failed") from error

    def _send(self, request: Request, answered: Answered, trouble: Trouble) -> None:
        if isinstance(answered, EventStream):
            self._send_stream(request, answered, trouble)
        else:
            self._send_json(request, answered)

    def _break(self, request: Request, fault: Fault) -> None:
        if fault.status is not None:
            raise fault.error()
        if fault.drop:
            raise Broken
        self._send_bytes(request, b'{"id": "chatcmpl-', "application/json")

    def _send_json(
        self,
        request: Request,
        body: dict[str, Any],
        *,
        status: int = 200,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._send_bytes(request, json.dumps(body).encode(), "application/json", status, extra)

    def _send_bytes(
        self,
        request: Request,
        body: bytes,
        kind: str,
        status: int = 200,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._open(request, status, kind)
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _open(self, request: Request, status: int, kind: str) -> None:
        request.status = status
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header(
            "x-request-id", identifier("req_", request.fingerprint, request.occurrence)
        )
        self.send_header("openai-version", "2020-10-01")

    def _send_stream(self, request: Request, stream: EventStream, trouble: Trouble) -> None:
        self._open(request, 200, "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pause = trouble.token_delay + self.host.token_delay_for(request)
        for number, event in enumerate(stream.events):
            if trouble.broken and number == trouble.broken.after:
                self._break_off(stream, trouble.broken, number)
                return
            if event.paced and not self.host.pause(pause):
                raise Broken
            self._chunk(event.encode())
        self._chunk(stream.ending)
        self.wfile.write(b"0\r\n\r\n")

    def _break_off(self, stream: EventStream, fault: Fault, number: int) -> None:
        """End a stream half-way: with an error event, with half a JSON text, or with nothing."""
        if fault.status is not None:
            self._chunk(stream.failure(fault.error(), number).encode())
        elif fault.malformed:
            self._chunk(b'data: {"id": "chatcmpl-\n\n')
        else:
            raise Broken
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
