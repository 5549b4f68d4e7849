"""Whether a table has changed: a mark made from what lies on the disk, without reading a row."""

from __future__ import annotations

import hashlib
from pathlib import Path

from llmwatch.store import EVENTS, Project
from llmwatch.stream import marks


def mark(project: Project, table: str) -> str:
    """Another text whenever rows, events or an erasure came; compaction alone may change it too.

    Short however many segments there are, as pages have it in an address.
    """
    parts = [marks.mark(project, table), marks.mark(project, EVENTS), _stat(project.path / "erased")]
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def _stat(path: Path) -> str:
    try:
        return str(path.stat().st_mtime_ns)
    except FileNotFoundError:
        return ""
