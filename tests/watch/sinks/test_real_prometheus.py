"""A real Prometheus scrapes the endpoint and answers every query of the dashboard that `llmwatch watch --grafana` prints."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

import llmwatch
from llmwatch import clock
from llmwatch.stream.table import StreamTable
from llmwatch.testing import temporary_store
from llmwatch.watch.sinks.resources import NAMES as SYSTEM

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
DASHBOARD = json.loads((ROOT / "llmwatch" / "watch" / "sinks" / "grafana.json").read_text("utf-8"))
SERVER = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
MINUTE_US = 60_000_000
METRICS = {
    "latency/p50_ms": 10.0, "latency/p95_ms": 20.0, "latency/p99_ms": 30.0, "predictions/confidence_mean": 0.8,
    "predictions/low_confidence_rate": 0.1, "performance/accuracy": 0.9, "performance/f1_score": 0.85,
    **dict.fromkeys(SYSTEM, 1.5),
}  # fmt: skip


def queries():
    """Every query, with the variables as Grafana fills them in when nothing is chosen."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            expr = re.sub(r"\$(project|table)\b", ".*", target["expr"])
            yield (
                panel["title"],
                expr.replace("$__rate_interval", "20s")
                .replace("[5m]", "[20s]")
                .replace("[1h]", "[20s]"),
            )


@pytest.mark.skipif(
    SERVER is None,
    reason="there is no prometheus: apt-get install prometheus, or apt-get download it, unpack it with dpkg -x, "
    "and name the program in PROMETHEUS",
)
@pytest.mark.parametrize(
    "served", ["watch --prometheus 127.0.0.1:{}", "board --no-open --port {}", "serve --port {}"]
)
def test_a_real_prometheus_answers_every_query_of_the_dashboard(tmp_path, served):
    with temporary_store(project="shop") as store:
        port = free_port()
        with (
            serving(store, port, served),
            prometheus(tmp_path, port) as ask,
        ):
            trace_id = traced_call(store)
            record(store, 19)
            until(lambda: ask("sum(inference_requests_total)") == [20.0])
            record(store, 20)
            until(lambda: ask("sum(inference_requests_total)") == [40.0])
            assert trace_id in exemplars(ask.port)
            answers = {(title, expr): ask(expr) for title, expr in queries()}
        assert [query for query, found in answers.items() if not found] == []
        assert not any(math.isnan(value) for found in answers.values() for value in found)
        (errors,) = answers[next(key for key in answers if key[0] == "Errors")]
        assert errors == pytest.approx(0.25, abs=0.02)
        (median,) = answers[next(key for key in answers if key[0] == "Latency")]
        assert 25 < median <= 50


def record(store, n):
    traces = StreamTable("shop/traces", store=store.root)
    for each in range(n):
        failed = {"exception_type": "TimeoutError", "status": "error"} if each % 4 == 0 else {}
        traces.log(
            {
                "model": "m",
                "latency_ms": 30.0,
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "cost_usd": 0.001,
                **failed,
            }
        )
    now = clock.now_us() // MINUTE_US * MINUTE_US
    StreamTable("shop/metrics", store=store.root).log(
        {
            "set": "traffic",
            "table": "traces",
            "window_start": now,
            "window_s": 60,
            "group": "{}",
            "n": n,
            "closed": True,
            **METRICS,
        }
    )


@contextmanager
def serving(store, port, served):
    """What has the endpoint, as a person starts it."""
    StreamTable("shop/traces", store=store.root).log({"question": "before"})
    name, *options = served.format(port).split()
    command = [sys.executable, "-m", "llmwatch", name, "--store", str(store.root), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LLMWATCH_WORKER": "false"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:  # fmt: skip
        try:
            until(lambda: b"inference_requests" in get(f"http://127.0.0.1:{port}/metrics"))
            yield
        finally:
            running.kill()


@contextmanager
def prometheus(directory, target):
    """The server, scraping each second; what asks it one query."""
    config = (ROOT / "examples" / "grafana" / "prometheus.yml").read_text("utf-8")
    assert "127.0.0.1:9464" in config
    config = config.replace("127.0.0.1:9464", f"127.0.0.1:{target}").replace("15s", "1s")
    (directory / "prometheus.yml").write_text(config, encoding="utf-8")
    port = free_port()
    with subprocess.Popen(
        [SERVER, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        try:
            until(lambda: get(f"http://127.0.0.1:{port}/-/ready"))
            yield Asking(port)
        finally:
            running.kill()


class Asking:
    def __init__(self, port):
        self.port = port

    def __call__(self, expr):
        return asked(self.port, expr)


def exemplars(port):
    """The trace ids that Prometheus kept beside the histogram."""
    span = {
        "start": time.time() - 300,
        "end": time.time() + 60,
        "query": "inference_latency_ms_bucket",
    }
    told = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query_exemplars?{urlencode(span)}"))
    return {e["labels"]["trace_id"] for series in told["data"] for e in series["exemplars"]}


def traced_call(store):
    """One call of a traced function; its trace."""
    llmwatch.init("shop", store=store.root)
    _, row = llmwatch.traced(lambda question: question).call("why?")
    llmwatch.finish()
    return row.trace_id


def asked(port, expr):
    told = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': expr})}"))
    assert told["status"] == "success", (expr, told)
    return [float(one["value"][1]) for one in told["data"]["result"]]


def get(url):
    try:
        with urlopen(url, timeout=10) as answer:
            return answer.read()
    except (URLError, ConnectionError):
        return b""


def until(is_so):
    for _ in range(400):
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail("it did not become so")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]
