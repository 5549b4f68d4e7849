"""What the forwarder remembers of a project between runs: ids, positions of doubt, refusals. Never a row's contents."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.store import ensure

if TYPE_CHECKING:
    from pathlib import Path

    from llmwatch.store import Project

_TABLES = """
CREATE TABLE IF NOT EXISTS sent (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS doubtful (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS published (ref TEXT PRIMARY KEY, remote TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (kind TEXT, id TEXT, source TEXT, status INTEGER, reason TEXT, at INTEGER,
    again INTEGER DEFAULT 0, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (id TEXT PRIMARY KEY, row_id TEXT, since INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
MOST_AT_ONCE = 500


def path_of(project: Project) -> Path:
    return project.path / "forward" / "state.sqlite3"


class State:
    """One project's memory, in SQLite: a killed process leaves it as of its last commit.

    `doubtful` are ids whose delivery began and is not known to have ended: the server is asked about them
    before they are sent again.
    """

    def __init__(self, project: Project) -> None:
        path = path_of(project)
        ensure(path.parent)
        path.touch(mode=0o600)
        # A pass of the forwarder runs in a thread of its own; passes follow each other, never at once.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._lock = threading.RLock()
        self._depth = 0
        try:
            self._prepare()
        except sqlite3.Error:  # the file is no database
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.executescript(_TABLES)
        self._db.create_function("key_of", 1, key, deterministic=True)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """All that is written in the block, or nothing of it."""
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def run(self, sql: str, params: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """One statement, and its rows."""
        with self._lock:
            return self._db.execute(sql, tuple(params)).fetchall()

    def run_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self.at_once():
            self._db.executemany(sql, rows)

    # --- ids ------------------------------------------------------------------------------

    def sent_of(self, ids: Iterable[str]) -> set[str]:
        return self._among("sent", ids)

    def doubtful_of(self, ids: Iterable[str]) -> set[str]:
        return self._among("doubtful", ids)

    def begin(self, ids: Iterable[str]) -> None:
        """These are about to be sent."""
        self.run_many("INSERT OR IGNORE INTO doubtful VALUES (?)", [(key(i),) for i in ids])

    def not_sent(self, ids: Iterable[str]) -> None:
        """The server said that it did nothing: there is no doubt about these."""
        self.run_many("DELETE FROM doubtful WHERE id = ?", [(key(i),) for i in ids])

    def done(self, ids: Iterable[str]) -> None:
        keys = [(key(i),) for i in ids]
        with self.at_once():
            self._db.executemany("INSERT OR IGNORE INTO sent VALUES (?)", keys)
            self._db.executemany("DELETE FROM doubtful WHERE id = ?", keys)

    def forget(self, ids: Iterable[str]) -> None:
        """Erased rows: not even their ids stay."""
        keys = [(key(i),) for i in ids]
        with self.at_once():
            for table in ("sent", "doubtful"):
                self._db.executemany(f"DELETE FROM {table} WHERE id = ?", keys)

    def _among(self, table: str, ids: Iterable[str]) -> set[str]:
        by_key = {key(i): i for i in ids}
        keys = list(by_key)
        found: set[str] = set()
        for first in range(0, len(keys), MOST_AT_ONCE):
            some = keys[first : first + MOST_AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self.run(f"SELECT id FROM {table} WHERE id IN ({marks})", some)
            found.update(by_key[row[0]] for row in rows)
        return found

    def ready(self, most: int = 2000) -> list[str]:
        """Events that waited for their row, which has been sent."""
        sql = "SELECT id FROM waiting WHERE key_of(row_id) IN (SELECT id FROM sent) ORDER BY since LIMIT ?"
        return [row[0] for row in self.run(sql, (most,))]

    def forget_waiting(self, before_us: int) -> None:
        """Events that have waited too long for their row."""
        with self.at_once():
            gone = self.run("SELECT count(*) FROM waiting WHERE since < ?", (before_us,))[0][0]
            if gone:
                self.run("DELETE FROM waiting WHERE since < ?", (before_us,))
                self.count("events whose row was never sent", gone)

    def forget_sent(self, before_us: int) -> None:
        """Ids from before a time, as far as they tell it: UUIDs of version 7, which are in order."""
        first = (before_us // 1000).to_bytes(6, "big")
        self.run(
            "DELETE FROM sent WHERE length(id) = 16 AND id < ? AND substr(hex(id), 13, 1) = '7'",
            (first,),
        )

    # --- refusals ---------------------------------------------------------------------------

    def bury(self, kind: str, item_id: str, source: str, status: int, reason: str) -> None:
        """One thing that W&B would not take: it is not sent again unless asked for."""
        with self.at_once():
            self.run(
                "INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, 0)",
                (kind, item_id, source, status, reason[:500], clock.now_us()),
            )
            self._db.execute("DELETE FROM doubtful WHERE id = ?", (key(item_id),))

    def dead(self, *, again: bool = False) -> list[tuple[str, str, str, int, str, int]]:
        """kind, id, source, status, reason and time of each refusal; `again`: those that are to be tried again."""
        where = "WHERE again" if again else ""
        sql = f"SELECT kind, id, source, status, reason, at FROM dead {where} ORDER BY at, id"
        return self.run(sql)

    def dead_of(self, kind: str, ids: Iterable[str]) -> set[str]:
        """Those that were refused and are not to be tried again."""
        sql = "SELECT id FROM dead WHERE kind = ? AND NOT again"
        return {row[0] for row in self.run(sql, (kind,))} & set(ids)

    def revive(self) -> int:
        """Have every refused thing tried again."""
        self.run("UPDATE dead SET again = 1")
        return int(self.run("SELECT count(*) FROM dead")[0][0])

    def unbury(self, kind: str, item_id: str) -> None:
        """It was tried again; when it was refused again, it is buried anew and stays so."""
        self.run("DELETE FROM dead WHERE kind = ? AND id = ? AND again", (kind, item_id))

    # --- objects, counts and notes ------------------------------------------------------------

    def remote(self, ref: str) -> str | None:
        found = self.run("SELECT remote FROM published WHERE ref = ?", (ref,))
        return found[0][0] if found else None

    def published(self, ref: str, remote: str) -> None:
        self.run("INSERT OR REPLACE INTO published VALUES (?, ?)", (ref, remote))

    def count(self, name: str, more: float = 1) -> None:
        sql = "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
        self.run(sql, (name, more))

    def counts(self) -> dict[str, float]:
        return dict(self.run("SELECT name, value FROM counts"))

    def note(self, name: str, value: str | None) -> None:
        if value is None:
            self.run("DELETE FROM notes WHERE name = ?", (name,))
        else:
            self.run("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def notes(self) -> dict[str, str]:
        return dict(self.run("SELECT name, value FROM notes"))


def key(row_id: str) -> bytes:
    """An id in half its length: most are UUIDs."""
    try:
        parsed = uuid.UUID(row_id)
    except ValueError:
        return b"=" + row_id.encode()
    return parsed.bytes if str(parsed) == row_id else b"=" + row_id.encode()
