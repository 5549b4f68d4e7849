"""Erase one user from a store of a million rows, killed at every step, and scan the bytes for what is left.

    python benchmarks/erase.py --rows 1000000 [--quick] [--check]

The user's rows hold a secret in their inputs, a vector, and media; feedback on them repeats it. Some rows are in the lake, some in
sealed segments, some in a segment that is still open in another process, one in a torn line. The eraser is killed at each named
step in turn and started again. Then every file of the store is opened and searched, and every other row is compared.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from traffic import TABLE, Traffic, fill

from llmwatch import settings
from llmwatch.store import EVENTS, Project, open_store
from llmwatch.stream import steps
from llmwatch.stream.compact import compact
from llmwatch.stream.duck import connect
from llmwatch.stream.erase import erase
from llmwatch.stream.query import Reader
from llmwatch.stream.table import StreamTable

SECRET = "xq7-the-secret-of-u7"
VECTOR = bytes(range(200, 216)) * 96
KILLED_AT = (
    "erase.journal-written",
    "erase.spool-blanked",
    "lake.before-commit",
    "lake.after-commit",
    "erase.lake-rewritten",
    "erase.media-removed",
)
"""In the order an erasure comes to them, so that each later run gets further than the one before."""


@dataclass
class Planted:
    table: StreamTable
    media: list[str]
    rows: int


def plant(project: Project, table: StreamTable) -> Planted:
    """The user's rows: in the lake, in a sealed segment, and in one that stays open."""
    before = set(project.media.rglob("*"))
    for n in range(30):
        picture = os.urandom(9000)
        row_id = table.add(
            {"user_id": "u7", "text": f"{SECRET} {n}", "vector": VECTOR, "picture": picture, "n": n}
        )
        assert row_id
        table.say("feedback", "note", f"{SECRET} said about {n}", row_id=row_id)
        if n in {10, 20}:
            compact(project, table.name, seal=True)
            compact(project, EVENTS, seal=True)
    torn = project.spool(table.name) / "feedfeed0000-00000001.jsonl"
    torn.write_bytes(b'{"v":1,"t":"row","id":"torn-but-about-nobody","data":{"te')
    media = [str(path.relative_to(project.media)) for path in set(project.media.rglob("*")) - before if path.is_file()]
    return Planted(table, media, 30)


def others(project: Project) -> list[tuple[object, ...]]:
    """A digest of every row that is not the user's."""
    reader = Reader(project)
    try:
        return [
            reader.execute(
                f'SELECT count(*), sum(hash(id, "inputs", "output", ts, data) % 1000000007) FROM main."{table}" '
                "WHERE user_id IS DISTINCT FROM 'u7' AND data->>'user_id' IS DISTINCT FROM 'u7'",
                tables=[table],
            ).rows[0]
            for table in (TABLE, "notes")
        ]
    finally:
        reader.close()


def erase_killed_at(store: Path, step: str) -> int:
    """Run the eraser in a process of its own that dies at `step`; its exit code."""
    return subprocess.run(
        [sys.executable, __file__, "--eraser", str(store), "--die-at", step], check=False
    ).returncode


def eraser(store: Path, step: str) -> int:
    settings.use(settings.load(store=str(store), worker=False))
    steps.listen(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == step else None)
    erase(open_store(store).project("local", "bench"), "user_id = 'u7'")
    return 0


def leftovers(store: Path, media: list[str]) -> list[str]:
    """Every file of the store that still holds the user's text, vector or media, Parquet files decoded."""
    found = [name for name in media if list(store.rglob(Path(name).name))]
    encoded = base64.b64encode(VECTOR)
    for path in store.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if SECRET.encode() in content or VECTOR in content or encoded[:64] in content or (path.suffix == ".parquet" and _parquet_holds(path)):
            found.append(str(path.relative_to(store)))
    return found


def _parquet_holds(path: Path) -> bool:
    with connect() as connection:
        source = f"read_parquet('{path}')"
        names = [
            column[0]
            for column in connection.execute(f"SELECT * FROM {source} LIMIT 0").description or ()
            if column[1] in {"VARCHAR", "STRING"} or str(column[1]) in {"VARCHAR", "STRING"}
        ]
        if not names:
            return False
        test = " OR ".join(f"contains(\"{name}\", '{SECRET}')" for name in names)
        return bool(connection.execute(f"SELECT 1 FROM {source} WHERE {test} LIMIT 1").fetchall())


def run(rows: int, store: Path) -> bool:
    settings.use(settings.load(store=str(store), worker=False, retention_days=0, max_store_gb=0))
    project = open_store(store).project("local", "bench")
    fill(project, rows, Traffic(rows), say)
    table = StreamTable("notes", project_name="bench", entity_name="local", store=store)
    for n in range(50):
        table.log({"user_id": f"u{n + 10}", "text": f"someone else {n}", "picture": os.urandom(5000)})
    planted = plant(project, table)
    before = others(project)
    reached = 0
    started = time.perf_counter()
    for step in KILLED_AT:
        code = erase_killed_at(store, step)
        reached += code == -signal.SIGKILL
        say(f"killed at {step}: {'yes' if code == -signal.SIGKILL else f'not reached (exit {code})'}")
    report = erase(project, "user_id = 'u7'")
    seconds = time.perf_counter() - started
    left = leftovers(store, planted.media)
    intact = others(project) == before
    say(f"{rows:,} rows beside them; erased {planted.rows} rows, their feedback and {len(planted.media)} media files")
    say(f"the last run resumed: {report.resumed}; a scan after it found: {report.found_after or 'nothing'}")
    say(f"other rows exact: {intact}; {seconds:.1f} s for {len(KILLED_AT) + 1} runs")
    say(f"killed {reached} times; files of the store that still hold the user's data: {len(left)} {left[:5]}")
    return not left and intact and reached > 0


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--quick", action="store_true", help="50,000 rows, under 45 s")
    options.add_argument("--check", action="store_true", help="exit 1 when anything is left, or other rows changed")
    options.add_argument("--eraser", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--die-at", default="", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.eraser:
        return eraser(chosen.eraser, chosen.die_at)
    store = Path(tempfile.mkdtemp(prefix="llmwatch-erase-"))
    try:
        fine = run(50_000 if chosen.quick else chosen.rows, store)
    finally:
        shutil.rmtree(store, ignore_errors=True)
    return 0 if fine or not chosen.check else 1


if __name__ == "__main__":
    sys.exit(main())
