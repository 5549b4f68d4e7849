"""Which media files rows refer to, and removal of those that none does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.store import EVENTS, Project

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

NAME = r"[0-9a-f]{2}/[0-9a-f]{64}\.[A-Za-z0-9]+"
"""How a row names a media file; see `llmwatch.capture`."""
YOUNG_S = 3600.0
"""A file this young may belong to a row that is about to be written."""
_COLUMNS = {False: ("inputs", "output", "attributes", "summary", "data"), True: ("value", "attributes")}


def referenced(reader: Reader, table: str, where: str = "true", params: Iterable[str] = ()) -> set[str]:
    """The media that the rows of a table which fit `where` name."""
    found: set[str] = set()
    for column in _COLUMNS[table == EVENTS]:
        rows = reader.execute(
            f"SELECT DISTINCT unnest(regexp_extract_all({column}, '{NAME}')) "
            f'FROM main."{table}" WHERE ({where}) AND contains({column}, \'"file"\')',
            [*params],
            tables=[table],
        ).rows
        found.update(row[0] for row in rows)
    return found


def remove_unreferenced(project: Project) -> int:
    """Delete media that no row or event names any more; returns how many files."""
    from llmwatch.stream.query import Reader

    files = list(_files(project.media))
    if not files:
        return 0
    reader = Reader(project)
    try:
        named = set[str]().union(*(referenced(reader, table) for table in project.all_tables()))
    finally:
        reader.close()
    removed = 0
    for path in files:
        if str(path.relative_to(project.media)) not in named and time.time() - path.stat().st_mtime > YOUNG_S:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _files(directory: Path) -> Iterator[Path]:
    yield from (path for path in directory.glob("??/*") if path.is_file())
