"""`api/...`: what the watch makes of the rows of requests, by route."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")

from fastapi import FastAPI, HTTPException
from starlette.testclient import TestClient

import llmwatch
from llmwatch.integrations.asgi import Middleware
from llmwatch.watch import Api, Latency, MetricSet, measure
from llmwatch.watch.declarations import metric_set


@pytest.fixture
def client(llmwatch_store):
    llmwatch.init("shop")
    app = FastAPI()
    app.add_middleware(Middleware)

    @app.get("/users/{user}")
    def users(user: int):
        if user == 3:
            raise HTTPException(503)
        return greet(user)

    @app.get("/")
    def home():
        return "hello"

    yield TestClient(app)
    llmwatch.finish()


@llmwatch.traced
def greet(user):
    return f"hello {user}"


API = MetricSet("api", "shop/traces", [Api(), Latency()])


def test_each_route_has_its_latency_status_and_success(client):
    for user in (1, 2, 3, 4):
        client.get(f"/users/{user}")
    client.get("/")
    found = measure("shop", API, "1h")
    assert found["api/total_requests"] == 5
    assert found["api/users/{user}/success"] == 0.75
    assert found["api/users/{user}/status"] == 200
    assert found["api/users/{user}/latency_ms"] > 0
    assert (found["api/success"], found["api/status"]) == (1, 200)
    assert len([name for name in found if name.startswith("api/")]) == 7


def test_a_service_that_another_calls_counts_its_requests_too(client):
    @llmwatch.traced
    def caller():
        client.get("/users/1", headers=llmwatch.current_row().headers)

    caller()
    found = measure("shop", API, "1h")
    assert (found["api/total_requests"], found["api/users/{user}/success"]) == (1, 1)


def test_parts_of_minutes_merge_to_what_all_give(client):
    from llmwatch.watch.families.api import ApiMeasure
    from llmwatch.watch.families.measure import Facts

    one = {"/a": [2, 1, 2, 30.0, {"200": 1, "500": 1}]}
    other = {"/a": [2, 2, 1, 30.0, {"200": 2}], "/b": [1, 1, 0, 0.0, {}]}
    told = ApiMeasure().values(ApiMeasure().merge([one, other]), Facts(60))
    assert told == {
        "api/total_requests": 5,
        "api/a/latency_ms": 20.0, "api/a/status": 200, "api/a/success": 0.75,
        "api/b/latency_ms": None, "api/b/status": None, "api/b/success": 1,
    }  # fmt: skip


def test_it_is_declared_as_any_family():
    assert metric_set({"name": "api", "api": True}, "a file").metrics == (Api(),)
