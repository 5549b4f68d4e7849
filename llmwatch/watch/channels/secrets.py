"""Secrets of channels: read from the environment when a message is sent, never kept, never in what is said of a failure."""

from __future__ import annotations

import os

from llmwatch.watch.channels.protocol import Undelivered


def secret(variable: str, channel: str) -> str:
    """The value of an environment variable of the process that sends."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise Undelivered(f"channel {channel} needs the environment variable {variable}")
    if any(not character.isprintable() for character in value):
        raise Undelivered(f"the environment variable {variable} holds control characters")
    return value


def without(text: str, *secrets: str) -> str:
    """A text with every secret in it blanked out."""
    for one in secrets:
        if one:
            text = text.replace(one, "***")
    return text
