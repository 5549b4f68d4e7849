"""What stands before every web application of ours: who may ask, from which page, and how much they may send.

A server on loopback is reachable by every web page that the person opens. Three checks keep those
out: the Host header must name us (a foreign name that was made to resolve to 127.0.0.1 does not), a
write must come from a page of ours or from no page at all, and no answer allows another origin to
read it. Off loopback there is a token, always.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import json
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from llmwatch.errors import SettingsError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_BODY = 256 << 20
"""Bytes of a request's body, unless said otherwise: a row's fields are cut well below it."""
TOKEN_LENGTH = 40
"""What W&B's clients take for an API key without a word."""
SHORTEST_TOKEN = 16

DATA_CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For answers that are data: nothing in them may run or load, should a browser show one."""
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""For a page of ours: only files of ours, no inline script or style, no other host."""

_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_PAGES = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of a page of ours, and of what the person typed."""
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def guarded(
    app: App,
    *,
    hosts: Collection[str] | None = LOOPBACK,
    token: str | None = None,
    max_body: int = MAX_BODY,
    csp: str = DATA_CSP,
) -> App:
    """`app` behind the checks.

    `hosts` are the names that the server goes by (without a port); None lets any name through. Unless
    all of them are loopback, there has to be a `token`, which is then asked of every request, as a
    bearer or as the password of basic authentication. Headers that `app` sets itself stay.
    """
    if token is None and (hosts is None or not all(map(is_loopback, hosts))):
        raise SettingsError("a server that is not on loopback only needs a token")
    if token is not None:
        check_token(token)
    return _Guard(app, hosts=hosts, token=token, max_body=max_body, csp=csp)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host (a name or an address)."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def hosts_for(bind: str, also: Iterable[str] = ()) -> frozenset[str] | None:
    """The names of a server that listens on `bind`; None when they cannot be known."""
    also = frozenset(name.lower() for name in also)
    if is_loopback(bind):
        return LOOPBACK | {bind.strip("[]").lower()} | also
    if bind.strip("[]") in {"", "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return LOOPBACK | also if also else None
    return LOOPBACK | {bind.strip("[]").lower()} | also


def new_token() -> str:
    return secrets.token_hex(TOKEN_LENGTH // 2)


def check_token(token: str) -> str:
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()):
        raise SettingsError(
            f"a token has at least {SHORTEST_TOKEN} printable ASCII characters; "
            f"W&B's clients want {TOKEN_LENGTH}"
        )
    return token


class _Guard:
    def __init__(
        self, app: App, *, hosts: Collection[str] | None, token: str | None, max_body: int, csp: str
    ) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(name.lower() for name in hosts)
        self._token = None if token is None else token.encode()
        self._max_body = max_body
        self._headers = {**_HEADERS, b"content-security-policy": csp.encode()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
            return
        answer = _Answer(send, self._headers)
        if refusal is not None:
            await answer.refuse(refusal)
            return
        body = _Body(receive, self._max_body, answer)
        try:
            await self._app(scope, body.receive, answer.send)
        except TooLarge:
            return

    def _refusal(self, scope: Scope) -> _Refusal | None:
        headers = _Headers(scope)
        return (
            self._of_host(headers)
            or self._of_origin(scope, headers)
            or self._of_token(headers)
            or self._of_length(headers)
        )

    def _of_host(self, headers: _Headers) -> _Refusal | None:
        hosts = headers.all(b"host")
        if len(hosts) != 1:
            return _Refusal(400, "a request names one host")
        if self._hosts is None or _name(hosts[0]) in self._hosts:
            return None
        return _Refusal(
            421, "this server does not go by that name; `--allow-host NAME` adds a name to it"
        )

    def _of_origin(self, scope: Scope, headers: _Headers) -> _Refusal | None:
        if scope["type"] == "http" and scope["method"] in _READS:
            return None
        origin, site = headers.one(b"origin"), headers.one(b"sec-fetch-site")
        ours = origin is None or _is_at(origin, headers.one(b"host") or "")
        if ours and (site is None or site in _OWN_PAGES):
            return None
        return _Refusal(403, "a page of another site may not write here")

    def _of_token(self, headers: _Headers) -> _Refusal | None:
        if self._token is None:
            return None
        given = headers.all(b"authorization")
        if len(given) == 1 and hmac.compare_digest(_secret(given[0]), self._token):
            return None
        return _Refusal(
            401,
            "the token that the server printed is needed: as a bearer, or as the password of basic "
            "authentication",
            ((b"www-authenticate", b'Basic realm="llmwatch", charset="UTF-8"'),),
        )

    def _of_length(self, headers: _Headers) -> _Refusal | None:
        length = headers.one(b"content-length")
        if length is None:
            return None
        if not (length.isascii() and length.isdigit()):
            return _Refusal(400, "Content-Length is a number")
        return too_large(self._max_body) if int(length[:20]) > self._max_body else None


class _Refusal:
    def __init__(
        self, status: int, reason: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        self.status, self.reason, self.headers = status, reason, headers


def too_large(limit: int) -> _Refusal:
    return _Refusal(413, f"the body is larger than {limit} bytes")


class TooLarge(Exception):
    """Ends an application that reads on after its request was refused."""


class _Answer:
    """Sends what the application answers, with our headers; nothing after a refusal."""

    def __init__(self, send: Send, headers: dict[bytes, bytes]) -> None:
        self._send, self._headers = send, headers
        self._begun = self._refused = False

    async def send(self, message: Message) -> None:
        if self._refused:
            return
        if message["type"] == "http.response.start":
            self._begun = True
            message = {**message, "headers": self._completed(message.get("headers", ()))}
        await self._send(message)

    async def refuse(self, refusal: _Refusal) -> None:
        if not self._begun:
            content = json.dumps({"reason": refusal.reason}).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(content)).encode()),
                (b"connection", b"close"),
                *refusal.headers,
            ]
            start = {"type": "http.response.start", "status": refusal.status, "headers": headers}
            await self.send(start)
            await self.send({"type": "http.response.body", "body": content})
        self._refused = True

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        given = [(bytes(name).lower(), value) for name, value in headers]
        names = {name for name, _ in given}
        return given + [(name, value) for name, value in self._headers.items() if name not in names]


class _Body:
    """A request's body, counted as it comes: one without a length, or with a wrong one, is cut off too."""

    def __init__(self, receive: Receive, limit: int, answer: _Answer) -> None:
        self._receive, self._limit, self._answer = receive, limit, answer
        self._read = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._limit:
                await self._answer.refuse(too_large(self._limit))
                raise TooLarge
        return message


class _Headers:
    def __init__(self, scope: Scope) -> None:
        self._headers: Iterable[tuple[bytes, bytes]] = scope["headers"]

    def all(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self._headers if key.lower() == name]

    def one(self, name: bytes) -> str | None:
        """The value of a header; of one that is sent twice, both, which passes no check."""
        found = self.all(name)
        return ", ".join(found) if found else None


def _name(host: str) -> str:
    """The host without its port."""
    return _split(f"//{host}")[0]


def _is_at(origin: str, host: str) -> bool:
    """Whether an origin is the host that was asked, default ports left out or not."""
    scheme = origin.partition("://")[0]
    default = _PORTS.get(scheme)
    there, here = _split(origin), _split(f"//{host}")
    return bool(there[0]) and (there[0], there[1] or default) == (here[0], here[1] or default)


def _split(url: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "", None


def _secret(authorization: str) -> bytes:
    """The token in an Authorization header."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode("latin-1")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
