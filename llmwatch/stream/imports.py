"""`import_rows`: a file's records into a table, through the spool like everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from llmwatch import capture, settings
from llmwatch.capture import files
from llmwatch.errors import StoreError
from llmwatch.store import EVENTS
from llmwatch.stream import exact, records
from llmwatch.stream.columns import quoted
from llmwatch.stream.formats import format_of, media_beside
from llmwatch.stream.records import Bad
from llmwatch.stream.replay import Replay

if TYPE_CHECKING:
    from llmwatch.stream.table import StreamTable

Progress = Callable[[int], None]

MOST_TOLD = 1000
"""Records left out that a report tells one by one; the others are counted."""
_BATCH = 5000
_BATCH_BYTES = 16 << 20


@dataclass
class Imported:
    """What an import did, and what it left out and why."""

    path: str
    exact: bool = False
    rows: int = 0
    events: int = 0
    present: int = 0
    media: int = 0
    missing_media: int = 0
    oldest_us: int | None = None
    left_out: int = 0
    whole: bool = True
    told: list[tuple[int, str]] = field(default_factory=list)

    def leave_out(self, line: int, why: str) -> None:
        self.left_out += 1
        if len(self.told) < MOST_TOLD:
            self.told.append((line, why))

    @property
    def complete(self) -> bool:
        return self.whole and not self.left_out


def import_rows(
    table: StreamTable,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - what everyone calls it
    text: bool = False,
    progress: Progress = lambda _: None,
) -> Imported:
    """Log each record of a file as a dict row; bring an exact export back as it was, ids that are there left alone.

    A record that cannot be used is left out and told with its line; the others are kept. `text=True` keeps the
    values of a CSV as text.
    """
    path = Path(path)
    chosen = format_of(path, format)
    if not path.is_file():
        raise StoreError(f"there is no file {path}")
    done = Imported(str(path))
    if chosen.startswith("jsonl"):
        with records.opened(path) as file:
            import_lines(table, file, done, progress)
    elif chosen.startswith("csv"):
        _log(table, records.csv_records(path, text=text), done, progress)
    else:
        _log(table, records.parquet_records(path), done, progress)
    return done


def import_lines(table: StreamTable, file: IO[bytes], done: Imported, progress: Progress) -> None:
    """JSON lines from any binary file that can look ahead or seek."""
    first = next(records.lines(file), (0, b""))[1]
    file.seek(0)
    if isinstance(first, bytes) and exact.is_head(first):
        done.exact = True
        _Exact(table, done, progress).run(file)
    else:
        media = table.project.media
        decoded = (
            (number, record if isinstance(record, Bad) else capture.decode(record, media=media))
            for number, record in records.json_records(file)
        )
        _log(table, decoded, done, progress)


def _log(table: StreamTable, numbered: records.Numbered, done: Imported, progress: Progress) -> None:
    for number, record in numbered:
        if isinstance(record, Bad):
            done.leave_out(number, record.why)
        elif table.add(record) is None:
            done.leave_out(number, "it could not be written to the store")
        else:
            done.rows += 1
        progress(1)


# --- an exact export ---------------------------------------------------------------------

_Line = tuple[int, str, dict[str, Any], bytes]


class _Exact:
    """Brings an exact export back: what has an id that is there already is left alone, so a second time does nothing."""

    def __init__(self, table: StreamTable, done: Imported, progress: Progress) -> None:
        self._table, self._done, self._progress = table, done, progress
        now = settings.current()
        self._replays = {
            "row": Replay(table.project, table.name, now),
            "event": Replay(table.project, EVENTS, now),
        }
        self._tables = {"row": table.name, "event": EVENTS}
        self._beside = media_beside(Path(done.path))
        self._media_seen = set[str]()

    def run(self, file: IO[bytes]) -> None:
        try:
            for batch in _batches(self._checked(file)):
                self._write(batch)
        finally:
            for replay in self._replays.values():
                replay.close()
            self._done.oldest_us = self._replays["row"].oldest

    def _checked(self, file: IO[bytes]) -> Iterator[_Line]:
        open_ = False
        for number, line in records.lines(file):
            value = records.parsed(line)
            if isinstance(value, dict) and (exact.HEAD in value or exact.END in value):
                self._done.whole &= not (open_ and exact.HEAD in value)
                open_ = exact.HEAD in value
                self._check_version(value)
                continue
            try:
                kind, fields = exact.checked(value)
            except exact.NotExact as why:
                self._left_out(number, value.why if isinstance(value, Bad) else str(why))
                continue
            assert isinstance(line, bytes)
            yield number, kind, fields, line
        self._done.whole &= not open_

    def _check_version(self, head: dict[str, Any]) -> None:
        version = head.get(exact.HEAD, exact.VERSION)
        if version != exact.VERSION:
            raise StoreError(
                f"{self._done.path} is an exact export of version {version!r}; this llmwatch reads "
                f"{exact.VERSION}. Update llmwatch"
            )

    def _left_out(self, number: int, why: str) -> None:
        self._done.leave_out(number, why)
        self._progress(1)

    def _write(self, batch: list[_Line]) -> None:
        there = {
            kind: self._present(kind, [line[2]["id"] for line in batch if line[1] == kind])
            for kind in self._replays
        }
        for number, kind, fields, line in batch:
            if fields["id"] in there[kind]:
                self._done.present += 1
                self._progress(1)
                continue
            there[kind].add(fields["id"])
            self._bring_media(line)
            self._append(number, kind, fields)

    def _append(self, number: int, kind: str, fields: dict[str, Any]) -> None:
        if kind == "event" and fields.get("table"):
            fields["table"] = self._table.name
        if not self._replays[kind].append(kind, exact.body(fields), fields["ts"]):
            self._left_out(number, "it could not be written to the store")
            return
        if kind == "row":
            self._done.rows += 1
        else:
            self._done.events += 1
        self._progress(1)

    def _present(self, kind: str, ids: list[str]) -> set[str]:
        if not ids:
            return set()
        table = self._tables[kind]
        sql = f"SELECT id FROM main.{quoted(table)} WHERE id IN (SELECT unnest(?::VARCHAR[]))"
        return {row[0] for row in self._table.reader.execute(sql, [ids], [table]).rows}

    def _bring_media(self, line: bytes) -> None:
        """Before the row that names it, so that no reader misses it."""
        media = self._table.project.media
        for name in exact.media_named(line) - self._media_seen:
            self._media_seen.add(name)
            if files.find(media, name):
                continue
            source = files.find(self._beside, name)
            kept = source and files.keep(media, source.read_bytes(), source.suffix)
            if kept and kept.get("file") == name:
                self._done.media += 1
            else:
                self._done.missing_media += 1


def _batches(lines: Iterator[_Line]) -> Iterator[list[_Line]]:
    batch, size = list[_Line](), 0
    for line in lines:
        batch.append(line)
        size += len(line[3])
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
