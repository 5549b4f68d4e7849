"""Whether a table has changed: a mark made from what lies on the disk, without reading a row."""

from __future__ import annotations

from pathlib import Path

from llmwatch.store import EVENTS, Project
from llmwatch.stream import marks


def mark(project: Project, table: str) -> str:
    """Another text whenever rows, events or an erasure came; compaction alone may change it too."""
    parts = [marks.mark(project, table), marks.mark(project, EVENTS), _stat(project.path / "erased")]
    return "|".join(str(part) for part in parts)


def _stat(path: Path) -> str:
    try:
        return str(path.stat().st_mtime_ns)
    except FileNotFoundError:
        return ""
