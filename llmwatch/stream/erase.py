"""Erasure: rows and all that is derived from them leave the store's bytes, and a scan proves it.

The order makes a crash harmless: a journal of ids comes first, every step may run twice, and a second `erase` finishes
what a first one left. The journal holds ids and file names only, never a user's text, and goes last.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.store import BASELINES, DERIVED, EVENTS, Project
from llmwatch.stream import copies, deletions, media_files, steps
from llmwatch.stream.columns import quoted
from llmwatch.stream.duck import connect, have_columns, read_files
from llmwatch.stream.lake import Lake, locked
from llmwatch.stream.query import Reader
from llmwatch.stream.segments import list_segments

if TYPE_CHECKING:
    from llmwatch.stream.snapshot import DataFile

BLANK = b'{"t":"erased"}'


@dataclass
class Erased:
    """What an erasure took away, and what a scan of the store's bytes found afterwards."""

    rows: int = 0
    events: int = 0
    derived: int = 0
    media: int = 0
    by_table: dict[str, int] = field(default_factory=dict)
    resumed: bool = False
    found_after: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not self.found_after


@dataclass
class _Journal:
    """The ids and files an erasure is about."""

    ids: list[str]
    media: list[str]

    def write(self, path: Path) -> None:
        draft = path.with_suffix(".tmp")
        draft.touch(mode=0o600)
        with draft.open("wb") as file:
            file.write(orjson.dumps({"ids": self.ids, "media": self.media}))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> _Journal | None:
        try:
            told = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        return cls(told["ids"], told["media"])


def erase(project: Project, where: str, *, table: str | None = None, dry_run: bool = False) -> Erased:
    """Physically remove the rows that fit `where` (SQL over a table's columns), from one table or from all.

    The calls below a matching call go with it, and so do events, media that nothing else names, and old versions of files.
    """
    journal_at = project.path / "erase.json"
    done = Erased()
    if not dry_run and (left := _Journal.read(journal_at)) is not None:
        done.resumed = True
        deletions.note(project, left.ids)
        _carry_out(project, left, done)
        journal_at.unlink()
    journal = _choose(project, where, table, done)
    if dry_run or not journal.ids:
        return done
    journal.write(journal_at)
    deletions.note(project, journal.ids)
    steps.reached("erase.journal-written")
    _carry_out(project, journal, done)
    if done.complete:
        journal_at.unlink()
    return done


def _choose(project: Project, where: str, table: str | None, done: Erased) -> _Journal:
    """The ids of the rows to erase, of the calls below them and of what was said about them."""
    reader = Reader(project)
    try:
        ids: set[str] = set()
        for name in [table] if table else project.tables():
            found = _matching(reader, name, where)
            done.by_table[name] = len(found)
            ids |= found
        done.rows = len(ids)
        derived = _derived_from(reader, ids, None if table else where)
        done.derived = len(derived)
        said = _events_about(reader, ids)
        done.events = len(said)
        media = _media_of_only(reader, project, ids, said)
        return _Journal(sorted(ids | said | derived), sorted(media))
    finally:
        reader.close()


def _matching(reader: Reader, table: str, where: str) -> set[str]:
    reader.check_conditions(table, [where])
    view = f"keyed.{quoted(table)}"
    try:
        sql = f'SELECT "llmwatch id" FROM {view} WHERE ({where})'
        found = {row[0] for row in reader.execute(sql, tables=[table]).rows}
    except _binder_error():
        return set()  # a table without such a column has no such rows
    while True:
        below = _below(reader, table, found)
        if below <= found:
            return found
        found |= below


def _binder_error() -> type[Exception]:
    import duckdb

    return duckdb.BinderException


def _below(reader: Reader, table: str, ids: set[str]) -> set[str]:
    rows = reader.execute(
        f"SELECT id FROM main.{quoted(table)} WHERE parent_id IN (SELECT unnest(?::VARCHAR[]))",
        [sorted(ids)],
        [table],
    ).rows
    return {row[0] for row in rows}


def _derived_from(reader: Reader, ids: set[str], where: str | None) -> set[str]:
    """Vectors and baseline entries made from the rows; entries that fit `where` too, whose row may be gone already."""
    found = set[str]() if where is None else _matching(reader, BASELINES, where)
    for table in DERIVED:
        found |= _below(reader, table, ids | found)
    return found


def _events_about(reader: Reader, ids: Iterable[str]) -> set[str]:
    rows = reader.execute(
        f"SELECT id FROM main.{quoted(EVENTS)} WHERE row_id IN (SELECT unnest(?::VARCHAR[]))",
        [sorted(ids)],
        [EVENTS],
    ).rows
    return {row[0] for row in rows}


def _media_of_only(reader: Reader, project: Project, ids: set[str], said: set[str]) -> set[str]:
    """Media that the rows to erase name and no other row does."""
    if not project.media.is_dir():
        return set()
    chosen = "id IN (SELECT unnest(?::VARCHAR[]))"
    wanted, others = set[str](), set[str]()
    for table in [*project.tables(), EVENTS]:
        about: Sequence[Any] = [sorted(said if table == EVENTS else ids)]
        wanted |= media_files.referenced(reader, table, chosen, about)
        others |= media_files.referenced(reader, table, f"NOT ({chosen})", about)
    return wanted - others


# --- carrying it out ---------------------------------------------------------------------


def _carry_out(project: Project, journal: _Journal, done: Erased) -> None:
    ids = set(journal.ids)
    for table in [*project.tables(), *DERIVED, EVENTS]:
        with locked(project, table, wait=True):
            _blank_spool(project, table, ids)
            steps.reached("erase.spool-blanked")
            _rewrite_lake(project, table, journal.ids)
            _forget_quarantined(project, table, ids)
        steps.reached("erase.lake-rewritten")
    for left in project.temporary.rglob("*.*"):  # what DuckDB had no memory for, of processes that died
        left.unlink(missing_ok=True)
    for name in journal.media:
        (project.media / name).unlink(missing_ok=True)
        done.media += 1
    steps.reached("erase.media-removed")
    copies.forget(project)  # sampled requests in wandb runs that wait here to be uploaded
    (project.path / "erased").touch(mode=0o600)
    os.utime(project.path / "erased")  # readers forget what they hold in memory
    done.found_after = still_there(project, journal.ids, journal.media)


def _blank_spool(project: Project, table: str, ids: set[str]) -> None:
    """Overwrite lines in place: the writer only ever appends, so its segment may be open."""
    for segment in list_segments(project.spool(table)):
        offset = 0
        with segment.path.open("r+b") as file:
            for line in file.read().splitlines(keepends=True):
                if _is_about(line, ids) and len(line) > len(BLANK):
                    file.seek(offset)
                    file.write(BLANK.ljust(len(line) - 1) + b"\n")
                offset += len(line)
            file.flush()
            os.fsync(file.fileno())


def _is_about(line: bytes, ids: set[str]) -> bool:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(row, dict) and (row.get("id") in ids or row.get("row_id") in ids)


def _rewrite_lake(project: Project, table: str, ids: Sequence[str]) -> None:
    """Rewrite the files that hold any of the ids, then delete every file that is in no snapshot."""
    if not project.lake(table).is_dir():
        return
    lake = Lake(project, table)
    with connect(temporary=project.temporary, threads=1) as connection:
        connection.execute("CREATE TABLE gone AS SELECT unnest(?::VARCHAR[]) AS id", [list(ids)])
        for file in _holding(connection, lake.snapshot.files):
            rows = have_columns(connection, read_files([file]), lake.columns)
            kind = "parts" if file.waits else "rows"
            condition = _not_gone(table)
            kept = lake.write(
                connection, kind, f"SELECT * FROM {rows} WHERE {condition} ORDER BY ts, writer, seq"
            )
            lake.commit([kept] if kept else [], [file])
    for path in lake.left_files(0):
        path.unlink(missing_ok=True)


def _not_gone(table: str) -> str:
    condition = "id NOT IN (SELECT id FROM gone)"
    if table == EVENTS:
        condition += " AND coalesce(row_id NOT IN (SELECT id FROM gone), true)"
    return condition


def _holding(connection: Any, files: Sequence[DataFile]) -> list[DataFile]:
    if not files:
        return []
    held = []
    for file in files:
        found = connection.execute(
            "SELECT 1 FROM read_parquet(?) SEMI JOIN gone USING (id) LIMIT 1", [str(file.path)]
        )
        if found.fetchall():
            held.append(file)
    return held


def _forget_quarantined(project: Project, table: str, ids: set[str]) -> None:
    """A torn line cannot be parsed; one that names an erased id goes."""
    for path in project.quarantine(table).glob("*.bad"):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not any(row_id.encode() in line for row_id in ids)]
        if len(kept) < len(lines):
            path.write_bytes(b"".join(kept))


# --- the proof ---------------------------------------------------------------------------


def still_there(project: Project, ids: Sequence[str], media: Sequence[str]) -> list[str]:
    """Every file of the project, in any snapshot or in none, that still holds one of the ids or is such a media file."""
    found = [str(project.media / name) for name in media if (project.media / name).exists()]
    wanted = {row_id.encode() for row_id in ids}
    for path in project.path.rglob("*"):
        if not path.is_file() or path.name.startswith("erase.") or project.media in path.parents:
            continue
        if path.suffix == ".parquet" and "_delta_log" not in path.parts:
            if _parquet_holds(path, ids):
                found.append(str(path))
        elif path.suffix in {".jsonl", ".bad"} and _bytes_hold(path.read_bytes(), wanted):
            found.append(str(path))
    return found


def _bytes_hold(content: bytes, wanted: set[bytes]) -> bool:
    """Ids are 36 characters between quotes: every such string of the file is looked up."""
    return any(part in wanted for part in content.split(b'"'))


def _parquet_holds(path: Path, ids: Sequence[str]) -> bool:
    with connect(threads=1) as connection:
        names = {
            row[0] for row in connection.execute("SELECT name FROM parquet_schema(?)", [str(path)]).fetchall()
        }
        columns = [name for name in ("id", "row_id") if name in names]
        for name in columns:
            found = connection.execute(
                f"SELECT 1 FROM read_parquet(?) WHERE {name} IN (SELECT unnest(?::VARCHAR[])) LIMIT 1",
                [str(path), list(ids)],
            )
            if found.fetchall():
                return True
    return False


def pending(project: Project) -> bool:
    """Whether an erasure was cut off: run it again and it is finished first."""
    return (project.path / "erase.json").exists()

