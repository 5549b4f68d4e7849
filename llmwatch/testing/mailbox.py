"""Where alerts arrive in tests: an SMTP server and a receiver of webhooks, on this machine, in threads."""

from __future__ import annotations

import email
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Mailbox:
    """An SMTP server. `failing`: so many messages are turned away first, as a busy server does."""

    host: str = "127.0.0.1"
    port: int = 0
    failing: int = 0
    raw: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    @property
    def messages(self) -> list[EmailMessage]:
        return [email.message_from_bytes(one, policy=default) for one in self.raw]


@dataclass
class Request:
    """A POST that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server. `failing`: so many requests are answered with `status` first."""

    url: str = ""
    failing: int = 0
    status: int = 503
    location: str = ""
    requests: list[Request] = field(default_factory=list)
    refused: int = 0


@contextmanager
def mailbox(*, failing: int = 0) -> Iterator[Mailbox]:
    """An SMTP server that takes all mail and delivers none.

    >>> import smtplib
    >>> with mailbox() as box, smtplib.SMTP(box.host, box.port) as smtp:
    ...     _ = smtp.sendmail("a@example.org", ["b@example.org"], "Subject: hi")
    >>> box.messages[0]["Subject"]
    'hi'
    """
    box = Mailbox(failing=failing)

    class Session(_Smtp):
        into = box

    with _serving(socketserver.ThreadingTCPServer((box.host, 0), Session)) as port:
        box.port = port
        yield box


@contextmanager
def receiver(*, failing: int = 0, status: int = 503, location: str = "") -> Iterator[Receiver]:
    """An HTTP server that keeps what is posted to it."""
    there = Receiver(failing=failing, status=status, location=location)

    class Posted(_Http):
        into = there

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Posted)) as port:
        there.url = f"http://127.0.0.1:{port}/hook"
        yield there


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    # daemon threads: a client that never closes must not keep the test
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Smtp(socketserver.StreamRequestHandler):
    into: Mailbox

    def handle(self) -> None:
        self._say("220 llmwatch.testing")
        recipients: list[str] = []
        while line := self.rfile.readline():
            word = line.strip().split(b" ")[0].upper()
            if word == b"QUIT":
                self._say("221 bye")
                return
            if word == b"RCPT":
                recipients.append(line.partition(b":")[2].strip().decode("ascii", "replace"))
            if word == b"DATA":
                self._take(recipients)
                recipients = []
            else:
                self._say("250 llmwatch.testing")

    def _take(self, recipients: list[str]) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        if self.into.failing > 0:
            self.into.failing -= 1
            self._say("451 try again later")
            return
        self.into.raw.append(b"".join(lines))
        self.into.recipients.append(recipients)
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode("ascii") + b"\r\n")


class _Http(BaseHTTPRequestHandler):
    into: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.into.failing > 0:
            self.into.failing -= 1
            self.into.refused += 1
            self._answer(self.into.status)
            return
        self.into.requests.append(Request(self.path, dict(self.headers), body))
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if self.into.location:
            self.send_header("Location", self.into.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass
