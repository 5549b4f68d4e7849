"""The lake as of one commit, read from the Delta log itself.

Readers live in the caller's process, which may fork, and delta-rs must not be touched in a forked child once its
parent has used it. The log is a few JSON lines a commit, so readers read it; only the compactor commits through delta-rs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from llmwatch.errors import StoreError
from llmwatch.stream.columns import Column, from_delta


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of the snapshot, with what the log says about its contents."""

    path: Path
    size: int
    rows: int
    lowest: Mapping[str, str] = field(default_factory=dict)
    highest: Mapping[str, str] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether it holds pieces (start, end, patch, delete) that wait for their row."""
        return self.path.name.startswith("parts-")


@dataclass(frozen=True)
class Snapshot:
    """The files, the columns and, for each writer, the highest segment that is in the lake."""

    version: int
    files: tuple[DataFile, ...] = ()
    columns: tuple[Column, ...] = ()
    committed: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[DataFile, ...]:
        return tuple(file for file in self.files if not file.waits)

    @property
    def pieces(self) -> tuple[DataFile, ...]:
        return tuple(file for file in self.files if file.waits)

    def holds(self, writer: str, number: int) -> bool:
        return number <= self.committed.get(writer, 0)


EMPTY = Snapshot(version=-1)


def load(lake: Path, previous: Snapshot = EMPTY) -> Snapshot:
    """The newest snapshot; cheap when `previous` is it or is a few commits behind."""
    log = lake / "_delta_log"
    checkpoint = _last_checkpoint(log)
    if checkpoint > previous.version:
        previous = _from_checkpoint(log, lake, checkpoint)
    version, actions = previous.version, []
    while (commit := _commit(log, version + 1)) is not None:
        version += 1
        actions.extend(commit)
    if version == previous.version:
        return previous
    return _apply(previous, actions, version, lake)


def commits_after(lake: Path, version: int, upto: int) -> list[list[dict[str, Any]]] | None:
    """The actions of each commit after `version` up to `upto`; None where the log no longer has them."""
    found = [_commit(lake / "_delta_log", number) for number in range(version + 1, upto + 1)]
    return None if None in found else [commit for commit in found if commit is not None]


def _commit(log: Path, version: int) -> list[dict[str, Any]] | None:
    try:
        text = (log / f"{version:020d}.json").read_bytes()
    except FileNotFoundError:
        return None
    return [orjson.loads(line) for line in text.splitlines() if line.strip()]


def _last_checkpoint(log: Path) -> int:
    try:
        pointer = json.loads((log / "_last_checkpoint").read_bytes())
    except (FileNotFoundError, ValueError):
        return -1  # none yet, or being written: the commits say the same
    if pointer.get("parts"):
        raise StoreError(
            f"{log.parent}: the Delta checkpoint is in several parts, which only another tool writes. "
            "Run `deltalake.DeltaTable(path).create_checkpoint()` on the table and try again."
        )
    return int(pointer["version"])


def _from_checkpoint(log: Path, lake: Path, version: int) -> Snapshot:
    import duckdb

    path = str(log / f"{version:020d}.checkpoint.parquet")
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT to_json(add), to_json(txn), to_json(metaData) FROM read_parquet(?) "
            "WHERE add IS NOT NULL OR txn IS NOT NULL OR metaData IS NOT NULL",
            [path],
        ).fetchall()
    actions = [
        dict(zip(("add", "txn", "metaData"), map(_parsed, row), strict=True)) for row in rows
    ]
    return _apply(EMPTY, actions, version, lake)


def _parsed(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _apply(
    before: Snapshot, actions: Iterable[Mapping[str, Any]], version: int, lake: Path
) -> Snapshot:
    files = {file.path.name: file for file in before.files}
    committed = dict(before.committed)
    columns = before.columns
    for action in actions:
        if add := action.get("add"):
            files[add["path"]] = _data_file(lake, add)
        elif remove := action.get("remove"):
            files.pop(remove["path"], None)
        elif txn := action.get("txn"):
            committed[txn["appId"]] = txn["version"]
        elif metadata := action.get("metaData"):
            columns = from_delta(metadata["schemaString"])
    return Snapshot(version, tuple(files.values()), columns, committed)


def _data_file(lake: Path, add: Mapping[str, Any]) -> DataFile:
    if add.get("deletionVector"):
        raise StoreError(
            f"{lake}: another tool deleted rows of {add['path']} with a deletion vector, which llmwatch cannot read. "
            "Rewrite the table with that tool (for example `REORG TABLE ... APPLY (PURGE)`)."
        )
    stats = json.loads(add.get("stats") or "{}")
    return DataFile(
        path=lake / add["path"],
        size=int(add["size"]),
        rows=int(stats.get("numRecords") or 0),
        lowest=stats.get("minValues") or {},
        highest=stats.get("maxValues") or {},
    )


def orphans(lake: Path, snapshot: Snapshot) -> Iterator[Path]:
    """Parquet files on disk that the snapshot does not hold: replaced, or of a commit that never was."""
    held = {file.path for file in snapshot.files}
    for path in lake.glob("*.parquet"):
        if path not in held:
            yield path
