"""Weave 0.53.12's in-memory trace server asked the questions of `backend.py`; run by the Python of its own environment.

It is the last release whose wheel has a server. The wheel misses one module of it, the names of model providers,
which no question here needs: it stands in as empty.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from pathlib import Path

os.environ["WANDB_ERROR_REPORTING"] = "false"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
for name in ("model_providers", "model_providers.model_providers"):
    stub = types.ModuleType(f"weave.trace_server.{name}")
    stub.__path__ = []
    stub.LLMModelProviderInfo = dict
    stub.VERTEX_PROVIDER_NAMES = frozenset()
    stub.read_model_to_provider_info_map = dict
    sys.modules[f"weave.trace_server.{name}"] = stub

import backend_calls as given  # noqa: E402
from weave.trace_server import trace_server_interface as tsi  # noqa: E402
from weave.trace_server.in_memory_trace_server import InMemoryTraceServer  # noqa: E402

INTERNAL = {
    f"weave:///{given.PROJECT}/": "weave-trace-internal:///backend/",
    given.PROJECT: "backend",
}


def internal(value):
    """Refs and projects as the server has them inside of W&B's service, which turns one into the other."""
    if isinstance(value, dict):
        return {key: internal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [internal(each) for each in value]
    for outside, inside in INTERNAL.items() if isinstance(value, str) else ():
        value = value.replace(outside, inside)
    return value


def main() -> None:
    count, repeats = int(sys.argv[1]), int(sys.argv[2])
    server = InMemoryTraceServer()
    filled = timed(lambda: fill(server, count))
    answers, seconds = {}, {"writing": filled}
    for name, requests in given.QUESTIONS.items():
        asked = [tsi.CallsQueryReq.model_validate(internal(request)) for request in requests]
        answers[name], seconds[name] = best(
            lambda asked=asked: [
                given.same(list(server.calls_query_stream(each))) for each in asked
            ],
            repeats,
        )
    stats = [tsi.CallsQueryStatsReq.model_validate(internal(request)) for request in given.STATS]
    answers["stats"], seconds["stats"] = best(
        lambda: [server.calls_query_stats(each).count for each in stats], repeats
    )
    series = tsi.CallStatsReq.model_validate(internal(given.SERIES))
    seconds["latency by hour"] = best(lambda: server.call_stats(series), repeats)[1]
    everything = tsi.CallsQueryReq.model_validate(internal(given.asked()))
    seconds["all of them, streamed"] = timed(
        lambda: sum(1 for _ in server.calls_query_stream(everything))
    )
    Path(sys.argv[3]).write_text(
        json.dumps({"seconds": seconds, "answers": answers}), encoding="utf-8"
    )


def fill(server: InMemoryTraceServer, count: int) -> None:
    for call in map(internal, given.calls(count)):
        start = {
            key: call[key]
            for key in call
            if key not in {"ended_at", "output", "exception", "summary"}
        }
        server.call_start(tsi.CallStartReq.model_validate({"start": start}))
        end = {
            key: call[key]
            for key in ("project_id", "id", "ended_at", "output", "exception", "summary")
        }
        server.call_end(tsi.CallEndReq.model_validate({"end": end}))
    for each in map(internal, given.feedback(count)):
        server.feedback_create(tsi.FeedbackCreateReq.model_validate(each))


def timed(do):
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def best(ask, repeats):
    found, times = None, []
    for _ in range(repeats):
        began = time.perf_counter()
        found = ask()
        times.append(time.perf_counter() - began)
    return found, min(times)


if __name__ == "__main__":
    main()
