"""One POST: a deadline, no redirects (a message goes where it was sent), and errors that say what may be tried again."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llmwatch.watch.channels.protocol import TIMEOUT_S, Undelivered
from llmwatch.watch.channels.secrets import without
from llmwatch.watch.wording import one_line

_FINAL = {400, 401, 403, 404, 405, 410, 413, 415, 422}
_MOST_ANSWER = 4096


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def check_url(url: str) -> str:
    """The URL, if messages can go there."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a URL begins with https:// or http:// and names a host")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("a URL holds no spaces or control characters")
    return url


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, secrets: tuple[str, ...] = ()
) -> None:
    """Send a body; `Undelivered` unless the answer is a 2xx."""
    try:
        check_url(url)
        request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310 - checked above
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            answer.read(_MOST_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(300).decode("utf-8", "replace")
        told = without(f"HTTP {error.code}: {one_line(said, 200)}", *secrets)
        raise Undelivered(told, final=error.code in _FINAL or 300 <= error.code < 400) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        told = without(one_line(f"{type(error).__name__}: {error}", 300), url, *secrets)
        raise Undelivered(told, final=isinstance(error, ValueError)) from None
