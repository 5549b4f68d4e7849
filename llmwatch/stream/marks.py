"""Whether a table has changed: told from what lies on the disk, without reading a row."""

from __future__ import annotations

import os
from pathlib import Path

from llmwatch.store import Project
from llmwatch.stream.segments import list_segments

Mark = tuple[tuple[str, int], ...]


def mark(project: Project, table: str) -> Mark:
    """Another value whenever a line was written, by whatever process; compaction alone changes it too."""
    segments = list_segments(project.spool(table))
    sizes = [(segment.path.name, segment.size()) for segment in segments]
    return (*sizes, (_newest_commit(project.lake(table)), 0))


def _newest_commit(lake: Path) -> str:
    try:
        with os.scandir(lake / "_delta_log") as entries:
            return max(
                (entry.name for entry in entries if entry.name.endswith(".json")), default=""
            )
    except (FileNotFoundError, NotADirectoryError):
        return ""
