"""Requests to FastAPI and Starlette applications as rows, on a real server where the server matters."""

from __future__ import annotations

import asyncio
import http.client
import logging
import threading
import time
import urllib.parse

import pytest
from served import serving, until

fastapi = pytest.importorskip("fastapi")

from fastapi import BackgroundTasks, FastAPI, HTTPException, WebSocket  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.concurrency import run_in_threadpool  # noqa: E402
from starlette.middleware import Middleware as Layer  # noqa: E402
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: E402
from starlette.responses import PlainTextResponse, StreamingResponse  # noqa: E402
from starlette.routing import Mount, Route  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

import llmwatch  # noqa: E402
from llmwatch import StreamTable, faults, traced  # noqa: E402
from llmwatch.errors import SettingsError  # noqa: E402
from llmwatch.integrations.asgi import Middleware, feedback_route  # noqa: E402


@pytest.fixture
def recording(llmwatch_store):
    llmwatch.init("shop")
    TABLES.append(StreamTable("shop/traces"))  # one reader a test
    yield llmwatch_store
    TABLES.pop().finish()
    llmwatch.finish()


@traced(kind="generation")
def generate(question):
    return f"answer to {question}"


@traced
async def answer(question):
    await asyncio.sleep(0)
    return generate(question)


def application(**options):  # noqa: C901 - one endpoint a case
    app = FastAPI()
    app.add_middleware(Middleware, **options)

    @app.get("/ask/{topic}")
    async def ask(topic: str, q: str = "why?"):
        return {"answer": await answer(q)}

    @app.get("/sync/{n}")
    def in_a_thread(n: int):
        return {"answer": generate(str(n))}

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(slow_work, "afterwards")
        return {"ok": True}

    @app.get("/stream")
    async def stream():
        return StreamingResponse(chunks(), media_type="text/plain")

    @app.get("/refused")
    async def refused():
        raise HTTPException(429, "slow down")

    @app.get("/broken")
    async def broken():
        generate("before it broke")
        raise ValueError("the endpoint's own")

    @app.get("/health")
    async def health():
        return {"ok": True}

    @app.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()
        await socket.send_text(generate(await socket.receive_text()))
        await socket.close()

    return app


@traced
def slow_work(what):
    time.sleep(0.01)
    return what


async def chunks():
    yield "a first "
    await answer("within the stream")
    yield "and a last"


TABLES = []


def rows():
    return list(TABLES[-1].rows())


def requests():
    return [row for row in rows() if row["kind"] == "request"]


def the_request():
    (row,) = requests()
    return row


def names_below(parent):
    return [short(row) for row in rows() if row["parent_id"] == parent["id"]]


def short(row):
    return row["op_name"].rpartition("/")[2].partition(":")[0]


def asked(n: str):
    return generate(n)


def get(app, path, **told):
    return TestClient(app, raise_server_exceptions=False).get(path, **told)


# --- what a row of a request is ----------------------------------------------------------------


def test_the_request_is_the_root_and_what_is_traced_in_it_nests_below(recording):
    assert get(application(), "/ask/keys?q=how").json() == {"answer": "answer to how"}
    request = the_request()
    assert request["parent_id"] is None
    assert request["display_name"] == "GET /ask/{topic}"
    assert request["inputs"] == {"method": "GET", "path": "/ask/keys", "query": "q=how"}
    assert request["attributes"]["http"] == {
        "method": "GET", "status_code": 200, "route": "/ask/{topic}",
    }  # fmt: skip
    assert (request["status"], request["exception_type"]) == ("success", None)
    assert request["latency_ms"] > 0
    assert names_below(request) == ["answer"]
    assert {row["trace_id"] for row in rows()} == {request["trace_id"]}
    assert len(rows()) == 3


def test_an_endpoint_in_a_thread_nests_too(recording):
    get(application(), "/sync/7")
    assert names_below(the_request()) == ["generate"]


def test_requests_at_once_keep_their_children_apart(recording):
    client = TestClient(application())
    asked = [threading.Thread(target=client.get, args=(f"/ask/t?q={n}",)) for n in range(20)]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join()
    by_id = {row["id"]: row for row in rows()}
    assert len(by_id) == 60
    for row in by_id.values():
        if short(row) == "answer":
            assert by_id[row["parent_id"]]["inputs"]["query"] == f"q={row['inputs']['question']}"


def test_a_layer_that_runs_the_endpoint_in_a_task_of_its_own_does_not_part_them(recording):
    async def through(request, call_next):
        return await call_next(request)

    app = FastAPI()
    app.add_middleware(BaseHTTPMiddleware, dispatch=through)
    app.add_middleware(Middleware)
    app.get("/ask/{n}")(asked)
    get(app, "/ask/1")
    assert the_request()["attributes"]["http"]["route"] == "/ask/{n}"
    assert names_below(the_request()) == ["generate"]


def test_a_plain_starlette_application_with_mounts(recording):
    async def item(request):
        return PlainTextResponse(await run_in_threadpool(generate, request.path_params["n"]))

    below = Starlette(routes=[Route("/items/{n:int}", item)], middleware=[Layer(Middleware)])
    app = Starlette(routes=[Mount("/api", below)], middleware=[Layer(Middleware)])
    assert get(app, "/api/items/3").text == "answer to 3"
    assert the_request()["attributes"]["http"]["route"] == "/api/items/{n}"
    assert TestClient(app, root_path="/proxied").get("/proxied/api/items/4").status_code == 200
    assert requests()[-1]["attributes"]["http"]["route"] == "/api/items/{n}"


def test_the_route_is_found_where_a_layer_gave_the_router_another_scope(recording):
    class Copying:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(dict(scope), receive, send)

    app = Starlette(
        routes=[
            Mount("/api", routes=[Route("/items/{n}", lambda request: PlainTextResponse("x"))])
        ],
        middleware=[Layer(Middleware), Layer(Copying)],
    )
    get(app, "/api/items/3")
    assert the_request()["attributes"]["http"]["route"] == "/api/items/{n}"


def test_a_path_that_no_route_has_makes_no_row_or_no_name(recording):
    assert get(application(), "/wp-admin/../../etc").status_code == 404
    assert rows() == []
    assert get(application(unrouted=True), "/wp-admin/../../etc").status_code == 404
    request = the_request()
    assert "route" not in request["attributes"]["http"]
    assert request["display_name"] == "GET (no route)"


# --- how requests end --------------------------------------------------------------------------


def test_an_answer_of_400_or_more_is_an_error(recording):
    assert get(application(), "/refused").status_code == 429
    request = the_request()
    assert request["attributes"]["http"]["status_code"] == 429
    assert request["status"] == "error"
    assert "GET /refused answered 429" in request["exception"]


def test_an_exception_passes_through_and_is_recorded(recording):
    with pytest.raises(ValueError, match="the endpoint's own") as raised:
        TestClient(application()).get("/broken")
    assert raised.value.__cause__ is None
    request = the_request()
    assert (request["status"], request["exception_type"]) == ("error", "ValueError")
    assert request["attributes"]["http"]["status_code"] == 500
    assert names_below(request) == ["generate"]


def test_background_work_nests_and_does_not_count_as_latency(recording):
    with serving(application()) as address:
        assert fetched(address, "/later").status == 200
        until(lambda: len(rows()) == 2)
    request = the_request()
    assert names_below(request) == ["slow_work"]
    work = next(row for row in rows() if short(row) == "slow_work")
    assert request["ended_at"] <= work["started_at"]


def test_a_stream_lasts_until_its_last_byte_and_says_when_the_first_came(recording):
    assert get(application(), "/stream").text == "a first and a last"
    request = the_request()
    assert names_below(request) == ["answer"]
    assert 0 < request["ttft_ms"] <= request["latency_ms"]
    assert next(row for row in rows() if short(row) == "answer")["ended_at"] <= request["ended_at"]


def fetched(address, path, **headers):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def test_a_client_that_leaves_in_the_middle_is_no_error(recording):
    released = threading.Event()

    async def endless():
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.005)
        finally:
            released.set()

    async def stream(request):
        return StreamingResponse(endless())

    app = Starlette(routes=[Route("/endless", stream)], middleware=[Layer(Middleware)])
    with serving(app) as address:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=20)
        connection.request("GET", "/endless")
        connection.getresponse().read(2000)
        connection.sock.close()
        connection.close()
        assert released.wait(20)
        until(requests)
    request = the_request()
    assert request["attributes"]["http"]["client_left"] is True
    assert (request["status"], request["attributes"]["http"]["status_code"]) == ("success", 200)


@pytest.mark.parametrize("how", ["cancelled", "cannot send"])
def test_servers_that_say_so_by_an_error_mean_the_same(recording, how):
    from starlette.requests import ClientDisconnect

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        raise asyncio.CancelledError if how == "cancelled" else ClientDisconnect

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    async def run():
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        with pytest.raises((asyncio.CancelledError, ClientDisconnect)):
            await Middleware(app)(scope, receive, send)

    asyncio.run(run())
    request = the_request()
    assert (request["status"], request["attributes"]["http"]["client_left"]) == ("success", True)


def test_an_application_that_answers_nothing_is_an_error(recording):
    async def silent(scope, receive, send):
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(Middleware(silent)(scope, None, None))
    assert "did not answer" in the_request()["exception"]


def test_websockets_and_lifespan_pass_untouched(recording):
    with TestClient(application()) as client, client.websocket_connect("/ws") as socket:
        socket.send_text("why?")
        assert socket.receive_text() == "answer to why?"
    assert requests() == []
    assert [short(row) for row in rows()] == ["generate"]


# --- whose it is -------------------------------------------------------------------------------


def test_user_and_session_come_from_headers_or_functions_and_go_to_all_rows(recording):
    app = application(user="X-User-Id", session=lambda connection: connection.cookies["sid"])
    TestClient(app, cookies={"sid": "s-1"}).get("/ask/keys", headers={"x-user-id": "u-7"})
    assert {(row["user_id"], row["session_id"]) for row in rows()} == {("u-7", "s-1")}


def test_a_function_that_fails_costs_its_value_and_not_the_request(recording, caplog):
    app = application(user=lambda connection: connection.cookies["sid"])
    with faults.strict(False):
        assert get(app, "/ask/keys").status_code == 200
    assert "the user_id of a request could not be found" in caplog.text
    assert the_request()["user_id"] is None


def test_what_follows_a_request_is_not_the_users(recording):
    get(application(user="x-user-id"), "/ask/keys", headers={"x-user-id": "u-7"})
    generate("outside")
    assert rows()[-1]["user_id"] is None
    assert rows()[-1]["parent_id"] is None


def test_a_caller_of_ours_is_the_parent(recording):
    @traced
    def call(app):
        return get(app, "/ask/keys", headers=llmwatch.current_row().headers).status_code

    assert call(application()) == 200
    caller = next(row for row in rows() if short(row) == "call")
    assert the_request()["parent_id"] == caller["id"]
    assert {row["trace_id"] for row in rows()} == {caller["trace_id"]}


FOREIGN = {"traceparent": f"00-{'ab' * 16}-{'12' * 8}-01"}
TRACE = "abababab-abab-abab-abab-abababababab"


def test_of_another_tools_trace_the_request_has_the_id_and_is_still_a_root(recording):
    get(application(), "/ask/keys", headers=FOREIGN)
    assert {row["trace_id"] for row in rows()} == {TRACE}
    assert the_request()["parent_id"] is None
    assert the_request()["attributes"]["http"]["parent_span"] == "12" * 8


def test_all_callers_or_none_can_be_believed(recording):
    get(application(parents="all"), "/ask/keys", headers=FOREIGN)
    assert the_request()["parent_id"] == "12" * 8
    get(application(parents="none"), "/ask/keys", headers=FOREIGN)
    assert requests()[-1]["trace_id"] == requests()[-1]["id"]
    with pytest.raises(SettingsError, match="parents is one of llmwatch, all, none, not 'some'"):
        Middleware(None, parents="some")


# --- what is left alone ------------------------------------------------------------------------


def test_excluded_paths_are_not_recorded(recording):
    client = TestClient(application(exclude=["/health", "/sync/*"]))
    assert client.get("/health").json() == {"ok": True}
    client.get("/sync/1")
    assert [short(row) for row in rows()] == ["generate"]


def test_of_requests_that_are_not_sampled_nothing_is_recorded(recording):
    assert get(application(sample_rate=0), "/ask/keys").status_code == 200
    assert rows() == []
    generate("outside")
    assert len(rows()) == 1


def test_answers_are_byte_for_byte_what_they_are_without(recording):
    plain, watched = application(), application()
    plain.user_middleware.clear()
    for path in ("/ask/keys", "/sync/1", "/sync/x", "/stream", "/refused", "/broken", "/nothing"):
        answers = [get(app, path) for app in (plain, watched)]
        told = [(a.status_code, a.headers.raw, a.content) for a in answers]
        assert told[0] == told[1]


def test_a_header_with_the_rows_id_is_there_when_asked_for(recording):
    answered = get(application(row_header="X-Row"), "/ask/keys")
    assert answered.headers["x-row"] == the_request()["id"]


def test_before_init_requests_are_served_and_nothing_is_recorded(llmwatch_store):
    assert get(application(), "/ask/keys").status_code == 200
    assert llmwatch_store.projects() == []


def test_a_fault_of_ours_fails_no_request(recording, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("ours")

    for name in ("llmwatch.tracing.calls._take_inputs", "llmwatch.integrations.routes.template",
                 "llmwatch.tracing.writing._columns", "llmwatch.integrations.asgi._Recorded.__init__"):  # fmt: skip
        with monkeypatch.context() as patched, faults.strict(False):
            patched.setattr(name, broken)
            logging.getLogger("llmwatch").setLevel(logging.CRITICAL)
            assert get(application(), "/ask/keys").json() == {"answer": "answer to why?"}, name
    logging.getLogger("llmwatch").setLevel(logging.NOTSET)


# --- feedback ----------------------------------------------------------------------------------


@pytest.fixture
def thumbs(recording):
    app = application(row_header="x-row")
    app.router.routes.append(feedback_route(user="x-user-id", kinds=["reaction", "note"]))
    client = TestClient(app)
    row_id = client.get("/ask/keys").headers["x-row"]

    def post(said, **headers):
        return client.post("/feedback", json={"row_id": row_id, **said}, headers=headers)

    post.row_id, post.client = row_id, client
    return post


def said_of(row_id):
    return [
        (event["name"], event["value"], event["creator"])
        for event in llmwatch_history(row_id)
        if event["state"] == "live"
    ]


def llmwatch_history(row_id):
    from llmwatch.remarks import say

    return say.history(row_id)


def test_a_thumb_is_feedback_on_the_row(thumbs):
    answered = thumbs({"reaction": "up"}, **{"x-user-id": "u-7"})
    assert answered.status_code == 201
    assert said_of(thumbs.row_id) == [("reaction", "👍", "u-7")]
    assert llmwatch_history(thumbs.row_id)[0]["id"] == answered.json()["id"]


def test_a_thumb_is_turned_by_saying_what_it_replaces(thumbs):
    first = thumbs({"reaction": "up"}).json()["id"]
    assert thumbs({"reaction": "down", "replaces": first}).status_code == 201
    assert said_of(thumbs.row_id) == [("reaction", "👎", "visitor")]
    assert thumbs({"reaction": "up", "replaces": first}).status_code == 409


def test_nobody_replaces_what_another_said(thumbs):
    mine = thumbs({"reaction": "up"}, **{"x-user-id": "u-7"}).json()["id"]
    assert thumbs({"reaction": "down", "replaces": mine}, **{"x-user-id": "u-8"}).status_code == 404
    assert said_of(thumbs.row_id) == [("reaction", "👍", "u-7")]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"reaction": "not one"}, 422),
        ({"note": "x" * 5000}, 422),
        ({"stars": 5}, 422),
        ({"reaction": "up", "note": "both"}, 422),
        ({"row_id": "../../etc", "reaction": "up"}, 422),
        ({"reaction": "up", "padding": "x" * 20_000}, 413),
        ({"reaction": "up", "replaces": {"a": 1}}, 404),
    ],
)
def test_what_cannot_be_is_refused_and_not_kept(thumbs, said, status):
    answered = thumbs(said)
    assert (answered.status_code, bool(answered.json()["reason"])) == (status, True)
    assert llmwatch_history(thumbs.row_id) == []


def test_other_pages_and_forms_are_refused(thumbs):
    up = {"reaction": "up"}
    assert thumbs(up, origin="http://testserver").status_code == 201
    assert thumbs(up, origin="https://evil.example").status_code == 403
    assert thumbs(up, **{"content-type": "text/plain"}).status_code == 415
    assert thumbs.client.get("/feedback").status_code == 405
    assert thumbs.client.post("/feedback", content=b"[" * 9000, headers={"content-type": "application/json"}).status_code == 422  # fmt: skip
    assert len(llmwatch_history(thumbs.row_id)) == 1


def test_a_flood_is_refused(recording):
    app = Starlette(routes=[feedback_route(most_per_minute=2)])
    client = TestClient(app)
    body = {"row_id": "0190c5a0-0000-7000-8000-000000000000", "note": "x"}
    codes = [client.post("/feedback", json=body).status_code for _ in range(4)]
    assert codes == [201, 201, 429, 429]
