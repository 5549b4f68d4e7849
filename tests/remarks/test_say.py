"""Feedback and labels: from any process and over HTTP, seen everywhere at once, edited and deleted with their history."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import llmwatch
from llmwatch import StreamTable, remarks, settings
from llmwatch.errors import NotFound
from llmwatch.remarks.kinds import BadFeedback
from llmwatch.store import EVENTS, open_store
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small
from llmwatch.stream.row import Row

pytestmark = pytest.mark.usefixtures("llmwatch_store")
BOT = {"project": "local/bot"}


@pytest.fixture
def row() -> Row:
    table = StreamTable("local/bot/answers")
    row_id = table.add({"text": "hi", "inference_id": "i-1"})
    assert row_id
    return table.get(row_id)


def settle() -> None:
    for table in ("answers", EVENTS):
        compact(open_store().project("local", "bot"), table, seal=True)
        merge_small(open_store().project("local", "bot"), table, everything=True)


def said(row: Row) -> list[tuple[str, Any]]:
    return [(each["name"], each["value"]) for each in row.feedback]


# --- the kinds ---------------------------------------------------------------------------


def test_reactions_notes_stars_corrections_and_ones_own(row: Row) -> None:
    for name, value in (
        ("reaction", "👍"),
        ("reaction", "down"),
        ("note", "well <b>said</b> \x1b[31m"),
        ("stars", 4),
        ("correction", {"answer": 42}),
        ("helpful", {"a": [1, None]}),
    ):
        llmwatch.feedback(row.id, name, value, **BOT)
    expected = [
        ("reaction", "👍"),
        ("reaction", "👎"),
        ("note", "well <b>said</b> \x1b[31m"),
        ("stars", 4),
        ("correction", {"expected": {"answer": 42}}),
        ("helpful", {"a": [1, None]}),
    ]
    assert said(row) == expected
    settle()
    assert said(row) == expected


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("reaction", "great", "one emoji"),
        ("reaction", None, "one emoji"),
        ("note", "  ", "some text"),
        ("note", "x" * 20_001, "at most 20000 characters"),
        ("stars", 6, "from 1 to 5"),
        ("stars", True, "from 1 to 5"),
        ("correction", None, "should have been"),
        ("wandb.runnable.judge", {}, "Weave's own"),
        ("", 1, "1 to 200 characters"),
        ("annotation.unheard-of", 1, "no schema"),
    ],
)
def test_what_it_cannot_be_is_said_and_nothing_recorded(
    row: Row, name: str, value: Any, why: str
) -> None:
    with pytest.raises(BadFeedback, match=why):
        llmwatch.feedback(row.id, name, value, **BOT)
    assert row.feedback == []


def test_annotations_fit_their_schema(row: Row) -> None:
    schema = {
        "type": "object",
        "properties": {"clarity": {"type": "integer", "minimum": 1, "maximum": 5}},
        "required": ["clarity"],
    }
    name = remarks.annotation("quality", schema, **BOT)
    llmwatch.feedback(row.id, name, {"clarity": 4}, **BOT)
    with pytest.raises(BadFeedback, match="quality at clarity: 9 is greater than the maximum of 5"):
        llmwatch.feedback(row.id, name, {"clarity": 9}, **BOT)
    with pytest.raises(BadFeedback, match="no JSON schema"):
        remarks.annotation("broken", {"type": "nonsense"}, **BOT)
    assert said(row) == [("annotation.quality", {"clarity": 4})]


def test_a_pydantic_model_is_a_schema(row: Row) -> None:
    from pydantic import BaseModel

    class Quality(BaseModel):
        clarity: int

    name = remarks.annotation("quality", Quality, **BOT)
    with pytest.raises(BadFeedback, match="clarity"):
        llmwatch.feedback(row.id, name, {}, **BOT)


def test_who_and_when(row: Row) -> None:
    llmwatch.feedback(row.id, "note", "one", creator="ann", **BOT)
    [note] = row.feedback
    assert note["creator"] == "ann"
    assert abs(note["created_at"].timestamp() - time.time()) < 60


# --- edited and deleted ------------------------------------------------------------------


def test_an_edit_replaces_and_a_delete_hides_and_the_history_tells_both(row: Row) -> None:
    first = llmwatch.feedback(row.id, "stars", 2, creator="ann", **BOT)
    second = remarks.edit(first, 5, creator="bob", **BOT)
    note = llmwatch.feedback(row.id, "note", "oops", **BOT)
    settle()
    remarks.delete(note, creator="cleo", **BOT)
    assert said(row) == [("stars", 5)]
    history = remarks.history(row.id, **BOT)
    assert [(e["name"], e["value"], e["state"]) for e in history] == [
        ("stars", 2, "edited"),
        ("stars", 5, "live"),
        ("note", "oops", "deleted"),
    ]
    assert (history[0]["creator"], history[0]["by"]) == ("ann", second)
    with pytest.raises(NotFound, match="edited or deleted"):
        remarks.edit(first, 1, **BOT)
    with pytest.raises(BadFeedback, match="from 1 to 5"):
        remarks.edit(second, 9, **BOT)


def test_labels_can_be_edited_and_deleted_too(row: Row) -> None:
    llmwatch.label(row.id, {"resolved": True}, table="answers", **BOT)
    [said_once] = remarks.history(row.id, **BOT)
    edited = remarks.edit(said_once["id"], False, **BOT)
    assert row.labels == {"resolved": False}
    remarks.delete(edited, **BOT)
    assert row.labels == {}


# --- labels by a key ---------------------------------------------------------------------


def test_a_label_finds_its_row_by_a_key_of_ones_own(row: Row) -> None:
    for key, value in (("inference_id", "i-1"), ("text", "hi")):
        found = llmwatch.label(value, {key: 1}, key=key, table="answers", **BOT)
        assert found == row.id
    assert row.labels == {"inference_id": 1, "text": 1}
    with pytest.raises(NotFound, match="no row of local/bot/answers has inference_id = 'i-2'"):
        llmwatch.label("i-2", {"a": 1}, key="inference_id", table="answers", **BOT)
    row._table.log({"inference_id": "i-1"})
    with pytest.raises(NotFound, match="2 rows"):
        llmwatch.label("i-1", {"a": 1}, key="inference_id", table="answers", **BOT)


def test_the_key_of_a_call_is_found_wherever_it_was_given_and_means_the_root() -> None:
    llmwatch.init("local/bot")
    try:

        @llmwatch.traced
        def inner(inference_id: str) -> str:
            return inference_id

        @llmwatch.traced
        def outer(inference_id: str) -> str:
            return inner(inference_id)

        _, called = outer.call("i-7")
        assert llmwatch.label("i-7", {"good": True}, key="inference_id") == called.id
        with llmwatch.context(request="r-9"):
            _, called = inner.call("i-8")
        assert llmwatch.label("r-9", {"good": True}, key="request") == called.id
    finally:
        llmwatch.finish()


# --- must show 5: another process, at once, everywhere -----------------------------------

SAYING = """
import sys
import llmwatch
print(llmwatch.feedback(sys.argv[1], "reaction", "up", project="local/bot", table="traces"), flush=True)
llmwatch.label(sys.argv[1], {"resolved": True}, project="local/bot")
"""


def test_feedback_of_another_process_is_in_rows_in_weave_and_over_http_at_once_and_after_compaction() -> (
    None
):
    from starlette.testclient import TestClient

    from llmwatch.serve.app import application

    client = llmwatch.init("local/bot")
    try:

        @llmwatch.traced
        def answer(question: str) -> str:
            return question

        _, call = answer.call("why?")
        table = StreamTable("local/bot/traces")
        web = TestClient(application(open_store(), settings.current()), base_url="http://localhost")
        environment = {**os.environ, "PYTHONPATH": str(Path(llmwatch.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", SAYING, call.id],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        for _ in range(2):
            [row] = list(table.rows())
            assert [(f["name"], f["value"]) for f in row.feedback] == [("reaction", "👍")]
            assert row.labels == {"resolved": True}
            [reaction] = client.get_call(call.id).feedback
            assert (reaction.id, reaction.payload["emoji"]) == (done.stdout.strip(), "👍")
            told = web.get(f"/llmwatch/local/bot/rows/{call.id}/feedback").json()["said"]
            assert [(e["name"], e["value"]) for e in told] == [
                ("reaction", "👍"),
                ("resolved", True),
            ]
            for name in ("traces", EVENTS):
                compact(open_store().project("local", "bot"), name, seal=True)
                merge_small(open_store().project("local", "bot"), name, everything=True)
    finally:
        llmwatch.finish()


# --- over HTTP ---------------------------------------------------------------------------


def test_all_of_it_over_http(row: Row) -> None:
    from starlette.testclient import TestClient

    from llmwatch.serve.app import application

    web = TestClient(application(open_store(), settings.current()), base_url="http://localhost")
    at = f"/llmwatch/local/bot/rows/{row.id}"
    made = web.post(
        f"{at}/feedback", json={"name": "stars", "value": 3, "creator": "ann", "table": "answers"}
    )
    assert made.status_code == 200
    edited = web.put(f"/llmwatch/local/bot/feedback/{made.json()['id']}", json={"value": 4}).json()[
        "id"
    ]
    assert said(row) == [("stars", 4)]
    assert web.delete(f"/llmwatch/local/bot/feedback/{edited}").json() == {"deleted": edited}
    assert said(row) == []
    assert web.post(f"{at}/labels", json={"labels": {"a": 1}}).json() == {"row_id": row.id}
    by_key = {"key": "inference_id", "row": "i-1", "labels": {"b": 2}, "table": "answers"}
    assert web.post("/llmwatch/local/bot/labels", json=by_key).json() == {"row_id": row.id}
    assert row.labels == {"a": 1, "b": 2}
    assert [e["state"] for e in web.get(f"{at}/feedback").json()["said"]] == [
        "edited",
        "deleted",
        "live",
        "live",
    ]


def test_what_is_wrong_over_http_is_said(row: Row) -> None:
    from starlette.testclient import TestClient

    from llmwatch.serve.app import application

    web = TestClient(application(open_store(), settings.current()), base_url="http://localhost")
    at = f"/llmwatch/local/bot/rows/{row.id}"
    for path, body, status, why in (
        (f"{at}/feedback", b'{"name":"stars","value":9}', 422, "from 1 to 5"),
        (f"{at}/feedback", b'{"name":"stars"}', 422, "no 'value'"),
        (f"{at}/feedback", b"[1]", 422, "JSON object"),
        (f"{at}/feedback", b"{", 422, "not JSON"),
        (f"{at}/feedback", b'{"name":"note","value":"x","creator":7}', 422, "creator is a text"),
        (f"{at}/labels", b'{"labels":[1]}', 422, "labels are an object"),
        (
            "/llmwatch/local/bot/labels",
            b'{"key":"k","row":"x","labels":{"a":1},"table":"answers"}',
            404,
            "no row",
        ),
        ("/llmwatch/local/../labels", b"{}", 404, ""),
    ):
        answer = web.post(path, content=body)
        assert (answer.status_code, why in answer.text) == (status, True), answer.text
    assert web.put("/llmwatch/local/bot/feedback/none", json={"value": 1}).status_code == 404
