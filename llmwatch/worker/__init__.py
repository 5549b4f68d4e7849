"""The background half: one process per store that makes rows durable, compacts and applies retention.

This package is imported by the process that records, so only what starts a worker is loaded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch.worker.spawn import ensure_running

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Store

__all__ = ["ensure_running", "run"]


def run(store: Store, settings: Settings, once: bool = False) -> bool:
    """Be the worker of `store` in this process, until told to stop; False when another one is.

    `once` does everything that is due one time and returns. Without it, this goes on while idle too:
    only the worker that was started on demand exits by itself.
    """
    from llmwatch.worker.loop import work

    return work(store, settings, once=once, idle_s=None)
