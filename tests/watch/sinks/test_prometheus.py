"""The Prometheus endpoint: what it says, how much of it there may be, and who may ask."""

from __future__ import annotations

import asyncio
import sys

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from starlette.testclient import TestClient

import llmwatch
from llmwatch import clock, settings, traced
from llmwatch.board.server import guarded_app
from llmwatch.errors import SettingsError
from llmwatch.serve.app import application
from llmwatch.stream import events
from llmwatch.stream.table import StreamTable
from llmwatch.testing import temporary_store
from llmwatch.watch.sinks import counting, gauges, labels, prometheus

MINUTE_US = 60_000_000
HOSTILE = 'a"b\\c\n\x1b[31m<script>\ud800' + "x" * 5000


@pytest.fixture
def store():
    with temporary_store(project="shop") as made:
        yield made


@pytest.fixture
def exporter(store):
    StreamTable("shop/traces", store=store.root).log({"question": "before counting began"})
    made = prometheus.Exporter(store, settings.current())
    made.start()
    yield made
    made.close()


def samples(exporter, accept="", **wanted):
    text = exporter.exposition(accept)[0].decode()
    parsed = openmetrics(text) if accept else plain(text)
    return [
        sample
        for family in parsed
        for sample in family.samples
        if all(sample.labels.get(name) == value for name, value in wanted.items())
    ]


def value(exporter, name, **wanted):
    (found,) = [sample.value for sample in samples(exporter, **wanted) if sample.name == name]
    return found


def log(store, **row):
    return StreamTable("shop/traces", store=store.root).add(row)


def tell(store, start, said="traffic", group="{}", **values):
    named = {name.replace("__", "/"): told for name, told in values.items()}
    StreamTable("shop/metrics", store=store.root).log(
        {"set": said, "table": "traces", "window_start": start, "window_s": 60, "group": group,
         "n": 1, "closed": True, **named}
    )  # fmt: skip


def this_minute():
    return clock.now_us() // MINUTE_US * MINUTE_US


def test_calls_are_counted_from_when_counting_began(store, exporter):
    for latency in (3.0, 80.0, 700_000.0):
        log(store, latency_ms=latency, model="m")
    assert value(exporter, "inference_requests_total", model="m", status="success") == 3
    assert value(exporter, "inference_latency_ms_count", model="m") == 3
    assert value(exporter, "inference_latency_ms_sum", model="m") == 700_083.0
    for bound, count in (("5.0", 1), ("100.0", 2), ("300000.0", 2), ("+Inf", 3)):
        assert value(exporter, "inference_latency_ms_bucket", model="m", le=bound) == count


def test_a_second_scrape_counts_nothing_twice_and_only_adds_what_is_new(store, exporter):
    log(store, model="m")
    exporter.exposition()
    log(store, model="m")
    assert value(exporter, "inference_requests_total", model="m") == 2


def test_traced_calls_are_told_by_op_and_failures_by_category(store):
    llmwatch.init("shop", store=store.root)

    @traced
    def answer(question):
        if not question:
            raise ValueError("empty")
        return "yes"

    answer("publish the op")
    exporter = prometheus.Exporter(store, settings.current())
    exporter.start()
    answer("one")
    with pytest.raises(ValueError, match="empty"):
        answer("")
    told = {"op": "answer", "root": "true"}
    assert value(exporter, "inference_requests_total", status="success", **told) == 1
    assert value(exporter, "inference_requests_total", status="error", **told) == 1
    assert value(exporter, "inference_errors_total", category="invalid_input", **told) == 1
    exporter.close()
    llmwatch.finish()


def test_a_cost_that_a_score_says_later_is_added_once_and_a_row_s_own_comes_first(store, exporter):
    project = store.project("local", "shop")
    unknown = log(store, model="m")
    known = log(store, model="k", prompt_tokens=10, completion_tokens=5, cost_usd=0.5)
    said = {"prompt_tokens": 3, "completion_tokens": 4, "cost_usd": 0.25}
    for row_id in (unknown, known, unknown):
        exporter.exposition()
        events.add(
            project, kind="score", name="token_cost", value=said, row_id=row_id, table="traces"
        )
    assert value(exporter, "inference_cost_usd_total", model="m") == 0.25
    assert value(exporter, "inference_tokens_total", model="m", direction="output") == 4
    assert value(exporter, "inference_cost_usd_total", model="k") == 0.5
    assert value(exporter, "inference_tokens_total", model="k", direction="input") == 10


def test_what_is_not_known_has_no_sample(store, exporter):
    log(store, model="m")
    names = {sample.name for sample in samples(exporter, model="m")}
    assert names == {"inference_requests_total"}


def test_metrics_of_a_set_have_their_exact_names_with_underscores(store, exporter):
    tell(
        store,
        this_minute(),
        latency__p95_ms=12.5,
        errors__5xx_count=2,
        group='{"model":"m","set":"x"}',
    )
    found = {s.name: s for s in samples(exporter, set="traffic")}
    assert found["latency_p95_ms"].value == 12.5
    assert found["errors_5xx_count"].value == 2
    assert found["latency_p95_ms"].labels == {
        "project": "local/shop", "set": "traffic", "table": "traces", "window_s": "60", "model": "m", "group_set": "x",
    }  # fmt: skip


def test_what_the_drift_job_found_is_told_too(store, exporter):
    now = clock.now_us()
    run = {
        "kind": "job",
        "table": "traces",
        "verdict": "drift",
        "drift/prompt_length_p_value": 0.001,
    }
    StreamTable("shop/drift", store=store.root).log(
        {
            **run,
            "window_start_us": now - 60 * MINUTE_US,
            "window_end_us": now,
            "drift_detected": True,
        }
    )
    told = {"project": "local/shop", "set": "drift", "table": "traces", "window_s": "3600"}
    assert value(exporter, "drift_prompt_length_p_value", **told) == 0.001


def test_a_later_window_replaces_an_earlier_one_in_whatever_order_they_are_said(store, exporter):
    now = this_minute()
    tell(store, now, latency__p50_ms=2.0)
    tell(store, now - MINUTE_US, latency__p50_ms=1.0, performance__accuracy=0.5)
    assert value(exporter, "latency_p50_ms") == 2.0
    assert value(exporter, "performance_accuracy") == 0.5  # labels came late, and it is news
    tell(store, now, latency__p50_ms=3.0)
    assert value(exporter, "latency_p50_ms") == 3.0


def test_a_metric_that_nobody_tells_any_more_goes_away(store, exporter):
    tell(store, this_minute(), latency__p50_ms=2.0)
    assert value(exporter, "latency_p50_ms") == 2.0
    later = clock.now_us() + 10 * MINUTE_US
    with clock.use(now=lambda: later):
        assert [s for s in samples(exporter) if s.name == "latency_p50_ms"] == []


def test_exemplars_name_the_last_trace_of_a_bucket_where_openmetrics_is_asked_for(store):
    counts = counting.Counts()
    row = dict.fromkeys(("parent_id", "exception_type", "exception", *counting._NUMBERS))
    row |= {
        "id": "i",
        "trace_id": "t-1",
        "op": "",
        "model": "",
        "status": "success",
        "at": 5_000_000,
    }
    counts.add("p", "t", {**row, "latency_ms": 30.0})
    exporter = prometheus.Exporter(store, settings.current())
    exporter._counts = counts
    text = exporter.exposition("application/openmetrics-text")[0].decode()
    buckets = [s for f in openmetrics(text) for s in f.samples if s.exemplar]
    assert [(s.labels["le"], s.exemplar.labels, s.exemplar.value) for s in buckets] == [
        ("50.0", {"trace_id": "t-1"}, 30.0)
    ]
    assert "# {" not in exporter.exposition()[0].decode()


def test_labels_are_bounded_and_what_is_beyond_is_counted_as_other(store, exporter):
    for n in range(counting.MOST_SERIES + 30):
        log(store, model=f"model-{n}")
    told = [s for s in samples(exporter) if s.name == "inference_requests_total"]
    assert len(told) == counting.MOST_SERIES + 1
    assert value(exporter, "inference_requests_total", model=labels.OTHER) == 30
    assert value(exporter, "llmwatch_other_calls_total") == 30


def test_groups_of_a_set_are_bounded_and_the_rest_is_said(store, exporter):
    for n in range(gauges.MOST_GROUPS + 5):
        tell(store, this_minute(), group=f'{{"user":"u{n}"}}', latency__p50_ms=1.0)
    told = [s for s in samples(exporter) if s.name == "latency_p50_ms"]
    assert len(told) == gauges.MOST_GROUPS
    assert value(exporter, "llmwatch_left_out_rows_total", set="traffic") >= 5


def test_hostile_text_is_a_label_that_parses(store, exporter):
    log(store, model=HOSTILE)
    (found,) = [s for s in samples(exporter) if s.name == "inference_requests_total"]
    assert found.labels["model"].startswith('a"b\\c\n')
    assert len(found.labels["model"]) == labels.LONGEST


def test_who_is_not_on_this_machine_needs_a_token(store):
    exporter = prometheus.Exporter(store, settings.current())
    with pytest.raises(SettingsError, match="token"):
        prometheus.application(exporter, hosts=frozenset({"example.com"}))


@pytest.mark.parametrize("told", ["", "localhost", "host:", "host:x", "host:９"])
def test_an_address_without_a_port_is_said(told):
    with pytest.raises(SettingsError, match="HOST:PORT"):
        prometheus.address(told)


def test_a_route_answers_in_an_application_of_one_s_own(store):
    from starlette.applications import Starlette

    log(store, model="m")
    status, headers, body = asyncio.run(_get(Starlette(routes=[prometheus.route(store.root)])))
    assert status == 200
    assert headers[b"content-type"].startswith(b"text/plain")
    assert b"inference_requests" in body


async def _get(app):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/metrics", "raw_path": b"/metrics", "headers": [], "query_string": b"",
        "root_path": "", "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "http_version": "1.1",
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("served", ["board", "serve"])
def test_the_board_and_the_server_have_it_behind_their_guard(store, served):
    token = "a token that nobody guesses"
    app = guarded_app(store, settings.current(), token=token) if served == "board" else application(
        store, settings.current(), token=token
    )  # fmt: skip
    log(store, latency_ms=10.0)
    asking = TestClient(app, base_url="http://127.0.0.1")
    assert asking.get("/metrics").status_code == 401
    known = {"authorization": f"Bearer {token}"}
    assert "inference_requests_total{" not in asking.get("/metrics", headers=known).text
    log(store, latency_ms=10.0)
    found = asking.get("/metrics", headers=known)
    assert (found.status_code, "inference_requests_total{" in found.text) == (200, True)
    assert asking.get("/metrics", headers={**known, "host": "evil.example"}).status_code >= 400


def test_without_the_library_only_who_asks_for_metrics_is_told(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    asking = TestClient(application(store, settings.current()), base_url="http://127.0.0.1")
    found = asking.get("/metrics")
    assert (found.status_code, 'pip install "llmwatch[prometheus]"' in found.text) == (501, True)
    assert asking.get("/health").status_code == 200
