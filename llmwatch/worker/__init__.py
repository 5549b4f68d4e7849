"""The background half: one process per store that compacts, merges and applies retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Store


def ensure_running(store: Store, settings: Settings) -> None:
    """Start the store's worker unless one runs."""
