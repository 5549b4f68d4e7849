"""A webhook: the message as JSON, signed when there is a key for that."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import orjson

from llmwatch.watch.channels.posting import post
from llmwatch.watch.channels.secrets import secret
from llmwatch.watch.messages import Message


@dataclass(frozen=True)
class Webhook:
    """POSTs JSON to `url`, or to the URL in the variable `url_env`. `token_env`: sent as a bearer token. `secret_env`:
    the body's HMAC-SHA256 in the header `X-Llmwatch-Signature`. `Idempotency-Key` is the message's id."""

    name: str = "webhook"
    url: str = ""
    url_env: str = ""
    token_env: str = ""
    secret_env: str = ""
    severities: tuple[str, ...] = ("P0", "P1", "P2")
    resolved: bool = False

    def send(self, message: Message) -> None:
        url = secret(self.url_env, self.name) if self.url_env else self.url
        body = orjson.dumps({"version": 1, **message.as_dict(), "incident": message.incident})
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.id}
        headers["User-Agent"] = "llmwatch"
        used = [url] if self.url_env else []
        if self.token_env:
            used.append(secret(self.token_env, self.name))
            headers["Authorization"] = f"Bearer {used[-1]}"
        if self.secret_env:
            used.append(secret(self.secret_env, self.name))
            signature = hmac.new(used[-1].encode(), body, hashlib.sha256).hexdigest()
            headers["X-Llmwatch-Signature"] = f"sha256={signature}"
        post(url, body, headers, secrets=tuple(used))
