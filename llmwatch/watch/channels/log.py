"""The log: the channel that there always is."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from llmwatch.watch.messages import Message

logger = logging.getLogger("llmwatch.watch")


@dataclass(frozen=True)
class Log:
    """Logs messages under `llmwatch.watch`: in the worker, into the store's `worker.log`."""

    name: str = "log"
    severities: tuple[str, ...] = ("P0", "P1", "P2")
    resolved: bool = True

    def send(self, message: Message) -> None:
        level = logging.INFO if message.kind == "resolved" else logging.WARNING
        logger.log(level, "%s", " | ".join([message.title, *message.lines()]))
