"""Eight threads in each of four processes hammer one backend: nothing fails, nothing is lost, digests are Weave's.

    python benchmarks/hammer.py --minutes 2
    python benchmarks/hammer.py --quick --check      # 20 seconds

Each thread starts and ends calls in any order (an end before its start, too), sends some again as a client does after a time-out,
says feedback, publishes objects, tables and files, and queries; meanwhile the store's worker compacts and merges. Every fourth process speaks
HTTP to a server, the others have the backend in process. At the end every call, feedback and object that was acknowledged is looked for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["WANDB_ERROR_REPORTING"] = "false"

PROJECT = "local/hammer"
PROCESSES, THREADS = 4, 8
OPS = [f"weave:///{PROJECT}/op/{name}:v1" for name in ("answer", "retrieve", "rank")]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--quick", action="store_true", help="20 seconds")
    parser.add_argument(
        "--check", action="store_true", help="fail when anything was lost or failed"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        problems = hammer(Path(scratch) / "store", 20 if args.quick else args.minutes * 60)
    print("\n".join(problems[:20]))
    print(
        f"MISSED: {len(problems)} problems"
        if problems
        else "no error, no lost call, digests equal to Weave's"
    )
    return 1 if problems and args.check else 0


def hammer(store: Path, seconds: float) -> list[str]:
    worker = started("up", store)
    server = started("serve", store, "--port", "0", stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip().partition("=")[2]
    try:
        found = blows(store, url, seconds)
    finally:
        for process in (server, worker):
            process.terminate()
            process.wait(timeout=60)
    problems = [problem for each in found for problem in each["problems"]]
    print(f"{PROCESSES} processes, {THREADS} threads each, {seconds:.0f} s:", summed(found))
    return problems + missing(store, found)


def started(command: str, store: Path, *more: str, **options: Any) -> subprocess.Popen:
    program = [sys.executable, "-m", "llmwatch", command, "--store", str(store), *more]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    return subprocess.Popen(program, cwd=ROOT, **quiet)


def blows(store: Path, url: str, seconds: float) -> list[dict[str, Any]]:
    context = mp.get_context("spawn")
    with context.Pool(PROCESSES) as pool:
        asked = [(str(store), url if n == 0 else None, n, seconds) for n in range(PROCESSES)]
        return pool.starmap(one_process, asked)


def one_process(store: str, url: str | None, number: int, seconds: float) -> dict[str, Any]:
    server = connect(store, url)
    until = time.monotonic() + seconds
    told = [Blows(server, random.Random(number * 100 + n)) for n in range(THREADS)]
    threads = [threading.Thread(target=each.until, args=(until,)) for each in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    merged: dict[str, Any] = {
        "calls": {},
        "feedback": [],
        "objects": {},
        "problems": [],
        "queries": 0,
    }
    for each in told:
        merged["calls"] |= each.calls
        merged["feedback"] += each.feedback
        merged["objects"] |= each.objects
        merged["problems"] += each.problems
        merged["queries"] += each.queries
    return merged


def connect(store: str, url: str | None) -> Any:
    if url is not None:
        from weave.trace_server_bindings.remote_http_trace_server import RemoteHTTPTraceServer

        return RemoteHTTPTraceServer(url)
    from llmwatch import settings
    from llmwatch.backend.server import LocalTraceServer
    from llmwatch.store import open_store

    return LocalTraceServer(
        open_store(store), settings.load(worker=False, segment_mb=1, segment_age_s=2)
    )


class Blows:
    """One thread, and what was acknowledged to it."""

    def __init__(self, server: Any, chance: random.Random) -> None:
        self._server, self._chance = server, chance
        self.calls: dict[str, Any] = {}
        self.feedback: list[str] = []
        self.objects: dict[str, str] = {}
        self.problems: list[str] = []
        self.queries = 0

    def until(self, end: float) -> None:
        from weave.utils.ids import generate_id

        self._new_id = generate_id
        doings = (
            [self.halves] * 4
            + [self.whole] * 3
            + [self.say] * 2
            + [self.publish, self.upload, self.ask]
        )
        while time.monotonic() < end:
            try:
                self._chance.choice(doings)()
            except Exception:  # noqa: BLE001 - an error is what is looked for
                self.problems.append(traceback.format_exc(limit=4))

    def halves(self) -> None:
        """The two halves of some calls, shuffled, some of them twice."""
        halves = [half for _ in range(4) for half in self._halves()]
        self._chance.shuffle(halves)
        for half in halves:
            for _ in range(1 + (self._chance.random() < 0.05)):
                (self._server.call_start if "start" in half else self._server.call_end)(half)
        for half in halves:
            if "end" in half:
                self.calls[half["end"]["id"]] = half["end"]["output"]

    def _halves(self) -> list[dict[str, Any]]:
        call = self._call()
        keys = ("project_id", "id", "ended_at", "output", "summary", "exception")
        start = {key: call[key] for key in call if key not in keys[2:]}
        return [{"start": start}, {"end": {key: call[key] for key in keys}}]

    def whole(self) -> None:
        """A batch of whole calls, now and then sent again."""
        batch = [self._call() for _ in range(self._chance.randrange(1, 12))]
        for _ in range(1 + (self._chance.random() < 0.1)):
            self._server.calls_complete({"batch": batch})
        self.calls |= {call["id"]: call["output"] for call in batch}

    def _call(self) -> dict[str, Any]:
        call_id, now = self._new_id(), datetime.now(timezone.utc)
        return {
            "project_id": PROJECT,
            "id": call_id,
            "trace_id": call_id,
            "parent_id": None,
            "op_name": self._chance.choice(OPS),
            "started_at": now - timedelta(milliseconds=self._chance.randrange(1000)),
            "ended_at": now,
            "attributes": {"n": self._chance.randrange(100)},
            "inputs": {"text": "x" * self._chance.randrange(2000)},
            "output": self._chance.randrange(2**60),
            "exception": None,
            "summary": {},
        }

    def say(self) -> None:
        if not self.calls:
            return
        call_id, feedback_id = self._chance.choice(list(self.calls)[-50:]), self._new_id()
        self._server.feedback_create_batch(
            {
                "batch": [
                    {
                        "project_id": PROJECT,
                        "id": feedback_id,
                        "weave_ref": f"weave:///{PROJECT}/call/{call_id}",
                        "feedback_type": "rating",
                        "payload": {"value": self._chance.randrange(6)},
                    }
                ]
            }
        )
        self.feedback.append(feedback_id)

    def publish(self) -> None:
        """An object under a name that everybody uses, and a table; their digests have to be Weave's."""
        from weave.trace.serialization import digest

        name, val = (
            f"config-{self._chance.randrange(5)}",
            {"v": self._chance.randrange(1000), "é": [None, 1.5]},
        )
        made = self._server.obj_create(
            {"obj": {"project_id": PROJECT, "object_id": name, "val": val}}
        )
        self._expect(made.digest, digest.compute_object_digest(val), "an object")
        self.objects[f"{name}:{made.digest}"] = json.dumps(val, sort_keys=True)
        read = self._server.obj_read(
            {"project_id": PROJECT, "object_id": name, "digest": made.digest}
        ).obj.val
        self._expect(read, val, "an object read back")
        rows = [{"n": self._chance.randrange(50)} for _ in range(5)]
        table = self._server.table_create({"table": {"project_id": PROJECT, "rows": rows}})
        expected = [digest.compute_row_digest(row) for row in rows]
        self._expect(table.row_digests, expected, "rows")
        self._expect(table.digest, digest.compute_table_digest(expected), "a table")

    def upload(self) -> None:
        from weave.trace.serialization import digest

        content = self._chance.randbytes(self._chance.randrange(1, 5000))
        made = self._server.file_create({"project_id": PROJECT, "file": ("f", content)})
        self._expect(made.digest, digest.compute_file_digest(content), "a file")
        read = self._server.file_content_read({"project_id": PROJECT, "digest": made.digest})
        self._expect(read.content, content, "a file read back")

    def ask(self) -> None:
        """What was acknowledged is there at once, and once."""
        self.queries += 1
        mine = list(self.calls)[-20:]
        asked = (
            {"project_id": PROJECT, "filter": {"call_ids": mine}}
            if mine
            else {"project_id": PROJECT, "limit": 10}
        )
        found = [
            call.id for call in self._server.calls_query_stream({**asked, "include_feedback": True})
        ]
        if mine:
            self._expect(sorted(found), sorted(mine), "calls just recorded")
        query = {"$expr": {"$gt": [{"$getField": "attributes.n"}, {"$literal": 95}]}}
        order = [{"field": "attributes.n", "direction": "desc"}]
        list(
            self._server.calls_query_stream(
                {"project_id": PROJECT, "query": query, "sort_by": order, "limit": 20}
            )
        )

    def _expect(self, found: Any, expected: Any, what: str) -> None:
        if found != expected:
            self.problems.append(f"{what}: {str(found)[:200]} instead of {str(expected)[:200]}")


def summed(found: list[dict[str, Any]]) -> str:
    counts = {
        name: sum(len(each[name]) for each in found) for name in ("calls", "feedback", "objects")
    }
    queries = sum(each["queries"] for each in found)
    return (
        ", ".join(f"{count:,} {name}" for name, count in counts.items())
        + f", {queries:,} rounds of queries"
    )


def missing(store: Path, found: list[dict[str, Any]]) -> list[str]:
    """What is not there once, as it was acknowledged, when all is over."""
    server = connect(str(store), None)
    calls = {id_: output for each in found for id_, output in each["calls"].items()}
    read: dict[str, Any] = {}
    problems = []
    for call in server.calls_query_stream({"project_id": PROJECT}):
        if call.id in read:
            problems.append(f"call {call.id} is there twice")
        read[call.id] = call.output
    # a thread that was cut off between the halves of a call has not counted it
    problems += [
        f"call {id_} is lost or changed" for id_, output in calls.items() if read.get(id_) != output
    ]
    said = [row["id"] for row in server.feedback_query({"project_id": PROJECT}).result]
    acknowledged = {id_ for each in found for id_ in each["feedback"]}
    problems += [f"feedback {id_} is lost" for id_ in acknowledged - set(said)]
    problems += ["feedback is there twice"] if len(said) != len(set(said)) else []
    for name in {name for each in found for name in each["objects"]}:
        object_id, digest = name.split(":")
        if not server.holds(PROJECT, object_id, digest):
            problems.append(f"object {name} is lost")
    return problems


if __name__ == "__main__":
    sys.exit(main())
