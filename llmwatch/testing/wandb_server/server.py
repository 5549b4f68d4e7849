"""The stand-in itself: it listens on the loopback, answers, fails as it is told, and stops cleanly."""

from __future__ import annotations

import base64
import contextlib
import socket
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from llmwatch.testing.listener import LocalServer
from llmwatch.testing.wandb_server.faults import Faults
from llmwatch.testing.wandb_server.kept import Kept
from llmwatch.testing.wandb_server.routes import Lines, Refused, Routes

LARGEST_BODY = 32 << 20
KEY = "0123456789abcdef0123456789abcdef01234567"


class WandbServer(LocalServer):
    """W&B's stand-in; see `wandb_server` for how it is used."""

    def __init__(
        self,
        *,
        entity: str = "team",
        port: int = 0,
        seed: int = 0,
        largest_body: int = LARGEST_BODY,
    ) -> None:
        self.kept = Kept()
        self.faults = Faults(seed)
        self.routes = Routes(self.kept, entity)
        self.largest_body = largest_body
        self.paths: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()
        super().__init__(port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send W&B's and Weave's clients here."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "WANDB_ERROR_REPORTING": "false",
        }


class _Handler(BaseHTTPRequestHandler):
    host: WandbServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        del format, args

    def _serve(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/traces")
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        self.host.paths[path] += 1
        self.host.bodies[path] += length
        body = self._parsed(raw)
        trouble = self.host.faults.strike(path, body)
        if trouble.delay_s:
            time.sleep(trouble.delay_s)
        if trouble.cut:
            self._hang_up()
        elif trouble.status:
            self._send_error_json(trouble.status, trouble.message, trouble.retry_after)
        else:
            self._answer(path, body, length, lost=trouble.lost)

    def _answer(self, path: str, body: Any, length: int, *, lost: bool) -> None:
        try:
            if not self._is_authorised():
                raise Refused(401, "no such key")  # noqa: TRY301 - answered like any other refusal
            if length > self.host.largest_body:
                raise Refused(413, "the request is too large")  # noqa: TRY301 - the same
            answer = self.host.routes.answer(path, body)
        except Refused as refused:
            self._send_error_json(refused.status, str(refused), None)
            return
        if lost:
            self._hang_up()
        elif isinstance(answer, bytes):
            self._send(200, answer, "application/octet-stream")
        elif isinstance(answer, Lines):
            self._send(
                200, b"".join(orjson.dumps(each) + b"\n" for each in answer), "application/jsonl"
            )
        else:
            self._send(200, orjson.dumps(answer), "application/json")

    def _parsed(self, raw: bytes) -> Any:
        kind = self.headers.get("Content-Type") or ""
        if kind.startswith("multipart/form-data"):
            return _form(raw, kind.partition("boundary=")[2].strip('"'))
        return orjson.loads(raw) if raw else None

    def _is_authorised(self) -> bool:
        wanted = base64.b64encode(f"api:{KEY}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def _send_error_json(self, status: int, message: str, retry_after: str | None) -> None:
        more = {"Retry-After": retry_after} if retry_after is not None else {}
        self._send(status, orjson.dumps({"detail": message}), "application/json", more)

    def _send(
        self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None
    ) -> None:
        with contextlib.suppress(OSError):  # the client was killed meanwhile
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (more or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _form(raw: bytes, boundary: str) -> dict[str, Any]:
    """The fields of a multipart form: files as bytes, others as text."""
    fields: dict[str, Any] = {}
    for part in raw.split(b"--" + boundary.encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0].decode()
        fields[name] = content if b"filename=" in head else content.decode()
    return fields


WandbServer.handler = _Handler
