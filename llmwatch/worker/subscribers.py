"""What the worker does: each subscriber reads what is recorded and does one thing with it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Store

# In the order they are given their turn. A capability joins by adding its line here.
SUBSCRIBERS = (
    "llmwatch.worker.compaction:Compaction",
    "llmwatch.worker.compaction:Retention",
    "llmwatch.scoring.subscriber:Scoring",
    "llmwatch.drift.watching:Watching",
    "llmwatch.drift.scheduled:Scheduled",
    "llmwatch.forward.subscriber:Forwarding",
    "llmwatch.watch.sinks.recording:Recording",
    "llmwatch.watch.subscriber:Watch",
    "llmwatch.watch.alerting:Alerting",
    "llmwatch.watch.sinks.wandb_sink:WandbSink",
)


class Subscriber(Protocol):
    """Something that the worker gives a turn about once a second.

    One that works beside its turns may also have `stop()`, and `finish(store, settings)` for a worker that runs once.
    """

    name: str

    def tick(self, store: Store, settings: Settings) -> bool:
        """Do what is due, quickly when nothing is; True when there was something to do.

        What it raises is logged and it gets its next turn later: others are not held up.
        """
        ...


def load(where: str) -> Subscriber:
    """The subscriber at `module:Class`, made anew."""
    module, _, name = where.partition(":")
    subscriber: Subscriber = getattr(import_module(module), name)()
    return subscriber
