"""The trace server as a web application: what it takes, what it refuses and how, and that reading keeps no write waiting."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from weave.trace_server_bindings.client_interface import TraceServerClientInterface

from llmwatch import settings
from llmwatch.backend.server import LocalTraceServer
from llmwatch.serve import app, endpoints, requests, shapes
from llmwatch.serve.requests import BadBody
from llmwatch.store import open_store
from llmwatch.stream import spool

PROJECT = {"project_id": "local/p"}
CALL = {
    "id": "c1",
    "trace_id": "t1",
    "op_name": "op",
    "started_at": "2026-01-01T00:00:00Z",
    "ended_at": "2026-01-01T00:00:01Z",
    "attributes": {},
    "inputs": {"q": 1},
    "output": [1, None],
    "summary": {},
}
START = {k: CALL[k] for k in ("id", "trace_id", "op_name", "started_at", "attributes", "inputs")}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    yield open_store(tmp_path_factory.mktemp("served") / "store")
    spool.close_all()


@pytest.fixture(scope="module")
def client(store):
    served = app.application(store, settings.load(worker=False), max_body=1 << 20)
    with TestClient(served, base_url="http://localhost") as client:
        yield client


def read(client, project, **req):
    answer = client.post("/calls/stream_query", json={"project_id": project, **req})
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.parametrize("prefix", app.PREFIXES)
def test_calls_come_in_every_way_that_clients_send_them(client, prefix):
    project = f"local/ways{len(prefix)}"
    start = {**START, "project_id": project}
    end = {
        "project_id": project,
        "id": "c1",
        "ended_at": CALL["ended_at"],
        "output": 1,
        "summary": {},
    }
    assert client.post(f"{prefix}/call/start", json={"start": start}).json() == {
        "id": "c1",
        "trace_id": "t1",
    }
    assert client.post(f"{prefix}/call/end", json={"end": end}).status_code == 200
    batch = [
        {"mode": "start", "req": {"start": {**start, "id": "c2"}}},
        {"mode": "end", "req": {"end": {**end, "id": "c2"}}},
    ]
    assert len(client.post(f"{prefix}/call/upsert_batch", json={"batch": batch}).json()["res"]) == 2
    path = f"{prefix}/v2/{project}"
    complete = {"batch": [{**CALL, "id": "c3", "project_id": "other/project"}]}
    assert client.post(f"{path}/calls/complete", json=complete).status_code == 200
    one = {k: v for k, v in start.items() if k != "project_id"}
    assert (
        client.post(
            f"{path}/call/start", json={"start": {**one, "id": "c4", "project_id": project}}
        ).status_code
        == 200
    )
    assert [call["id"] for call in read(client, project)] == ["c1", "c2", "c3", "c4"]


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_bodies_may_be_packed(client, encoding, packed):
    body = packed(json.dumps(PROJECT).encode())
    answer = client.post("/calls/query_stats", content=body, headers={"content-encoding": encoding})
    assert answer.status_code == 200


class TestBadBodies:
    @pytest.mark.parametrize(
        ("body", "status", "reason"),
        [
            (b"", 422, "project_id is missing"),
            (b"{", 400, "not JSON"),
            (b"[" * 100_000, 400, "not JSON"),
            (b"[]", 422, "a JSON object"),
            (b'{"project_id": 3}', 422, "project_id is text, not 3"),
            (b'{"project_id": "a/b", "limit": 1.5}', 422, "limit is a whole number"),
            (b'{"project_id": "a/b", "limit": 1e999}', 422, "limit is a whole number"),
            (
                b'{"project_id": "a/b", "filter": {"op_names": "x"}}',
                422,
                "filter.op_names is a list",
            ),
            (
                b'{"project_id": "a/b", "sort_by": [{"field": "id"}]}',
                422,
                r"sort_by[0].direction is missing",
            ),
            (b'{"project_id": "a/b", "query": []}', 422, "query is an object"),
            (b'{"project_id": "a/b", "query": {"$expr": {"$x": 1}}}', 400, "no operation"),
            (b'{"project_id": "../../etc"}', 400, ""),
            (b'{"project_id": "nothing"}', 400, ""),
        ],
    )
    def test_is_refused_with_a_reason(self, client, body, status, reason):
        answer = client.post("/calls/stream_query", content=body)
        assert answer.status_code == status
        assert reason in answer.json()["reason"]

    def test_a_bad_call_loses_none_of_the_others(self, client):
        """A client splits a batch that is refused as invalid until only what is wrong is left."""
        batch = [{**CALL, "id": f"g{n}", **PROJECT} for n in range(3)]
        bad = {**batch[1], "started_at": "yesterday"}
        answer = client.post("/v2/local/split/calls/complete", json={"batch": [batch[0], bad]})
        assert (answer.status_code, "batch[1].started_at" in answer.json()["reason"]) == (422, True)
        assert read(client, "local/split") == []

    def test_gzip_of_several_parts_is_unpacked_whole(self):
        assert (
            requests.unpacked(gzip.compress(b'{"a":') + gzip.compress(b"1}"), "gzip") == b'{"a":1}'
        )
        with pytest.raises(BadBody, match="more than 100 parts"):
            requests.unpacked(gzip.compress(b"") * 101, "gzip")

    def test_a_bomb_is_not_unpacked(self, monkeypatch):
        bomb = gzip.compress(b"0" * 10_000_000)
        with pytest.raises(BadBody, match="larger than 1000 bytes when unpacked"):
            requests.unpacked(bomb, "gzip", limit=1000)

    @pytest.mark.parametrize(
        ("body", "encoding"),
        [(b"x", "gzip"), (gzip.compress(b"{}" * 99)[:-9], "gzip"), (b"x", "br")],
        ids=["not gzip", "cut off", "unknown"],  # a gzip file holds the time it was made
    )
    def test_what_cannot_be_unpacked_is_refused(self, client, body, encoding):
        answer = client.post(
            "/calls/query_stats", content=body, headers={"content-encoding": encoding}
        )
        assert answer.status_code in {400, 415}

    def test_one_over_the_limit_is_refused(self, client):
        answer = client.post("/calls/query_stats", content=b"x" * ((1 << 20) + 1))
        assert answer.status_code == 413

    def test_a_file_needs_a_project(self, client):
        assert client.post("/file/create", files={"file": b"x"}).status_code == 422
        assert client.post("/file/create", content=b"x").status_code in {400, 422}


class TestAnswers:
    def test_a_file_comes_back_byte_for_byte(self, client):
        content = bytes(range(256)) * 1000
        made = client.post("/file/create", files={"file": ("f", content)}, data=PROJECT).json()
        assert client.post("/file/content", json={**PROJECT, **made}).content == content
        wrong = {**PROJECT, "expected_digest": "x" * 43}
        assert (
            client.post("/file/create", files={"file": ("f", b"other")}, data=wrong).status_code
            == 409
        )

    def test_not_there_deleted_and_not_offered_are_told_apart(self, client):
        missing = client.post("/obj/read", json={**PROJECT, "object_id": "no", "digest": "latest"})
        assert (missing.status_code, "deleted_at" in missing.json()) == (404, False)
        obj = {**PROJECT, "object_id": "gone", "val": 1}
        client.post("/obj/create", json={"obj": obj})
        client.post("/obj/delete", json={**PROJECT, "object_id": "gone"})
        deleted = client.post("/obj/read", json={**PROJECT, "object_id": "gone", "digest": "v0"})
        assert (deleted.status_code, "deleted_at" in deleted.json()) == (404, True)
        for path in ("/completions/create", "/agents/query", "/traces/annotation_queues/query"):
            answer = client.post(path, json=PROJECT)
            assert answer.status_code == 404
            assert "not available on the local backend" in answer.json()["reason"]

    def test_parameters_of_the_path_and_the_url_are_as_good_as_the_bodys(self, client):
        rows = [{"q": 1}]
        for name in ("one", "two"):
            client.post("/v2/local/p/datasets", json={"name": name, "rows": rows})
        listed = client.get(
            "/v2/local/p/datasets", params={"limit": 1, "offset": 1}
        ).text.splitlines()
        assert [json.loads(each)["object_id"] for each in listed] == ["two"]
        assert client.request(
            "DELETE", "/v2/local/p/datasets/two", params={"digests": ["v0"]}
        ).json() == {"num_deleted": 1}
        client.put("/objs/one/aliases", json={**PROJECT, "digest": "v0", "aliases": ["prod"]})
        assert client.get("/aliases", params=PROJECT).json()["aliases"] == ["prod"]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("query DefaultEntity { viewer { username defaultEntity { name } } }", "local"),
            ("query Project($name: String!) { project(name: $name) { name } }", "bot"),
            ("mutation UpsertModel { upsertModel(input: {}) { model { name } } }", "bot"),
        ],
    )
    def test_the_little_graphql_that_clients_ask(self, client, query, expected):
        answer = client.post("/graphql", json={"query": query, "variables": {"name": "bot"}})
        assert expected in json.dumps(answer.json()["data"])

    @pytest.mark.parametrize("asked", [{}, [], {"query": 3}, {"query": "{ secrets { all } }"}])
    def test_any_other_graphql_is_an_error_of_graphql(self, client, asked):
        assert "errors" in client.post("/graphql", json=asked).json()


def test_every_endpoint_leads_to_a_method_of_weaves_and_knows_its_request():
    methods = {name for name in vars(TraceServerClientInterface) if not name.startswith("_")}
    for endpoint in endpoints.TABLE:
        assert endpoint.method in methods, endpoint
        if endpoint.params is not None:
            assert shapes.problem(None, endpoint.params) == "the body is an object, not None"


def test_queries_that_take_long_keep_no_write_waiting(store, monkeypatch):
    """More slow queries than there are threads for reading; a write is answered before any of them."""
    asked, done = threading.Semaphore(0), threading.Event()

    def slow(self, req):
        asked.release()
        done.wait(60)
        return iter(())

    monkeypatch.setattr(LocalTraceServer, "call_values", slow)
    served = app.application(store, settings.load(worker=False))

    async def ask():
        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            query = {"project_id": "local/slow"}
            reads = [
                asyncio.create_task(client.post("/calls/stream_query", json=query, timeout=120))
                for _ in range(app.READS_AT_ONCE * 2)
            ]
            await asyncio.to_thread(
                lambda: [asked.acquire(timeout=60) for _ in range(app.READS_AT_ONCE)]
            )
            batch = {"batch": [{**CALL, **query}]}
            wrote = await client.post("/v2/local/slow/calls/complete", json=batch, timeout=60)
            waiting = sum(not each.done() for each in reads)
            done.set()
            await asyncio.gather(*reads)
            return wrote.status_code, waiting

    assert asyncio.run(ask()) == (200, app.READS_AT_ONCE * 2)


some_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
SKELETONS = {
    "CallStartParams": {"start": {**START, **PROJECT}},
    "CallEndParams": {
        "end": {**PROJECT, "id": "c", "ended_at": "2026-01-01T00:00:00Z", "summary": {}}
    },
    "V2CallCompleteParams": {"batch": [{**CALL, **PROJECT}]},
    "CallStatsParams": {
        **PROJECT,
        "start": "2026-01-01T00:00:00Z",
        "call_metrics": [{"metric": "latency_ms"}],
    },
    "FeedbackCreateParams": {
        **PROJECT,
        "weave_ref": "weave:///local/p/call/c",
        "feedback_type": "t",
        "payload": {},
    },
    "ObjectCreateParams": {"obj": {**PROJECT, "object_id": "o", "val": {}}},
    "TableCreateParams": {"table": {**PROJECT, "rows": [{}]}},
    "CostCreateParams": {
        **PROJECT,
        "costs": {"m": {"prompt_token_cost": 1, "completion_token_cost": 1}},
    },
}


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_body_makes_the_server_fail(client, data):
    """Whatever a body holds, in whole or in one of its places, the answer is an answer or a refusal."""
    endpoint = data.draw(st.sampled_from([e for e in endpoints.TABLE if e.verb == "POST"]))
    body = json.loads(json.dumps(SKELETONS.get(endpoint.params, PROJECT)))
    at = body
    while data.draw(st.booleans()) and isinstance(at, dict) and at:
        inner = at[data.draw(st.sampled_from(sorted(at)))]
        at = (
            inner[0]
            if isinstance(inner, list) and inner
            else inner
            if isinstance(inner, dict)
            else at
        )
    if isinstance(at, dict):
        at[
            data.draw(
                st.sampled_from(
                    [*at, "filter", "query", "summary", "attributes", "refs", "call_ids"]
                )
            )
        ] = data.draw(some_json)
    path = endpoint.path.replace("{entity}", "local").replace("{project}", "p")
    answer = client.post(path.replace("{", "").replace("}", ""), json=body)
    assert answer.status_code < 500, (path, body, answer.text)
