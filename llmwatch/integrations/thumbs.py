"""Where a thumbs button posts to: feedback on a row, from people who are strangers to the store.

POST /feedback  {"row_id": "...", "reaction": "up"}                  201 {"id": "..."}
POST /feedback  {"row_id": "...", "note": "wrong year", "replaces": "the id of an earlier answer"}
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from llmwatch.errors import LlmwatchError, SettingsError
from llmwatch.integrations.asgi import Receive, Scope, Send, Who, header, whose
from llmwatch.remarks import say
from llmwatch.tracing import recorder

KINDS = ("reaction", "note", "stars", "correction")
LARGEST = 16 << 10
LONGEST = 4_000
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Thumbs:
    """An ASGI application that takes feedback and tells nothing.

    kinds: what may be said: of `reaction`, `note`, `stars`, `correction`; the first two unless given.
    user: whose feedback it is: a header's name, or a function of a Starlette `HTTPConnection`. Else it is a `visitor`'s.
    origins: pages of other origins that may post (`https://shop.example`); pages of this one always may.
    most_per_minute: what comes faster, from all together, is refused (429).
    """

    def __init__(
        self,
        *,
        kinds: Iterable[str] = ("reaction", "note"),
        user: Who = None,
        origins: Iterable[str] = (),
        most_per_minute: int = 600,
    ) -> None:
        self._kinds = tuple(kinds)
        if not self._kinds or set(self._kinds) - set(KINDS):
            raise SettingsError(f"kinds are some of {', '.join(KINDS)}, not {self._kinds!r}")
        self._user, self._origins = user, frozenset(origins)
        self._rate = _Rate(most_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            self._check(scope)
            asked = _parsed(await _body(receive))
            status, answer = 201, {"id": await asyncio.to_thread(self._say, scope, asked)}
        except _Refused as refused:
            status, answer = refused.status, {"reason": str(refused)}
        except LlmwatchError as error:
            wrong = isinstance(error, (ValueError, KeyError))
            status = 422 if wrong else 503
            answer = {"reason": str(error) if wrong else "feedback cannot be kept at the moment"}
        await _answer(send, status, answer)

    def _check(self, scope: Scope) -> None:
        if scope["method"] != "POST":
            raise _Refused(405, "feedback is posted")
        kind = (header(scope, "content-type") or "").partition(";")[0].strip().lower()
        if (
            kind != "application/json"
        ):  # what a form of another page can send without asking first is not
            raise _Refused(415, "feedback is application/json")
        origin = header(scope, "origin")
        if origin is not None and origin not in self._origins and not _is_own(origin, scope):
            raise _Refused(403, "this page may not post feedback here")
        if not self._rate.allows():
            raise _Refused(429, "too much feedback at once")

    def _say(self, scope: Scope, asked: dict[str, Any]) -> str:
        active = recorder.active()
        if active is None:
            raise _Refused(503, "nothing is recorded here: llmwatch.init() was not called")
        row_id, said = asked.get("row_id"), [kind for kind in self._kinds if kind in asked]
        if not isinstance(row_id, str) or not _ID.fullmatch(row_id):
            raise _Refused(422, "row_id is the id of a row")
        if len(said) != 1:
            raise _Refused(422, f"say one of {', '.join(self._kinds)}")
        value = asked[said[0]]
        if isinstance(value, str) and len(value) > LONGEST:
            raise _Refused(422, f"{said[0]} has at most {LONGEST} characters")
        who = whose(self._user, scope) or "visitor"
        before = asked.get("replaces")
        if before is not None:
            _check_replaced(active.project, row_id, before, who)
        return say.said(
            active.project, row_id, said[0], value, creator=who[:200], replaces=before, via="app"
        )


class _Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Rate:
    """A bucket that fills evenly and holds what a minute allows."""

    def __init__(self, per_minute: float) -> None:
        self._most = self._left = float(per_minute)
        self._at = time.monotonic()

    def allows(self) -> bool:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._most / 60)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _check_replaced(project: Any, row_id: str, before: Any, who: str) -> None:
    """Only one's own feedback on this row, said here, can be replaced."""
    for event in say.history_in(project, row_id):
        if event["id"] == before and event["kind"] == "feedback" and event["creator"] == who:
            if event["state"] != "live":
                raise _Refused(409, "this feedback was replaced already")
            return
    raise _Refused(404, "there is no such feedback of yours")


def _is_own(origin: str, scope: Scope) -> bool:
    host = header(scope, "host") or ""
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(400, "the body did not come")
        body += bytes(message.get("body", b""))
        if len(body) > LARGEST:
            raise _Refused(413, f"feedback has at most {LARGEST} bytes")
        if not message.get("more_body"):
            return body


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _Refused(422, "the body is not JSON") from error
    if not isinstance(found, dict):
        raise _Refused(422, "the body is a JSON object")
    return found


async def _answer(send: Send, status: int, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
