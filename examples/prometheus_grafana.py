"""Metrics for Prometheus and Grafana, from an application that serves its own /metrics.

    python examples/prometheus_grafana.py            # some traffic, one scrape, ends
    python examples/prometheus_grafana.py --serve    # until Ctrl-C, traffic all the while

Then `prometheus --config.file=examples/grafana/prometheus.yml`, and import into Grafana what `llmwatch watch --grafana` prints.
"""

from __future__ import annotations

import random
import sys
import threading
import time

import httpx
import uvicorn
from starlette.applications import Starlette

import llmwatch
from llmwatch import traced
from llmwatch.watch.sinks import prometheus

PORT = 9464
chance = random.Random(2)


@traced(kind="generation")
def answer(question: str) -> str:
    time.sleep(chance.expovariate(100))
    if chance.random() < 0.05:
        raise TimeoutError("the model did not answer")
    return question.upper()


def traffic(requests: int) -> None:
    for n in range(requests):
        with llmwatch.context(user_id=f"user-{n % 9}"):
            answer.call(f"question {n}")


def serving(port: int) -> uvicorn.Server:
    """An application of one's own, with the route in it; counting begins now."""
    app = Starlette(routes=[prometheus.route()])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.02)
    return server


def scraped(port: int) -> list[str]:
    told = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    return [line for line in told if not line.startswith("#")]


def main() -> None:
    llmwatch.init("example-prometheus", destination="local")
    forever = "--serve" in sys.argv
    server = serving(PORT if forever else 0)
    port = server.servers[0].sockets[0].getsockname()[1]
    traffic(1)
    scraped(port)  # counters of a project begin when it is first seen
    print(f"http://127.0.0.1:{port}/metrics")
    traffic(200)
    while forever:
        traffic(20)
    for line in scraped(port):
        if line.startswith(("inference_requests_total", "inference_errors_total")):
            print(line)
    server.should_exit = True


if __name__ == "__main__":
    main()
