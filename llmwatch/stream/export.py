"""`export`: the rows of a table as a file, for people and other tools, or exactly, for another store."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import orjson

from llmwatch.errors import StoreError
from llmwatch.store import EVENTS
from llmwatch.stream import exact
from llmwatch.stream.columns import CALL, Column, quoted
from llmwatch.stream.formats import format_of, media_beside

if TYPE_CHECKING:
    from llmwatch.stream.rows import Rows
    from llmwatch.stream.table import StreamTable

Progress = Callable[[int], None]

_COPY = {
    "csv": "FORMAT csv, HEADER",
    "csv.gz": "FORMAT csv, HEADER, COMPRESSION gzip",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
_EPOCH = datetime.fromtimestamp(0, timezone.utc)
_PLAIN = (Column("data", "VARCHAR"), Column("id", "VARCHAR"), *CALL, Column("ts", "TIMESTAMPTZ"))


@dataclass
class Exported:
    """What an export wrote."""

    path: str
    format: str
    exact: bool
    rows: int = 0
    events: int = 0
    media: int = 0
    missing_media: list[str] = field(default_factory=list)


def export(
    table: StreamTable,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - what everyone calls it
    where: str | None = None,
    exactly: bool = False,
    progress: Progress = lambda _: None,
) -> Exported:
    """Write the rows that fit `where` to `path`, oldest first; the file is private, and whole or not there.

    The format (`jsonl`, `csv`, `parquet`; `.gz` for the first two) is that of the file's ending unless given.
    `exactly=True` writes ids, times and events too, and media into a folder beside the file: `import_rows` brings
    all of it back.
    """
    path = Path(path)
    chosen = format_of(path, format)
    if exactly and not chosen.startswith("jsonl"):
        raise StoreError(f"an exact export is JSON lines, not {chosen}: name it {path.stem}.jsonl")
    rows = table.rows() if where is None else table.rows().filter(where)
    done = Exported(str(path), chosen, exactly)
    with _whole_or_not_there(path) as draft:
        if chosen in _COPY:
            done.rows = rows.copy_to(draft, _COPY[chosen], _columns(rows, chosen))
            progress(done.rows)
        else:
            with _opened(draft, chosen) as file:
                write_lines(rows, file, done, progress)
    return done


def write_lines(rows: Rows, file: IO[bytes], done: Exported, progress: Progress) -> None:
    """The rows as JSON lines, into any binary file."""
    if done.exact:
        _write_exactly(rows, file, done, progress)
        return
    columns = exact.selected(_PLAIN, "llmwatch ")
    for values in rows.stored(columns):
        file.write(_plain_line(values))
        done.rows += 1
        progress(1)


def _plain_line(values: tuple[Any, ...]) -> bytes:
    """A dict as it was logged; a call as its known columns."""
    if values[0] is not None:
        return cast("str", values[0]).encode() + b"\n"
    fields = {
        column.name: _shown(column, value)
        for column, value in zip(_PLAIN, values, strict=True)
        if value is not None
    }
    fields["timestamp"] = fields.pop("ts")
    return orjson.dumps(fields) + b"\n"


def _shown(column: Column, value: Any) -> Any:
    if column.json:
        return orjson.Fragment(value)
    if column.type == "TIMESTAMPTZ":
        return (_EPOCH + timedelta(microseconds=value)).isoformat()
    return value


def _columns(rows: Rows, format_: str) -> str | None:
    """A select list for the columns that a person sees; a CSV cannot hold bytes."""
    shown = rows.table.shown_columns()
    if not format_.startswith("csv"):
        return None
    return ", ".join(
        (f"to_base64({quoted(sql)})" if sql == "llmwatch embedding" else quoted(sql))
        + f" AS {quoted(name)}"
        for name, sql in shown.items()
    )


# --- exactly -----------------------------------------------------------------------------


def _write_exactly(rows: Rows, file: IO[bytes], done: Exported, progress: Progress) -> None:
    table, media = rows.table, set[str]()
    file.write(exact.head(f"{table.project.id}/{table.name}"))
    ids = set[str]() if rows.conditions else None
    for values in rows.stored(exact.selected(exact.ROW_COLUMNS, "llmwatch ")):
        line = exact.line("row", exact.ROW_COLUMNS, values)
        media |= exact.media_named(line)
        file.write(line)
        if ids is not None:
            ids.add(values[0])
        done.rows += 1
        progress(1)
    for line in _events(table, ids):
        media |= exact.media_named(line)
        file.write(line)
        done.events += 1
    file.write(exact.end(done.rows, done.events))
    _copy_media(table, media, done)


def _events(table: StreamTable, ids: set[str] | None) -> Iterator[bytes]:
    """What was said about the rows of the table (or about `ids`), what was taken back of it included."""
    events, about = f"main.{quoted(EVENTS)}", f"main.{quoted(table.name)}"
    if ids is None:
        condition, params = f'"table" = ? OR row_id IN (SELECT id FROM {about})', [table.name]
    else:
        condition, params = "row_id IN (SELECT unnest(?::VARCHAR[]))", [sorted(ids)]  # type: ignore[list-item]
    said = f"SELECT id FROM {events} WHERE {condition}"
    sql = (
        f"WITH said AS ({said}) SELECT {exact.selected(exact.EVENT_COLUMNS)} FROM {events} "
        "WHERE id IN (FROM said) OR deletes IN (FROM said) OR replaces IN (FROM said) ORDER BY ts, writer, seq"
    )
    for values in table.reader.stream(sql, params, [table.name, EVENTS]):
        yield exact.line("event", exact.EVENT_COLUMNS, values)


def _copy_media(table: StreamTable, names: set[str], done: Exported) -> None:
    beside = media_beside(Path(done.path))
    for name in sorted(names):
        source, target = table.project.media / name, beside / name
        if not source.is_file():
            done.missing_media.append(name)
            continue
        if not target.is_file() or target.stat().st_size != source.stat().st_size:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o600)
        done.media += 1


# --- the file ----------------------------------------------------------------------------


@contextmanager
def _whole_or_not_there(path: Path) -> Iterator[Path]:
    """A private draft that takes the file's place when all went well."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        yield draft
        draft.chmod(0o600)
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path, format_: str) -> Iterator[IO[bytes]]:
    with path.open("wb") as raw:
        if format_.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed:
                yield cast("IO[bytes]", packed)
        else:
            yield raw
