"""Whether a table has changed: a mark made from what lies on the disk, without reading a row."""

from __future__ import annotations

import os
from pathlib import Path

from llmwatch.store import EVENTS, Project
from llmwatch.stream.segments import list_segments


def mark(project: Project, table: str) -> str:
    """Another text whenever rows, events or an erasure came; compaction alone may change it too."""
    parts = [_spool(project, table), _log(project.lake(table)), _stat(project.path / "erased")]
    parts += [_spool(project, EVENTS), _log(project.lake(EVENTS))]
    return "|".join(parts)


def _spool(project: Project, table: str) -> str:
    sizes = [f"{s.writer}-{s.number}:{_size(s.path)}" for s in list_segments(project.spool(table))]
    return str(hash(tuple(sizes)))


def _log(lake: Path) -> str:
    try:
        return max(
            (
                entry.name
                for entry in os.scandir(lake / "_delta_log")
                if entry.name.endswith(".json")
            ),
            default="",
        )
    except FileNotFoundError:
        return ""


def _stat(path: Path) -> str:
    try:
        return str(path.stat().st_mtime_ns)
    except FileNotFoundError:
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
