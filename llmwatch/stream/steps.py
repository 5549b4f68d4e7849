"""Named points inside compaction, merging and erasing, so that a test can stop a process exactly there."""

from __future__ import annotations

from collections.abc import Callable

NAMES = (
    "compact.before-write",
    "compact.after-write",
    "lake.before-commit",
    "lake.after-commit",
    "compact.before-delete",
    "compact.between-deletes",
    "merge.before-write",
    "merge.after-write",
    "vacuum.between-deletes",
    "erase.journal-written",
    "erase.spool-blanked",
    "erase.lake-rewritten",
    "erase.media-removed",
)

_listener: Callable[[str], None] | None = None


def reached(name: str) -> None:
    """Tell the listener, if there is one, that a step is reached."""
    if _listener is not None:
        _listener(name)


def listen(listener: Callable[[str], None] | None) -> None:
    """Call `listener` with the name of every step from now on; None to stop."""
    global _listener
    _listener = listener
