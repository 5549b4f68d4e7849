"""What questions cost on a table of a million rows and more, with and without a spool tail.

    python benchmarks/query.py --rows 1000000 [--store DIR] [--quick] [--check]

Makes really distinct rows of about 2.4 KB, compacts and merges them as the worker would, then asks each question three
times: cold (a new reader), and warm (a reader that has answered before) without and with a 50 MB tail in the spool.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from traffic import TABLE, Traffic, fill

from llmwatch import clock, settings
from llmwatch.store import EVENTS, Project, open_store
from llmwatch.stream import spool
from llmwatch.stream.compact import compact
from llmwatch.stream.query import Reader
from llmwatch.stream.rows import STORED
from llmwatch.stream.table import StreamTable

TAIL_BYTES = 50 << 20
BAR_MS = 250
"""CPU that the last 50 rows, and one trace, may cost a warm reader with a tail at a million rows."""


@dataclass
class Cost:
    cpu_ms: float
    wall_ms: float
    rows: int


def say_events(project: Project, count: int) -> None:
    """Late feedback on rows of all ages."""
    reader = Reader(project)
    ids = [row[0] for row in reader.execute(f"SELECT id FROM {TABLE} USING SAMPLE {count} ROWS").rows]
    reader.close()
    writer = spool.writer(project, EVENTS, settings.current())
    for n, row_id in enumerate(ids):
        writer.append(
            "event",
            b'{"id":"%b","row_id":"%b","kind":"score","name":"helpful","value":%d}'
            % (clock.new_id().encode(), row_id.encode(), n % 2),
        )
    writer.rotate()
    compact(project, EVENTS)


def leave_tail(project: Project, traffic: Traffic) -> None:
    """Rows that stay in the spool: their segment is open."""
    writer = spool.writer(project, TABLE, settings.Settings(worker=False, segment_mb=4096, segment_age_s=1e9))
    written = 0
    with clock.use(now=traffic.now):
        while written < TAIL_BYTES:
            body = traffic.row()
            writer.append("row", body)
            written += len(body)


def questions(table: StreamTable) -> dict[str, Callable[[Reader], object]]:
    stored = ", ".join(f'"{name}"' for name in STORED)

    def last_50(reader: Reader) -> object:
        table._readers.clear()
        table._readers[os.getpid()] = reader
        return table.tail(50)

    def one_trace(reader: Reader) -> object:
        return reader.execute(f"SELECT {stored} FROM {TABLE} WHERE trace_id = ?", [table.some_trace]).rows  # type: ignore[attr-defined]

    return {
        "last 50 full rows": last_50,
        "one trace": one_trace,
        "percentiles per minute by model": _sql(
            "SELECT date_trunc('minute', started_at) AS minute, model, count(*), "
            "quantile_cont(latency_ms, [0.5, 0.95, 0.99]) FROM traces GROUP BY ALL"
        ),
        "prompt-length histogram": _sql("SELECT prompt_chars // 10 AS bin, count(*) FROM traces GROUP BY bin"),
        "10k embeddings of 384 floats": _embeddings,
        "join with 100k late events": _sql(
            "SELECT model, avg(number), count(*) FROM traces JOIN scores ON scores.row_id = traces.id GROUP BY model",
            (TABLE, EVENTS),
        ),
    }


def _sql(sql: str, tables: tuple[str, ...] = (TABLE,)) -> Callable[[Reader], object]:
    return lambda reader: reader.execute(sql, tables=tables).rows


def _embeddings(reader: Reader) -> object:
    import numpy as np

    rows = reader.execute("SELECT embedding FROM traces WHERE embedding IS NOT NULL LIMIT 10000").rows
    return np.frombuffer(b"".join(row[0] for row in rows), dtype="<f4").reshape(len(rows), 384)


def cost(work: Callable[[], object]) -> Cost:
    cpu, wall = _cpu(), time.perf_counter()
    answer = work()
    size = len(answer) if hasattr(answer, "__len__") else 0  # type: ignore[arg-type]
    return Cost((_cpu() - cpu) * 1000, (time.perf_counter() - wall) * 1000, size)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(project: Project, table: StreamTable, title: str) -> dict[str, Cost]:
    """Cold once, then the median of five warm runs of each question."""
    say(f"\n{title}\n{'':36}{'cold cpu':>10}{'cold wall':>11}{'warm cpu':>10}{'warm wall':>11}   rows")
    warm: dict[str, Cost] = {}
    for name, ask in questions(table).items():
        reader = Reader(project)
        cold = cost(lambda r=reader, a=ask: a(r))
        runs = sorted((cost(lambda r=reader, a=ask: a(r)) for _ in range(5)), key=lambda c: c.cpu_ms)
        warm[name] = runs[2]
        table._readers.clear()
        reader.close()
        say(
            f"{name:36}{cold.cpu_ms:>7.0f} ms{cold.wall_ms:>8.0f} ms{runs[2].cpu_ms:>7.0f} ms{runs[2].wall_ms:>8.0f} ms"
            f"   {cold.rows:,}"
        )
    return warm


def run(rows: int, store: Path) -> dict[str, Cost]:
    settings.use(settings.load(store=str(store), worker=False, retention_days=0, max_store_gb=0))
    project = open_store(store).project("local", "bench")
    traffic = Traffic(rows)
    fill(project, rows, traffic, say)
    say_events(project, min(100_000, rows // 2))
    table = StreamTable(TABLE, project_name="bench", entity_name="local", store=store)
    reader = Reader(project)
    found = reader.execute(f"SELECT trace_id FROM {TABLE} USING SAMPLE 1 ROWS").rows
    table.some_trace = found[0][0]  # type: ignore[attr-defined]
    files = reader.snapshot(TABLE).rows
    reader.close()
    say(f"{rows:,} rows in {len(files)} files, {sum(file.size for file in files) / 1e9:.2f} GB")
    measure(project, table, "without a tail")
    leave_tail(project, traffic)
    return measure(project, table, f"with a spool tail of {TAIL_BYTES >> 20} MB")


def verdict(rows: int, warm: dict[str, Cost]) -> bool:
    """The bar: 250 ms CPU at a million rows, twice that at five million."""
    bar = BAR_MS * (2 if rows > 1_000_000 else 1)
    worst = max(warm["last 50 full rows"].cpu_ms, warm["one trace"].cpu_ms)
    print(f"worst of last-50 and one-trace, warm, with tail: {worst:.0f} ms CPU at {rows:,} rows (bar {bar} ms)")
    return worst < bar


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--store", type=Path, help="keep the data here; default: a directory that is deleted")
    options.add_argument("--quick", action="store_true", help="200,000 rows, under 45 s")
    options.add_argument("--check", action="store_true", help="exit 1 when the bar is missed")
    chosen = options.parse_args()
    rows = 200_000 if chosen.quick else chosen.rows
    store = chosen.store or Path(tempfile.mkdtemp(prefix="llmwatch-query-"))
    try:
        fine = verdict(rows, run(rows, store))
    finally:
        if chosen.store is None:
            shutil.rmtree(store, ignore_errors=True)
    return 0 if fine or not chosen.check else 1


if __name__ == "__main__":
    sys.exit(main())
