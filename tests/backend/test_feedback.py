from __future__ import annotations

import uuid
from datetime import datetime

import pytest
from local_backend import Local, field, literal
from weave.trace.errors import InvalidFieldError, InvalidRequest

from llmwatch.backend.emoji import is_emoji
from llmwatch.backend.feedback import COLUMNS

JUDGE = "weave:///local/p/object/judge:abc"


def rows(local, expr=None, **req):
    query = {"$expr": expr} if expr is not None else None
    return local.ask("feedback_query", query=query, **req).result


def test_feedback_comes_back_with_every_column(local):
    made = local.feedback("mine", {"a": [1]}, creator="me")
    assert uuid.UUID(made.id)
    [row] = rows(local)
    assert set(row) == set(COLUMNS)
    assert (row["id"], row["payload"], row["creator"]) == (made.id, {"a": [1]}, "me")
    assert row["weave_ref"] == "weave:///local/p/call/c1"
    assert (row["annotation_ref"], row["scorer_tags"]) == (None, [])
    assert datetime.fromisoformat(row["created_at"]).tzinfo is not None
    assert made.created_at.tzinfo is not None


def test_an_id_given_by_the_client_is_kept(local):
    given = str(uuid.uuid4())
    assert local.feedback("mine", {}, id=given).id == given
    assert rows(local)[0]["id"] == given


def test_feedback_comes_in_the_order_it_was_said(local):
    for n in range(12):
        local.feedback("mine", {"n": n})
    assert [row["payload"]["n"] for row in rows(local)] == list(range(12))
    order = [{"field": "created_at", "direction": "desc"}]
    assert rows(local, sort_by=order)[0]["payload"]["n"] == 11
    assert [row["payload"]["n"] for row in rows(local, limit=2, offset=3)] == [3, 4]


def test_fields_select_exactly_and_count(local):
    local.feedback("mine", {"n": 1, "deep": {"x": 2}})
    local.feedback("mine", {"n": 2})
    expr = {"$eq": [field("payload.n"), literal(1)]}
    assert rows(local, expr, fields=["count(*)"]) == [{"count(*)": 1}]
    assert rows(local, expr, fields=["feedback_type", "payload.deep.x"]) == [
        {"feedback_type": "mine", "payload.deep.x": 2}
    ]
    asked = local.ask("feedback_query", limit=1)
    assert (len(asked.result), asked.total_count) == (1, 2)
    with pytest.raises(InvalidFieldError):
        rows(local, {"$eq": [field("nonsense"), literal(1)]})


def test_feedback_is_found_by_its_ref_and_type(local):
    local.feedback("a", {})
    local.feedback("b", {}, ref="weave:///local/p/object/o:abc")
    for path, given in [
        ("weave_ref", "weave:///local/p/object/o:abc"),
        ("feedback_type", "b"),
    ]:
        assert [
            r["feedback_type"] for r in rows(local, {"$eq": [field(path), literal(given)]})
        ] == ["b"]
    with pytest.raises(InvalidRequest, match="not a ref"):
        local.feedback("c", {}, ref="c1")


def test_a_reaction_gains_its_names(local):
    payload = local.feedback("wandb.reaction.1", {"emoji": "👍🏽"}).payload
    assert payload == {
        "emoji": "👍🏽",
        "alias": ":thumbs_up_medium_skin_tone:",
        "detoned": "👍",
        "detoned_alias": ":thumbs_up:",
    }
    assert rows(local)[0]["payload"] == payload


@pytest.mark.parametrize("emoji", ["👍", "👍🏽", "❤️", "🇩🇪", "👨‍👩‍👧", "1️⃣", "😀", "⭐", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"])
def test_one_emoji_is_one(emoji):
    assert is_emoji(emoji)


@pytest.mark.parametrize("text", ["", "a", "👍👍", "👍 ", "1", "thumbs_up", "🇩"])
def test_anything_else_is_no_reaction(local, text):
    with pytest.raises(InvalidRequest, match="one emoji"):
        local.feedback("wandb.reaction.1", {"emoji": text})


@pytest.mark.parametrize("payload", [{}, {"note": ""}, {"note": "x" * 1025}, {"note": 5}])
def test_a_note_is_some_text(local, payload):
    with pytest.raises(InvalidRequest, match="1024"):
        local.feedback("wandb.note.1", payload)
    assert local.feedback("wandb.note.1", {"note": "x" * 1024}).id


def test_a_payload_past_a_mebibyte_is_refused(local):
    with pytest.raises(InvalidRequest, match="1 MiB"):
        local.feedback("mine", {"x": "y" * (1 << 20)})


def test_an_annotation_must_be_valid_under_its_spec(local):
    spec = {
        "_type": "AnnotationSpec",
        "_class_name": "AnnotationSpec",
        "_bases": ["BaseObject", "BaseModel"],
        "field_schema": {"type": "integer", "minimum": 0},
    }
    ref = f"weave:///local/p/object/quality:{local.publish('quality', spec)}"
    type_ = "wandb.annotation.quality"
    assert local.feedback(type_, {"value": 3}, annotation_ref=ref).id
    for payload, given, said in [
        ({"value": -1}, {"annotation_ref": ref}, "not valid"),
        ({"value": "three"}, {"annotation_ref": ref}, "not valid"),
        ({}, {"annotation_ref": ref}, "'value'"),
        ({"value": 3}, {}, "needs annotation_ref"),
        ({"value": 3}, {"annotation_ref": JUDGE}, "names 'judge'"),
        ({"value": 3}, {"annotation_ref": "weave:///local/p/object/quality:gone"}, "not in this"),
    ]:
        with pytest.raises(InvalidRequest, match=said):
            local.feedback(type_, payload, **given)


def test_a_scorers_result_names_the_scorer(local):
    type_, payload = "wandb.runnable.judge", {"output": 1}
    op, call = "weave:///local/p/op/judge:abc", "weave:///local/p/call/s1"
    assert local.feedback(type_, payload, runnable_ref=JUDGE).id
    assert local.feedback(type_, payload, runnable_ref=op, call_ref=call).id
    for given, body, said in [
        ({}, payload, "needs runnable_ref"),
        ({"runnable_ref": op}, payload, "call_ref"),
        ({"runnable_ref": "weave:///local/p/object/other:a"}, payload, "names 'other'"),
        ({"runnable_ref": JUDGE}, {"score": 1}, "'output'"),
    ]:
        with pytest.raises(InvalidRequest, match=said):
            local.feedback(type_, body, **given)


@pytest.mark.parametrize("name", ["annotation_ref", "runnable_ref", "call_ref"])
def test_those_refs_belong_to_their_types_only(local, name):
    with pytest.raises(InvalidRequest, match=f"{name} belongs"):
        local.feedback("mine", {}, **{name: JUDGE})


def test_a_purge_takes_ids_only(local):
    ids = [local.feedback("mine", {"n": n}).id for n in range(4)]
    eq = [{"$eq": [field("id"), literal(i)]} for i in ids]
    local.ask("feedback_purge", query={"$expr": eq[0]})
    local.ask("feedback_purge", query={"$expr": {"$or": eq[1:3]}})
    assert [row["id"] for row in rows(local)] == [ids[3]]
    for expr in (
        {"$eq": [field("feedback_type"), literal("mine")]},
        {"$and": [eq[3]]},
        {"$or": [eq[3], {"$eq": [field("creator"), literal("me")]}]},
        {"$gt": [field("id"), literal("")]},
    ):
        with pytest.raises(InvalidRequest, match="by id"):
            local.ask("feedback_purge", query={"$expr": expr})
    assert len(rows(Local(local.store))) == 1


def test_a_replacement_takes_the_place_of_the_feedback_before(local):
    old = local.feedback("wandb.note.1", {"note": "before"})
    new = local.ask(
        "feedback_replace",
        feedback_id=old.id,
        feedback_type="wandb.note.1",
        weave_ref="weave:///local/p/call/c1",
        payload={"note": "after"},
    )
    assert new.id != old.id
    assert [row["payload"]["note"] for row in rows(local)] == ["after"]


def test_a_batch_answers_each(local):
    one = {"project_id": "local/p", "weave_ref": JUDGE, "feedback_type": "mine", "payload": {}}
    made = local.server.feedback_create_batch({"batch": [one, one]}).res
    assert [row["id"] for row in rows(local)] == [each.id for each in made]


def test_calls_bring_their_feedback_when_asked(local):
    local.call("c1")
    local.call("c2", 1)
    local.feedback("wandb.note.1", {"note": "hello"})
    calls = local.calls(include_feedback=True)
    [row] = calls[0].summary["weave"]["feedback"]
    assert row["payload"] == {"note": "hello"}
    assert calls[1].summary["weave"]["feedback"] == []
    assert "feedback" not in local.calls()[0].summary["weave"]


def test_feedback_said_outside_of_weave_reads_as_weaves(local):
    from llmwatch import settings
    from llmwatch.backend import events

    project = local.store.project("local", "p")
    said = {"id": "e1", "row_id": "c1", "table": "traces", "kind": "feedback", "name": "stars"}
    events.write(project, settings.load(worker=False), {**said, "value": 4})
    [row] = rows(local, {"$eq": [field("weave_ref"), literal("weave:///local/p/call/c1")]})
    assert (row["feedback_type"], row["payload"]) == ("stars", {"value": 4})


# --- scores that the worker gave ---------------------------------------------------------


def test_a_score_is_feedback_of_a_runnable_to_weave(local):
    from llmwatch.stream import events

    project = local.store.project("local", "p")
    for number in (1, 2):
        score = {"score": number / 10}
        events.add(
            project, kind="score", name="confidence", value=score, row_id="c1", table="traces"
        )
    local.feedback("mine", {"a": 1})
    [score, mine] = rows(local)
    assert (score["feedback_type"], score["payload"]) == (
        "wandb.runnable.confidence",
        {"output": {"score": 0.2}},
    )
    assert score["weave_ref"] == "weave:///local/p/call/c1"
    expr = {"$eq": [field("feedback_type"), literal("wandb.runnable.confidence")]}
    assert rows(local, expr, fields=["count(*)"]) == [{"count(*)": 1}]
    expr = {
        "$gt": [
            {"$convert": {"input": field("payload.output.score"), "to": "double"}},
            literal(0.1),
        ]
    }
    assert len(rows(local, expr)) == 1
    assert mine["feedback_type"] == "mine"


def test_a_score_that_weave_gave_is_a_score_of_the_row(local):
    from llmwatch.stream.query import Reader

    local.feedback("wandb.runnable.judge", {"output": {"good": True}}, runnable_ref=JUDGE)
    reader = Reader(local.store.project("local", "p"))
    found = reader.execute("SELECT row_id, name, value FROM scores", [], ["_events"]).rows
    assert found == [("c1", "judge", '{"good":true}')]
    reader.close()
