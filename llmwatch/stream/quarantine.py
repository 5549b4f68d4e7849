"""Lines that cannot be read: kept as they were, beside the table, with what to do about them."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson

from llmwatch.store import Project, ensure
from llmwatch.stream.columns import LINE_KINDS

LONGEST_ROW = 64 << 20
"""A row is bounded far below this by capture."""
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


def readable_copy(segment: Path, directory: Path) -> Path:
    """A copy of a segment with only the lines that are ours."""
    copy = ensure(directory) / f"{segment.stem}.jsonl"
    copy.touch(mode=0o600)
    with segment.open("rb") as lines, copy.open("wb") as kept:
        kept.writelines(line for line in lines if line.endswith(b"\n") and _is_ours(line))
    return copy


def ours_only(lines: bytes) -> bytes:
    """The lines of ours among whole lines."""
    return b"".join(line for line in lines.splitlines(keepends=True) if _is_ours(line))


def _is_ours(line: bytes) -> bool:
    if len(line) > LONGEST_ROW:
        return False
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and (value.get("t") == "erased" or _is_whole(value))


def _is_whole(row: dict[str, object]) -> bool:
    known = row.get("t") in LINE_KINDS
    envelope = known and isinstance(row.get("id"), str) and isinstance(row.get("writer"), str)
    numbered = isinstance(row.get("seq"), int) and isinstance(row.get("ts"), int)
    return envelope and numbered and isinstance(row.get("data", {}), dict)
