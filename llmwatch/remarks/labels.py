"""Labels from a CSV, Parquet or JSON lines file, joined to rows by a key, with a report of what matched and what did not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.errors import LlmwatchError, NotFound, StoreError
from llmwatch.remarks import keys
from llmwatch.remarks.kinds import label_name
from llmwatch.store import EVENTS, open_store
from llmwatch.stream import events, records
from llmwatch.stream.formats import format_of
from llmwatch.stream.records import Bad

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

MOST_TOLD = 1000
"""Records that a report tells one by one; the others are counted."""
BATCH = 200_000
Progress = Callable[[int], None]


@dataclass
class LabelsImported:
    """What an import of labels did: every record of the file is in exactly one of the counts down to `bad`."""

    path: str
    table: str
    key: str
    records: int = 0
    matched: int = 0
    no_row: int = 0
    several_rows: int = 0
    no_key: int = 0
    no_labels: int = 0
    bad: int = 0
    labels: int = 0
    """Labels written."""
    there_already: int = 0
    """Labels that the rows had with the same value."""
    repeated_keys: int = 0
    """Matched records whose key was in the file before: the last one holds."""
    told: list[tuple[int, str]] = field(default_factory=list)
    """Line (record, in Parquet) and reason of records that were left out."""

    def leave_out(self, line: int, what: str, why: str) -> None:
        setattr(self, what, getattr(self, what) + 1)
        if len(self.told) < MOST_TOLD:
            self.told.append((line, why))

    @property
    def left_out(self) -> int:
        return self.records - self.matched


@dataclass(frozen=True)
class _Record:
    line: int
    key: str
    labels: Mapping[str, Any]


def import_labels(
    path: str | Path,
    *,
    key: str,
    table: str = "traces",
    labels: Sequence[str] | None = None,
    prefix: str = "",
    creator: str | None = None,
    format: str | None = None,  # noqa: A002 - what everyone calls it
    store: str | Path | None = None,
    progress: Progress = lambda _: None,
) -> LabelsImported:
    """Label the rows of a table by a file whose records have the key of a row and its labels.

    key: a column, or a key of the rows' data, attributes, inputs or output; the file has it by the same name.
    labels: the columns that are labels (all but the key, unless given). An empty value (or NaN) is no label.
    A second import of the same file writes nothing.
    """
    from llmwatch.names import parse_table

    name = parse_table(table)
    project = open_store(store).project(name.entity, name.project)
    if name.table not in project.tables():
        raise NotFound(f"there is no table {name} in {project.store.root}")
    if not Path(path).is_file():
        raise StoreError(f"there is no file {path}")
    done = LabelsImported(str(path), str(name), key)
    chosen = None if labels is None else [label_name(each) for each in labels]
    with keys.reading(project) as reader:
        importing = _Importing(project, reader, done, name.table, prefix, creator)
        found = _records(_numbered(Path(path), format), key, chosen, done, progress)
        for batch in _batches(found):
            importing.write(batch)
    return done


class _Importing:
    def __init__(
        self,
        project: Project,
        reader: Reader,
        done: LabelsImported,
        table: str,
        prefix: str,
        creator: str | None,
    ) -> None:
        self._project, self._reader, self._done = project, reader, done
        self._table, self._prefix, self._creator = table, prefix, creator
        self._seen = set[str]()

    def write(self, batch: Sequence[_Record]) -> None:
        done = self._done
        found = keys.matches(self._reader, self._table, done.key, [record.key for record in batch])
        last: dict[tuple[str, str], Any] = {}
        for record in batch:
            match = found.get(record.key)
            if match is None:
                done.leave_out(record.line, "no_row", f"no row has {done.key} = {record.key!r}")
            elif match.one is None:
                rows = len(match.rows)
                done.leave_out(
                    record.line, "several_rows", f"{rows} rows have {done.key} = {record.key!r}"
                )
            else:
                self._match(record, match.one, last)
        self._write_new(last)

    def _match(self, record: _Record, row_id: str, last: dict[tuple[str, str], Any]) -> None:
        self._done.matched += 1
        self._done.repeated_keys += record.key in self._seen
        self._seen.add(record.key)
        for name, value in record.labels.items():
            last[row_id, self._prefix + name] = value

    def _write_new(self, last: Mapping[tuple[str, str], Any]) -> None:
        there = self._there([row_id for row_id, _ in last])
        for (row_id, name), value in last.items():
            if there.get((row_id, name), _NOTHING) == _as_kept(value):
                self._done.there_already += 1
                continue
            events.add(
                self._project,
                kind="label",
                name=name,
                value=value,
                row_id=row_id,
                table=self._table,
                creator=self._creator,
                attributes={"imported_from": Path(self._done.path).name},
            )
            self._done.labels += 1

    def _there(self, rows: Iterable[str]) -> dict[tuple[str, str], Any]:
        """The labels that rows have."""
        found = self._reader.execute(
            "SELECT row_id, name, value FROM said.labels SEMI JOIN "
            "(SELECT unnest(?::VARCHAR[]) AS row_id) USING (row_id)",
            [list(dict.fromkeys(rows))],
            [EVENTS],
        )
        return {(row_id, name): orjson.loads(value or "null") for row_id, name, value in found.rows}


_NOTHING = object()


def _as_kept(value: Any) -> Any:
    from llmwatch import capture

    return orjson.loads(capture.encode(value))


# --- the file ----------------------------------------------------------------------------


def _numbered(path: Path, format_: str | None) -> records.Numbered:
    chosen = format_of(path, format_)
    if chosen.startswith("jsonl"):
        return _json_records(path)
    if chosen.startswith("csv"):
        return records.csv_records(path, text=False)
    return records.parquet_records(path)


def _json_records(path: Path) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    with records.opened(path) as file:
        yield from records.json_records(file)


def _records(
    numbered: records.Numbered,
    key: str,
    chosen: Sequence[str] | None,
    done: LabelsImported,
    progress: Progress,
) -> Iterator[_Record]:
    for line, record in numbered:
        done.records += 1
        progress(1)
        if isinstance(record, Bad):
            done.leave_out(line, "bad", record.why)
            continue
        if done.records == 1 and key not in record:
            raise LlmwatchError(
                f"{done.path} has no {key!r}; it has: {', '.join(record)}. Nothing was imported"
            )
        found = _record(line, record, key, chosen)
        if isinstance(found, str):
            what = "no_key" if _is_empty(record.get(key)) else "no_labels"
            done.leave_out(line, what, found)
        else:
            yield found


def _record(
    line: int, record: Mapping[str, Any], key: str, chosen: Sequence[str] | None
) -> _Record | str:
    """A record of the file, or why it cannot be used."""
    value = record.get(key)
    if _is_empty(value):
        return f"it has no {key}"
    names = [name for name in record if name != key] if chosen is None else chosen
    labels = {name: record[name] for name in names if not _is_empty(record.get(name))}
    if not labels:
        return f"it has none of: {', '.join(names)}"
    return _Record(line, str(value), labels)


def _is_empty(value: Any) -> bool:
    """Nothing was said: also NaN, which is how pandas writes a missing number."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _batches(found: Iterable[_Record]) -> Iterator[list[_Record]]:
    batch: list[_Record] = []
    for record in found:
        batch.append(record)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
