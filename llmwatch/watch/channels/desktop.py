"""The desktop's own notifications: `notify-send` on Linux, `osascript` on macOS, on the machine that the worker is on."""

from __future__ import annotations

import html
import sys
from dataclasses import dataclass

from llmwatch.watch.channels.command import given
from llmwatch.watch.messages import Message

_SCRIPT = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)


@dataclass(frozen=True)
class Desktop:
    """Shows the message to whoever sits there."""

    name: str = "desktop"
    severities: tuple[str, ...] = ("P0", "P1", "P2")
    resolved: bool = False

    def send(self, message: Message) -> None:
        given(command(message, sys.platform), b"", {}, timeout_s=15.0)


def command(message: Message, platform: str) -> tuple[str, ...]:
    """What is run. Texts are arguments of their own, behind what ends options, and no markup."""
    title, body = message.title, "\n".join(message.lines())
    if platform == "darwin":
        script = (part for line in _SCRIPT for part in ("-e", line))
        return ("osascript", *script, title, body)
    urgency = "critical" if message.severity == "P0" else "normal"
    body = html.escape(body, quote=False)
    return ("notify-send", "--app-name=llmwatch", f"--urgency={urgency}", "--", title, body)
