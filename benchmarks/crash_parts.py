"""The processes of the crash benchmark: writers, upkeep, readers, a gunicorn application, and the two bad disks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from llmwatch import faults, settings
from llmwatch.store import Project, open_store
from llmwatch.stream import steps
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small
from llmwatch.stream.query import Reader
from llmwatch.stream.retention import vacuum
from llmwatch.stream.table import StreamTable

TABLES = ("east", "west")
GUNICORN = find_spec("gunicorn") is not None
TEXT = "a row of a size that rows have " * 20


def use(store: Path) -> Project:
    given = settings.load(store=str(store), worker=False, segment_mb=0.25, segment_age_s=2)
    settings.use(given)
    return open_store(store).project("local", "crash")


def table_of(store: Path, name: str) -> StreamTable:
    use(store)
    return StreamTable(name, project_name="crash", entity_name="local", store=store)


def writer(store: Path, table: str, number: str, how: str) -> None:
    """Log and say so, row by row; `fork` leaves an idle child behind that inherited everything."""
    rows = table_of(store, table)
    me = f"{number}.{os.getpid()}"
    say = sys.stdout
    n = 0
    while True:
        rows.log({"who": me, "n": n, "text": TEXT})
        say.write(f"ack {me} {n}\n")
        say.flush()
        n += 1
        if how == "fork" and n == 200:
            child = os.fork()
            if child == 0:
                time.sleep(600)
                os._exit(0)
            say.write(f"child {child}\n")
        if n % 10 == 0:
            time.sleep(0.02)  # leaves the cores to those who move and read the rows


def upkeep(store: Path, table: str, step: str) -> None:
    """Compact, merge and vacuum until the step comes, and die there."""
    project = use(store)
    steps.listen(lambda name: _die(name) if name == step else None)
    end = time.monotonic() + 8
    while time.monotonic() < end:
        compact(project, table)
        merge_small(project, table, everything=step.startswith(("merge", "vacuum")))
        vacuum(project, table, older_than_s=0 if step.startswith("vacuum") else 3600)
        time.sleep(0.05)


def _die(name: str) -> None:
    sys.stdout.write(f"at:{name}\n")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def reader(store: Path, table: str) -> None:
    """Ask again and again: what was acknowledged before is there, once, and each writer's rows are a prefix."""
    project = use(store)
    reading = Reader(project)
    log = store / ".acknowledged"
    question = f"SELECT who, count(*), count(DISTINCT n), min(n), max(n) FROM {table} GROUP BY who"
    while True:
        before = highest(log, table)
        found = {row[0]: row[1:] for row in reading.execute(question, tables=[table]).rows} if before else {}
        problem = check(before, found)
        sys.stdout.write(f"WRONG {problem}\n" if problem else "fine\n")
        sys.stdout.flush()
        time.sleep(0.02)


def check(before: dict[str, int], found: dict[str, tuple[int, int, int, int]]) -> str | None:
    for who, n in before.items():
        if who not in found:
            return f"{who}: none of its rows, {n + 1} were acknowledged"
        count, distinct, low, high = found[who]
        if count != distinct:
            return f"{who}: {count - distinct} rows twice"
        if low != 0 or high + 1 != count:
            return f"{who}: rows {low}..{high} but only {count} of them"
        if high < n:
            return f"{who}: row {n} was acknowledged, {high} is the last seen"
    return None


def _acknowledgements(log: Path, table: str) -> Iterable[tuple[str, int]]:
    pattern = f"writer{table}-*"
    paths = [*log.glob(pattern), *(log.glob("writer-gunicorn") if table == TABLES[0] else ())]
    for path in paths:
        for line in path.read_bytes().split(b"\n")[:-1]:
            parts = line.split()
            if len(parts) >= 3 and parts[0] == b"ack":
                yield parts[1].decode(), int(parts[2] if len(parts) == 3 else parts[3])


def highest(log: Path, table: str) -> dict[str, int]:
    """The last acknowledged row of each writer that is alive or dead by now."""
    last: dict[str, int] = {}
    for path in log.glob(f"writer{table}-*"):
        with path.open("rb") as lines:
            size = lines.seek(0, os.SEEK_END)
            lines.seek(max(0, size - 400))
            for line in lines.read().split(b"\n")[:-1]:
                parts = line.split()
                if len(parts) == 3 and parts[0] == b"ack":
                    last[parts[1].decode()] = int(parts[2])
    return last


def acknowledged(log: Path, table: str) -> set[tuple[str, int]]:
    return set(_acknowledgements(log, table))


def settle(store: Path) -> None:
    """Compact whatever can be, then read it all."""
    project = use(store)
    for table in TABLES:
        compact(project, table)
        merge_small(project, table, everything=True)


def count_ids(store: Path, table: str) -> Counter[tuple[str, int]]:
    reading = Reader(use(store))
    try:
        rows = reading.execute(f"SELECT who, n, count(*) FROM {table} GROUP BY ALL", tables=[table]).rows
    finally:
        reading.close()
    return Counter({(who, n): count for who, n, count in rows})


# --- gunicorn -----------------------------------------------------------------------------

_count = 0
_table: StreamTable | None = None
if "gunicorn" in sys.modules and os.environ.get("LLMWATCH_STORE"):
    # --preload: the table is made, used and read in the master, before it forks
    _table = table_of(Path(os.environ["LLMWATCH_STORE"]), TABLES[0])
    _table.log({"who": f"master.{os.getpid()}", "n": 0, "text": TEXT})
    _ = _table.count


def app(environ: object, start_response: Callable[..., object]) -> list[bytes]:
    """Log one row and answer with its acknowledgement."""
    global _count
    del environ
    assert _table is not None
    me = f"gunicorn.{os.getpid()}"
    _table.log({"who": me, "n": _count, "text": TEXT})
    answer = f"ack {me} {os.getpid()} {_count}"
    _count += 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]


# --- bad disks ----------------------------------------------------------------------------


def quietly(kind: str, store: Path) -> str:
    """Run one of the bad-disk parts in a process of its own; its last line."""
    done = subprocess.run(
        [sys.executable, __file__, kind, str(store)], check=False, capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    return lines[-1] if done.returncode == 0 and lines else f"ended with {done.returncode}: {done.stderr[-400:]}"


def full(store: Path) -> None:
    rows = table_of(store / "s", "rows")
    kept = _log_until_lost(rows, 30_000)
    try:
        (store / "filler").write_bytes(b"x" * 1000)
        room = "a plain write of 1,000 bytes still worked"
    except OSError as error:
        room = f"a plain write fails too ({error.strerror})"
    lost = _lost()
    subprocess.run(["mount", "-o", "remount,size=32m", str(store)], check=True)
    time.sleep(1.5)
    after = sum(1 for n in range(500) if rows.add({"n": 1_000_000 + n, "text": TEXT}))
    _judge(rows, kept, lost, after, room)


def unwritable(store: Path) -> None:
    rows = table_of(store / "s", "rows")
    kept = [n for n in range(1000) if rows.add({"n": n, "text": TEXT})]
    spool = rows.project.spool("rows")
    frozen = [*spool.iterdir(), spool]
    for path in frozen:
        subprocess.run(["chattr", "+i", str(path)], check=True)
    try:
        try:
            (spool / "plain").write_text("x")
            room = "BUT A PLAIN WRITE WORKED"
        except OSError as error:
            room = f"a plain write fails ({error.strerror})"
        kept += [n for n in range(1000, 3000) if rows.add({"n": n, "text": TEXT})]
        lost = _lost()
    finally:
        for path in frozen:
            subprocess.run(["chattr", "-i", str(path)], check=True)
    time.sleep(1.5)
    after = sum(1 for n in range(500) if rows.add({"n": 1_000_000 + n, "text": TEXT}))
    _judge(rows, kept, lost, after, room)


def _log_until_lost(rows: StreamTable, most: int) -> list[int]:
    return [n for n in range(most) if rows.add({"n": n, "text": TEXT})]


def _lost() -> int:
    return sum(fault.lost for fault in faults.counts().values())


def _judge(rows: StreamTable, kept: list[int], lost: int, after: int, room: str) -> None:
    found = {row[0] for row in rows.query("SELECT n FROM rows").rows}
    missing = len(set(kept) - found)
    fine = missing == 0 and after == 500 and "BUT" not in room and len(found) == len(kept) + 500
    print(
        f"{room}; {len(kept):,} rows kept, {lost:,} lost and counted, {after} more after it was mended, "
        f"{missing} kept rows missing: {'fine' if fine else 'WRONG'}"
    )


PARTS: dict[str, Callable[..., None]] = {
    "writer": writer,
    "upkeep": upkeep,
    "reader": reader,
    "full": full,
    "unwritable": unwritable,
}

if __name__ == "__main__":
    PARTS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
