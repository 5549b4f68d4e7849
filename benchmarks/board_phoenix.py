"""Arize Phoenix's page over the same rows, for `board.py --phoenix PYTHON`: in an environment of its own, in the same run.

    python -m venv /tmp/phoenix && /tmp/phoenix/bin/pip install arize-phoenix
    python benchmarks/board.py --rows 1000000 --phoenix /tmp/phoenix/bin/python

Rows go in over OTLP, as Phoenix is fed, until they are in or the time is over; what is timed then is what its page has for
what ours does: to open the spans of a project, to sort them by latency, and to filter them by a condition.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from traffic import Traffic

READY = "() => document.querySelectorAll('tbody tr').length >= 10"
TIMES = 3
FEEDER = """
import json, sys, time, urllib.request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

def text(key, value): return KeyValue(key=key, value=AnyValue(string_value=value))

def span(row):
    number = bytes.fromhex(row["id"].replace("-", ""))
    return Span(trace_id=bytes.fromhex(row["trace_id"].replace("-", "")), span_id=number[8:], name=row["op_name"],
        start_time_unix_nano=row["started_at"] * 1000, end_time_unix_nano=row["ended_at"] * 1000, status=Status(code=1),
        attributes=[text("openinference.span.kind", "LLM"), text("llm.model_name", row["model"]), text("user.id", row["user_id"]),
            text("input.value", json.dumps(row["inputs"])), text("output.value", json.dumps(row["output"]))])

address, path, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
began, batch, sent = time.time(), [], 0
def send():
    global sent
    spans = ScopeSpans(spans=batch)
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=Resource(), scope_spans=[spans])]).SerializeToString()
    request = urllib.request.Request(address + "/v1/traces", body, {"content-type": "application/x-protobuf"})
    while time.time() - began < seconds:
        try:
            urllib.request.urlopen(request, timeout=60).read(); sent += len(batch); break
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503): raise
            time.sleep(0.5)
    batch.clear()
for line in open(path):
    batch.append(span(json.loads(line)))
    if len(batch) == 400: send()
    if time.time() - began > seconds: break
if batch: send()
print(sent)
"""


def compare(
    browser: Any, python: str, rows: int, seconds: float, say: Callable[[str], None]
) -> None:
    """Feed Phoenix for so long at most, then time its page."""
    with tempfile.TemporaryDirectory(prefix="phoenix-") as name:
        directory = Path(name)
        with served(python, directory) as address:
            sent, took = _fed(python, directory, address, rows, seconds)
            held = _settled(address)
            say(f"\nPhoenix: sent {sent:,} of {rows:,} spans in {took:.0f} s, has {held:,}")
            for act, times in _timed(browser, address).items():
                median = (
                    f"{statistics.median(times):>7.0f} ms" if times else "  not found on its page"
                )
                say(f"{act:27}{median}")


@contextmanager
def served(python: str, directory: Path) -> Iterator[str]:
    ports = [_free_port(), _free_port()]
    environment = {
        **os.environ,
        "PHOENIX_WORKING_DIR": str(directory),
        "PHOENIX_PORT": str(ports[0]),
        "PHOENIX_GRPC_PORT": str(ports[1]),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    environment.pop("PYTHONPATH", None)
    command = [python, "-m", "phoenix.server.main", "serve"]
    log = (directory / "server.log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=directory)
    address = f"http://127.0.0.1:{ports[0]}"
    try:
        _wait(address, process, directory / "server.log")
        yield address
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _wait(address: str, process: subprocess.Popen[Any], log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=2).read()
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(log.read_text(encoding="utf-8")[-2000:]) from None
            time.sleep(0.5)
        else:
            return
    raise RuntimeError("Phoenix did not come up in two minutes")


def _fed(
    python: str, directory: Path, address: str, rows: int, seconds: float
) -> tuple[int, float]:
    traffic, path = Traffic(rows), directory / "rows.jsonl"
    traffic.start = int(time.time() - 86_400) * 1_000_000  # its page shows the last days only
    with path.open("wb") as out:
        for _ in range(min(rows, 200_000)):  # more than it takes in the time there is
            out.write(traffic.row() + b"\n")
    began = time.perf_counter()
    command = [python, "-c", FEEDER, address, str(path), str(seconds)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
    return int(done.stdout.strip() or 0), time.perf_counter() - began


def _settled(address: str) -> int:
    """How many spans it has, once that number stands still: it writes them behind."""
    query = json.dumps({"query": "{ projects { edges { node { recordCount } } } }"}).encode()
    before, still = -1, 0
    while still < 3:
        request = urllib.request.Request(
            f"{address}/graphql", query, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            edges = json.load(answer)["data"]["projects"]["edges"]
        now = sum(edge["node"]["recordCount"] for edge in edges)
        still, before = (still + 1, now) if now == before else (0, now)
        time.sleep(2)
    return before


def _timed(browser: Any, address: str) -> dict[str, list[float]]:
    spans = f"{address}/projects/UHJvamVjdDox/spans"  # the first project, as its page names it
    took: dict[str, list[float]] = {
        "first render": [],
        "sort by latency": [],
        "filter by a condition": [],
    }
    for _ in range(TIMES):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(60_000)
        began = time.perf_counter()
        page.goto(spans, wait_until="commit")
        page.wait_for_function(READY)
        took["first render"].append((time.perf_counter() - began) * 1000)
        for name, act in (("sort by latency", _sort), ("filter by a condition", _filter)):
            try:
                took[name].append(_answered(page, act))
            except Exception as error:  # noqa: BLE001 - its page may have changed: say so instead of a number
                sys.stderr.write(f"phoenix, {name}: {str(error)[:200]}\n")
        page.context.close()
    return took


def _answered(page: Any, act: Callable[[Any], None]) -> float:
    """From the act to two frames after its answer came over the line."""
    began = time.perf_counter()
    with page.expect_response(lambda answer: "graphql" in answer.url, timeout=60_000) as answered:
        act(page)
    answered.value.finished()
    page.wait_for_function(READY)
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    return (time.perf_counter() - began) * 1000


def _sort(page: Any) -> None:
    page.locator("th", has_text="latency").first.click()


def _filter(page: Any) -> None:
    page.locator(".cm-content").first.click()
    page.keyboard.type("attributes['llm.model_name'] == 'large-1'")
    page.keyboard.press("Enter")
