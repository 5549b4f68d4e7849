"""Eight processes log into one table while a reader counts: nothing lost, nothing out of order, never a gap.

    python benchmarks/parallel.py [--processes 8] [--rows 50000] [--quick] [--check]

A worker compacts and merges meanwhile. Every answer the reader gets must hold, for each writer, its first so many rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llmwatch import settings
from llmwatch.store import open_store
from llmwatch.stream.query import Reader
from llmwatch.stream.table import StreamTable

TABLE = "shared"
QUESTION = f"SELECT who, count(*), count(DISTINCT n), min(n), max(n) FROM {TABLE} GROUP BY who"
IN_ORDER = (
    f"SELECT count(*) FROM (SELECT n - lag(n) OVER (PARTITION BY who ORDER BY ts, writer, seq) AS step FROM {TABLE}) "
    "WHERE step <> 1"
)


def write(store: Path, who: str, rows: int) -> None:
    settings.use(settings.load(store=str(store), segment_mb=4, segment_age_s=2))
    table = StreamTable(TABLE, project_name="bench", entity_name="local", store=store)
    text = "a row of a size that rows have " * 20
    for n in range(rows):
        table.log({"who": who, "n": n, "text": text})
        if n % 100 == 99:
            time.sleep(0.05)  # so that the reader gets to count now and then
    print(f"{who} done", flush=True)


def run(processes: int, rows: int, store: Path) -> bool:
    settings.use(settings.load(store=str(store), worker=False))
    command = [sys.executable, __file__, "--store", str(store), "--rows", str(rows), "--writer"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    started = time.perf_counter()
    writers = [subprocess.Popen([*command, f"w{n}"], env=environment) for n in range(processes)]
    reader = Reader(open_store(store).project("local", "bench"))
    checks, wrong = 0, []
    while any(writer.poll() is None for writer in writers):
        if "who" not in {column.name for column in reader.columns(TABLE)}:
            continue  # no row yet
        found = reader.execute(QUESTION, tables=[TABLE]).rows
        wrong += [row for row in found if not row[1] == row[2] == row[4] + 1 or row[3] != 0]
        checks += 1
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    found = reader.execute(QUESTION, tables=[TABLE]).rows
    (out_of_order,) = reader.execute(IN_ORDER, tables=[TABLE]).rows[0]
    exact = sorted(row[1] for row in found) == [rows] * processes
    print(f"{processes} writers of {rows:,} rows each, {seconds:.1f} s; {checks} counts meanwhile, {len(wrong)} wrong {wrong[:3]}")
    total = sum(row[1] for row in found)
    print(f"{total:,} of {processes * rows:,} rows, {out_of_order} out of their writer's order, {len(wrong)} wrong counts")
    return exact and not wrong and out_of_order == 0 and checks > 0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--processes", type=int, default=8)
    options.add_argument("--rows", type=int, default=50_000)
    options.add_argument("--quick", action="store_true", help="5,000 rows each, under 45 s")
    options.add_argument("--check", action="store_true", help="exit 1 when a count is wrong")
    options.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--writer", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.writer:
        write(chosen.store, chosen.writer, chosen.rows)
        return 0
    store = Path(tempfile.mkdtemp(prefix="llmwatch-parallel-"))
    try:
        fine = run(chosen.processes, 5_000 if chosen.quick else chosen.rows, store)
    finally:
        shutil.rmtree(store, ignore_errors=True)
    return 0 if fine or not chosen.check else 1


if __name__ == "__main__":
    sys.exit(main())
