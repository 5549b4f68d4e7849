"""100,000 labels from a Parquet file joined to 200,000 calls by a key in their attributes, by one command.

    python benchmarks/labels.py
    python benchmarks/labels.py --quick --check    # a tenth of it; fails when a record is not accounted for

A third of the keys have no row: the report must say exactly so, and a second import must write nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from llmwatch import clock, settings
from llmwatch.remarks.labels import LabelsImported, import_labels
from llmwatch.store import EVENTS, Project, open_store
from llmwatch.stream import spool
from llmwatch.stream.compact import compact

TABLE = "local/bot/traces"


def write(project: Project, rows: int) -> None:
    """Calls of 1 KB whose key is in their attributes, as `llmwatch.context` puts it there."""
    writer = spool.writer(project, "traces", settings.current())
    for n in range(rows):
        row = {
            "id": clock.new_id(),
            "op_name": "answer",
            "status": "success",
            "started_at": clock.now_us(),
            "inputs": {"question": f"why {n}? " * 40},
            "output": f"because {n} " * 40,
            "attributes": {"inference_id": f"i-{n}"},
        }
        writer.append("row", json.dumps(row).encode())
        if n % 50_000 == 49_999:
            writer.rotate()
            compact(project, "traces")


def timed(file: Path) -> tuple[LabelsImported, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    done = import_labels(file, key="inference_id", table=TABLE, labels=["resolved"])
    return done, time.perf_counter() - wall, time.process_time() - cpu


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10,000 labels for 20,000 rows")
    parser.add_argument(
        "--check", action="store_true", help="fail when a record is not accounted for"
    )
    args = parser.parse_args()
    labels = 10_000 if args.quick else 100_000
    with tempfile.TemporaryDirectory() as scratch:
        settings.use(settings.Settings(worker=False, store=str(Path(scratch) / "store")))
        project = open_store().project("local", "bot")
        write(project, 2 * labels)
        file = Path(scratch) / "truth.parquet"
        keys = "'i-' || (range * 3) AS inference_id"
        duckdb.sql(f"SELECT {keys}, range % 2 = 0 AS resolved FROM range({labels})").write_parquet(
            str(file)
        )
        first, wall, cpu = timed(file)
        compact(project, EVENTS, seal=True)
        again, wall_again, cpu_again = timed(file)
    expected = len(range(0, 2 * labels, 3))
    print(
        f"{first.records:,} records: {first.matched:,} matched, {first.no_row:,} have no row; {first.labels:,} labels in {wall:.1f} s ({cpu:.1f} s of CPU)"
    )
    print(
        f"again: {again.labels:,} written, {again.there_already:,} there already, {wall_again:.1f} s ({cpu_again:.1f} s of CPU)"
    )
    right = (first.matched, first.labels, again.labels) == (expected, expected, 0)
    right &= first.no_row == labels - expected and again.there_already == expected
    print(f"every record accounted for: {'yes' if right else 'NO'}")
    return 1 if args.check and not right else 0


if __name__ == "__main__":
    sys.exit(main())
