"""The web application without a browser: who may ask, what is served, what is written."""

from __future__ import annotations

import json

import httpx
import pytest
from conftest import served

from llmwatch import StreamTable, capture
from llmwatch.board.server import guarded_app
from llmwatch.errors import SettingsError

AT = "/api/local/support-bot/traces"


@pytest.fixture
def client(board):
    with httpx.Client(base_url=board, timeout=30) as client:
        yield client


def newest(client) -> list:
    page = client.post(f"{AT}/rows", json={"range": "all", "limit": 1, "roots": True}).json()
    return page["rows"][0]


def test_the_page_and_its_files_come_with_a_policy_that_lets_nothing_else_run(client):
    page = client.get("/local/support-bot/traces")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert '<script type="module" crossorigin src="/static/board.js">' in page.text
    for name in ("board.js", "board.css", "mark.svg"):
        assert client.get(f"/static/{name}").status_code == 200
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/.hidden").status_code == 404


def test_all_that_a_browser_loads_is_less_than_400_kb(client):
    assert (
        sum(
            len(client.get(path).content)
            for path in ("/", "/static/board.js", "/static/board.css", "/static/mark.svg")
        )
        < 400_000
    )


def test_another_hosts_name_and_another_sites_page_are_refused(client):
    assert client.get("/api/tables", headers={"host": "evil.example"}).status_code == 421
    row = newest(client)[0]
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = client.post(
            f"{AT}/say/{row}", json={"what": "reaction", "value": "up"}, headers=headers
        )
        assert answer.status_code == 403


def test_a_form_of_another_site_cannot_be_mistaken_for_json(client):
    answer = client.post(
        f"{AT}/rows", content=b'{"range":"all"}', headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 400


def test_off_loopback_there_is_a_token_or_there_is_no_server(support):
    from llmwatch import settings

    with pytest.raises(SettingsError, match="token"):
        guarded_app(support, settings.current(), host="0.0.0.0")


def test_with_a_token_nothing_is_answered_without_it(support):
    with served(support, token="a-token-of-enough-length") as address:
        assert httpx.get(f"{address}/api/tables").status_code == 401
        assert (
            httpx.get(f"{address}/api/tables", auth=("any", "a-token-of-enough-length")).status_code
            == 200
        )


def test_a_read_only_board_takes_no_word(support):
    with served(support, read_only=True) as address, httpx.Client(base_url=address) as client:
        row = newest(client)[0]
        assert (
            "read-only"
            in client.post(f"{AT}/say/{row}", json={"what": "note", "value": "x"}).json()["error"]
        )
        assert (
            "read-only"
            in client.put(f"{AT}/boards/x", json={"board": {"panels": []}}).json()["error"]
        )


def test_one_panels_error_is_that_panels_answer(client):
    panels = [{"id": "good", "kind": "rows"}, {"id": "bad", "kind": "top", "column": "nonsense"}]
    lines = client.post(f"{AT}/ask", json={"range": "all", "panels": panels}).text.splitlines()
    answers = {line["id"]: line for line in map(json.loads, lines[1:])}
    assert answers["good"]["count"] == 1200
    assert "no column 'nonsense'" in answers["bad"]["error"]


def test_a_table_that_is_not_there_says_which_are_and_is_not_made(client, support):
    answer = client.get("/api/local/support-bot/tracse")
    assert answer.status_code == 404
    assert "traces" in answer.json()["error"]
    assert "tracse" not in support.project("local", "support-bot").tables()


def test_what_is_said_on_the_page_is_what_code_reads(client, support):
    row = newest(client)[0]
    said = {"reaction": "up", "rating": 4, "note": "good", "correction": "better"}
    for what, value in said.items():
        assert (
            client.post(f"{AT}/say/{row}", json={"what": what, "value": value}).status_code == 200
        )
    client.post(f"{AT}/say/{row}", json={"what": "label", "name": "resolved", "value": True})
    table = StreamTable(
        "traces", project_name="support-bot", entity_name="local", store=support.root
    )
    found = table.get(row)
    names = {event["name"]: event["value"] for event in found.feedback}
    assert names["reaction"] == "👍"
    assert names["note"] == "good"
    assert names["stars"] == 4
    assert names["correction"] == {"expected": "better"}
    assert found.labels["resolved"] is True
    last = client.post(f"{AT}/say/{row}", json={"what": "note", "value": "oops"}).json()
    left = client.delete(f"{AT}/say/{row}/{last['id']}").json()["said"]
    assert "oops" not in json.dumps(left)


@pytest.mark.parametrize(
    "said",
    [
        {"what": "reaction", "value": "x" * 40},
        {"what": "rating", "value": 9},
        {"what": "note", "value": ""},
        {"what": "note", "value": "x" * 30_000},
        {"what": "shout"},
    ],
)
def test_what_cannot_be_said_is_refused_with_a_reason(client, said):
    answer = client.post(f"{AT}/say/{newest(client)[0]}", json=said)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_export_holds_every_chosen_row_and_starts_no_formula(client, llmwatch_store):
    StreamTable("x/t").log([{"text": "=cmd()", "n": 1}, {"text": "plain", "n": 2}])
    with served(llmwatch_store) as address:
        csv = httpx.get(
            f"{address}/api/local/x/t/export.csv", params={"ask": '{"range":"all"}'}
        ).text
        lines = httpx.get(
            f"{address}/api/local/x/t/export.jsonl", params={"ask": '{"range":"all"}'}
        ).text
    assert "'=cmd()" in csv
    assert [json.loads(line)["n"] for line in lines.splitlines()] == [1, 2]
    whole = client.get(
        f"{AT}/export.jsonl", params={"ask": '{"range":"all","where":"parent_id IS NULL"}'}
    ).text
    assert len(whole.splitlines()) == 400


def test_media_that_could_run_is_only_ever_a_download(llmwatch_store):
    evil = b"<script>alert(1)</script>" + b" " * 5000
    table = StreamTable("x/t")
    for type_ in ("text/html", "image/svg+xml", "application/pdf", "image/png"):
        table.log({"file": capture.media.Bytes(evil + type_.encode(), type=type_)})
    with served(llmwatch_store) as address:
        for row in table.rows():
            stored = table.query("SELECT data FROM t WHERE id = ?", row.id).rows[0][0]
            name = json.loads(stored)["file"]["file"]
            answer = httpx.get(f"{address}/media/local/x/{name}")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in answer.headers["content-security-policy"]
            kind = answer.headers["content-type"]
            assert kind in ("application/octet-stream", "image/png")
            assert kind == "image/png" or answer.headers["content-disposition"].startswith(
                "attachment"
            )
        for name in ("..%2f..%2fworker.json", "aa/" + "0" * 64 + ".png"):
            assert httpx.get(f"{address}/media/local/x/{name}").status_code == 404


def test_the_address_that_a_row_names_is_one_the_board_knows(client):
    row = newest(client)[0]
    assert client.get(f"/local/support-bot/rows/{row}").status_code == 200
    assert client.get(f"/api/local/support-bot/find/row/{row}").json()["table"] == "traces"


def test_a_saved_board_is_served_with_its_history(llmwatch_store):
    StreamTable("x/t").log({"n": 1})
    with served(llmwatch_store) as address, httpx.Client(base_url=address) as client:
        board = {"panels": [{"id": "r", "kind": "rows"}]}
        assert client.put("/api/local/x/t/boards/mine", json={"board": board}).json() == {
            "version": 1
        }
        assert client.put(
            "/api/local/x/t/boards/mine", json={"board": board, "based_on": 1}
        ).json() == {"version": 2}
        assert (
            client.put(
                "/api/local/x/t/boards/mine", json={"board": board, "based_on": 1}
            ).status_code
            == 409
        )
        assert len(client.get("/api/local/x/t/boards/mine").json()["history"]) == 2
        assert client.get("/api/local/x/t").json()["boards"] == ["mine"]
