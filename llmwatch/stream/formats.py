"""The formats that rows are moved in and out in, and which one a file is in."""

from __future__ import annotations

from pathlib import Path

from llmwatch.errors import StoreError

FORMATS = ("jsonl", "jsonl.gz", "csv", "csv.gz", "parquet")
_ALSO = {"ndjson": "jsonl", "ndjson.gz": "jsonl.gz", "pq": "parquet"}


def format_of(path: Path, given: str | None = None) -> str:
    """The format by name or by the file's ending.

    >>> format_of(Path("rows.JSONL.gz"))
    'jsonl.gz'
    """
    if given in FORMATS:
        return given
    name = path.name.lower()
    for ending in (*FORMATS, *_ALSO):
        if given is None and name.endswith(f".{ending}"):
            return _ALSO.get(ending, ending)
    said = f"{given!r} is no format" if given else f"the ending of {path.name!r} names no format"
    raise StoreError(f"{said}; there are: {', '.join(FORMATS)}")


def media_beside(path: Path) -> Path:
    """The folder for the media of an exact export: `rows.media` beside `rows.jsonl.gz`."""
    name = path.name
    for ending in (".gz", ".jsonl", ".ndjson"):
        name = name.removesuffix(ending)
    return path.with_name(f"{name}.media")
