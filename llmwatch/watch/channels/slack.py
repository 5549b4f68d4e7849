"""Slack, by an incoming webhook, whose URL is a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from llmwatch.watch.channels.posting import post
from llmwatch.watch.channels.secrets import secret
from llmwatch.watch.messages import Message

_MOST_TEXT = 2900  # Slack refuses a block of more than 3,000 characters


@dataclass(frozen=True)
class Slack:
    """Posts to the incoming webhook in the variable `url_env`."""

    name: str = "slack"
    url_env: str = "LLMWATCH_SLACK_URL"
    severities: tuple[str, ...] = ("P0", "P1", "P2")
    resolved: bool = False

    def send(self, message: Message) -> None:
        url = secret(self.url_env, self.name)
        body = orjson.dumps(payload(message))
        post(url, body, {"Content-Type": "application/json"}, secrets=(url,))


def payload(message: Message) -> dict[str, Any]:
    """The message as Slack takes it. Plain text: nothing in it can mention a channel, or be a link that says another."""
    return {
        "text": escaped(
            message.title
        ),  # what a phone's notification shows; the one part that is marked up
        "blocks": [
            {"type": "header", "text": _plain(message.title[:149])},
            {"type": "section", "text": _plain("\n".join(message.lines())[:_MOST_TEXT])},
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escaped(text: str) -> str:
    """Slack's own three escapes: without `<` there are no links and no mentions.

    >>> escaped("<!channel> & co")
    '&lt;!channel&gt; &amp; co'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text or "-", "emoji": False}
