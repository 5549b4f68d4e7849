"""Lines that cannot be read: kept as they were, beside the table, with what to do about them."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson

from llmwatch.store import Project, ensure

logger = logging.getLogger("llmwatch")


def keep_bad_lines(project: Project, table: str, segment: str) -> int:
    """Copy the unreadable lines of a segment into quarantine; returns how many there were.

    The good rows of the segment are compacted as always: nothing is lost, and nothing is guessed.
    """
    bad = [line for line in Path(segment).read_bytes().split(b"\n") if line.strip() and not _is_ours(line)]
    if not bad:
        return 0
    directory = ensure(project.quarantine(table))
    kept = directory / f"{Path(segment).stem}.bad"
    draft = kept.with_suffix(".tmp")
    draft.touch(mode=0o600)
    draft.write_bytes(b"\n".join(bad) + b"\n")
    draft.replace(kept)
    logger.warning(
        "%s: %d line(s) are not rows of llmwatch (torn or foreign). The good rows were kept and compacted; "
        "the bad lines are in %s. Look at them, then delete the file.",
        segment,
        len(bad),
        kept,
    )
    return len(bad)


def _is_ours(line: bytes) -> bool:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and (isinstance(value.get("id"), str) or value.get("t") == "erased")
