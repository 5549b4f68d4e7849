"""What is recorded arrives at W&B through Weave's own binding: whole, once, in order, whatever breaks."""

from __future__ import annotations

import io
import json
import time

import pytest
import weave
from sending import PROJECT

import llmwatch
from llmwatch import capture, clock, traced
from llmwatch.forward.delivery import MOST_THINGS
from llmwatch.stream import deletions
from llmwatch.stream.erase import erase
from llmwatch.testing.wandb_server.faults import Trouble
from llmwatch.tracing import naming


@traced(kind="retrieval")
def retrieve(question):
    return [f"about {question}"]


@traced
def answer(question):
    return {"answer": retrieve(question)[0]}


@traced
def broken(question):
    raise ValueError(question)


def rejecting(status, *ids):
    """A rule: requests that hold one of these ids are refused."""

    def rule(path, body):
        held = (
            {one.get("id") for one in (body or {}).get("batch", ())}
            if isinstance(body, dict)
            else set()
        )
        return Trouble(status=status, message="no such thing") if held & set(ids) else None

    return rule


# --- what arrives -------------------------------------------------------------------------------


def test_a_trace_arrives_with_its_parents_kinds_and_published_ops(sending):
    _, row = answer.call("why?")
    naming.wait()
    sending.send_all()
    calls = {
        call["op_name"].rpartition("/")[2].partition(":")[0]: call
        for call in sending.calls.values()
    }
    child, root = calls["retrieve"], calls["answer"]
    assert root["id"] == row.id
    assert child["parent_id"] == root["id"]
    assert child["trace_id"] == root["trace_id"]
    assert root["inputs"] == {"question": "why?"}
    assert root["output"] == {"answer": "about why?"}
    assert child["attributes"]["weave"]["kind"] == "search"
    assert child["attributes"]["llmwatch"]["kind"] == "retrieval"
    assert root["op_name"].startswith(f"weave:///{PROJECT}/op/answer:")
    name, digest = root["op_name"].rpartition("/")[2].split(":")
    assert sending.server.kept.object(PROJECT, name, digest)["weave_type"] == {"type": "Op"}


def test_an_error_arrives_with_its_text(sending):
    with pytest.raises(ValueError, match="why"):
        broken("why?")
    sending.send_all()
    (call,) = sending.calls.values()
    assert "why?" in call["exception"]
    assert call["summary"]["status_counts"] == {"success": 0, "error": 1}


def test_a_logged_row_is_a_call_named_after_its_table(sending):
    row_id = sending.table("answers").add(
        {"id": 7, "status": "ok", "nothing": None, "nested": {"a": [1]}}
    )
    sending.send_all()
    call = sending.calls[row_id]
    assert call["op_name"] == "StreamTable/answers"
    assert call["inputs"] == {"id": 7, "status": "ok", "nothing": None, "nested": {"a": [1]}}


def test_what_llmwatch_says_itself_stays_here(sending):
    for table in ("metrics", "alerts", "drift", "breakers", "system", "answers"):
        sending.table(table).log({"n": 1})
    sending.send_all()
    [call] = sending.calls.values()
    assert call["op_name"].endswith("StreamTable/answers")
    assert sending.forwarder.lag() == 0


def test_an_image_arrives_as_weave_content_with_its_caption(sending):
    image = pytest.importorskip("PIL.Image")
    picture = image.new("RGB", (5, 4), (1, 2, 3))
    import wandb

    row_id = sending.table().add(
        {"plain": picture, "captioned": wandb.Image(picture, caption="a dot")}
    )
    sending.send_all()
    inputs = sending.calls[row_id]["inputs"]
    assert inputs["plain"]["weave_type"]["type"].endswith("Content")
    files = {
        name: {
            part: sending.server.kept.files[PROJECT, digest]
            for part, digest in value["files"].items()
        }
        for name, value in inputs.items()
    }
    assert image.open(io.BytesIO(files["plain"]["content"])).tobytes() == picture.tobytes()
    described = json.loads(files["captioned"]["metadata.json"])
    assert described["mimetype"] == "image/png"
    assert described["metadata"]["caption"] == "a dot"


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # a temporary directory of Weave's
def test_weave_itself_reads_the_content_back(sending):
    from weave.trace.serialization.custom_objs import decode_custom_obj

    row_id = sending.table().add({"paper": capture.Bytes(b"%PDF-1.7 ...", type="application/pdf")})
    sending.send_all()
    encoded = sending.calls[row_id]["inputs"]["paper"]
    files = {
        name: sending.server.kept.files[PROJECT, digest]
        for name, digest in encoded["files"].items()
    }
    content = decode_custom_obj({**encoded, "files": files})
    assert isinstance(content, weave.Content)
    assert content.data == b"%PDF-1.7 ..."
    assert content.mimetype == "application/pdf"


def test_feedback_scores_and_labels_arrive_after_their_rows(sending):
    table = sending.table()
    row_id = table.add({"text": "hi"})
    ids = {
        table.say("feedback", "reaction", "👎", row_id=row_id): "wandb.reaction.1",
        table.say("feedback", "note", "wrong", row_id=row_id): "wandb.note.1",
        table.say(
            "score", "tox icity", {"flagged": False}, row_id=row_id
        ): "wandb.runnable.tox_icity",
        table.say("label", "resolved", True, row_id=row_id): "llmwatch.label.resolved",
    }
    sending.send_all()
    assert {one: said["feedback_type"] for one, said in sending.feedback.items()} == ids
    by_type = {said["feedback_type"]: said for said in sending.feedback.values()}
    assert by_type["wandb.runnable.tox_icity"]["payload"] == {"output": {"flagged": False}}
    assert by_type["wandb.runnable.tox_icity"]["runnable_ref"].startswith(
        f"weave:///{PROJECT}/object/tox_icity:"
    )
    assert by_type["wandb.reaction.1"]["payload"] == {"emoji": "👎"}
    assert {said["weave_ref"] for said in sending.feedback.values()} == {
        f"weave:///{PROJECT}/call/{row_id}"
    }
    arrivals = list(sending.server.kept.arrivals)
    assert arrivals.index(("call", row_id)) < min(arrivals.index(("feedback", one)) for one in ids)


def test_what_is_said_about_a_row_that_still_runs_waits_for_it(sending):
    held = []

    @traced(eager=True)
    def slow():
        row = llmwatch.current_row()
        held.append(row.feedback.add_reaction("👍"))
        sending.send_all()
        assert sending.feedback == {}

    slow()
    sending.send_all()
    assert len(sending.feedback) == 1


def test_feedback_that_is_taken_back_is_taken_back_there(sending):
    from llmwatch.stream import events

    table = sending.table()
    row_id = table.add({"text": "hi"})
    kept = table.say("feedback", "note", "stays", row_id=row_id)
    gone = table.say("feedback", "note", "goes", row_id=row_id)
    sending.send_all()
    events.take_back(sending.project, gone)
    sending.send_all()
    assert set(sending.feedback) == {kept}


def test_feedback_that_is_taken_back_or_edited_before_its_turn_never_leaves(sending):
    from llmwatch.stream import events

    table = sending.table()
    row_id = table.add({"text": "hi"})
    gone = table.say("feedback", "note", "said in anger", row_id=row_id)
    events.take_back(sending.project, gone)
    first = table.say("feedback", "rating", {"stars": 1}, row_id=row_id)
    edited = events.add(
        sending.project,
        kind="feedback",
        name="rating",
        value={"stars": 5},
        row_id=row_id,
        replaces=first,
    )
    sending.send_all()
    assert set(sending.feedback) == {edited}


def test_what_is_published_arrives_whether_or_not_a_row_refers_to_it(sending):
    weave.publish(weave.Dataset(name="golden", rows=[{"q": 1}, {"q": 2}]))
    sending.send_all()
    rows_ref = sending.server.kept.object(PROJECT, "golden")["rows"]
    digest = rows_ref.rpartition("/")[2]
    assert rows_ref.startswith(f"weave:///{PROJECT}/table/")
    assert sending.server.kept.tables[PROJECT, digest] == [{"q": 1}, {"q": 2}]


def test_objects_and_files_are_sent_once_for_many_rows(sending):
    image = pytest.importorskip("PIL.Image")
    table = sending.table()
    for n in range(5):
        table.log({"n": n, "image": image.new("RGB", (3, 3))})
        answer(str(n))
    sending.send_all()
    kinds = {"object", "file"}
    assert {n for what, n in sending.server.kept.arrivals.items() if what[0] in kinds} == {1}


def test_a_name_given_after_a_call_was_sent_is_sent_once(sending):
    _, row = answer.call("why?")
    sending.send_all()
    client = llmwatch.init("bot")
    client.get_call(row.id).set_display_name("the first")
    client.flush()
    sending.send_all()
    row.add_data({"more": 1})  # a patch that changes nothing that can be sent
    sending.send_all()
    assert sending.calls[row.id]["display_name"] == "the first"
    assert sending.server.paths["/call/update"] == 1


# --- what is not sent ---------------------------------------------------------------------------


def test_what_was_recorded_for_this_machine_only_stays(home, server):
    from sending import Sending

    llmwatch.init("bot", destination="local")
    llmwatch.StreamTable("local/bot/answers").log({"secret": 1})
    with Sending(server, home / "store") as sending:
        sending.table().log({"secret": 0})
        sending.send_all()
        assert [call["inputs"] for call in sending.calls.values()] == [{"secret": 0}]
        llmwatch.init("bot", destination="local")
        sending.table().log({"secret": 2})
        llmwatch.init("bot", destination="wandb")
        sending.table().log({"secret": 0})
        sending.restart()
        sending.send_all()
        assert [call["inputs"] for call in sending.calls.values()] == [{"secret": 0}, {"secret": 0}]


def test_a_key_is_never_written_to_the_disk(sending):
    sending.table().log({"a": 1})
    sending.send_all()
    key = sending.server.environment["WANDB_API_KEY"].encode()
    assert not [
        path for path in sending.store.rglob("*") if path.is_file() and key in path.read_bytes()
    ]


# --- what breaks --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["status_429", "status_500", "cut", "lost"])
def test_everything_arrives_once_through_a_service_that_fails(sending, fault):
    table = sending.table()
    ids = {table.add({"n": n}) for n in range(40)}
    said = {table.say("score", "s", n, row_id=one) for n, one in enumerate(sorted(ids))}
    sending.server.faults.set(**{fault: 0.4})
    sending.send_all()
    assert set(sending.calls) == ids
    assert set(sending.feedback) == said
    assert sending.twice == {}


def test_a_forwarder_that_is_killed_after_every_request_sends_nothing_twice(sending):
    image = pytest.importorskip("PIL.Image")
    table = sending.table()
    ids = {table.add({"n": n, "image": image.new("L", (2, 2), n)}) for n in range(6)}
    said = {table.say("score", "s", n, row_id=one) for n, one in enumerate(sorted(ids))}
    for _ in range(60):
        sending.server.faults.clear()
        sending.server.faults.add(after_the_first())
        sending.send()
        sending.restart()  # all that it had in memory is gone
        if set(sending.calls) == ids and set(sending.feedback) == said:
            break
    assert (set(sending.calls), set(sending.feedback)) == (ids, said)
    assert sending.twice == {}


def after_the_first():
    """The first rows or feedback arrive and the answer is lost; what follows finds nobody."""
    seen = []

    def rule(path, body):
        if not path.endswith(("calls/complete", "batch/create")):
            return None
        seen.append(path)
        return Trouble(lost=True) if len(seen) == 1 else Trouble(cut=True)

    return rule


def test_one_row_that_is_refused_holds_up_none_of_the_others(sending):
    table = sending.table()
    ids = [table.add({"n": n}) for n in range(50)]
    sending.server.faults.add(rejecting(422, ids[13], ids[31]))
    sending.send_all()
    assert set(sending.calls) == set(ids) - {ids[13], ids[31]}
    assert [(dead[1], dead[3]) for dead in sending.forwarder.state.dead()] == [
        (ids[13], 422),
        (ids[31], 422),
    ]
    assert sending.twice == {}


def test_a_refused_row_is_sent_when_somebody_asks_again(sending):
    row_id = sending.table().add({"n": 1})
    sending.server.faults.add(rejecting(400, row_id))
    sending.send_all()
    sending.send_all()
    assert sending.calls == {}
    sending.server.faults.clear()
    assert sending.forwarder.state.revive() == 1
    sending.send_all()
    assert set(sending.calls) == {row_id}
    assert sending.forwarder.state.dead() == []


def test_a_row_that_is_tried_again_into_an_outage_is_not_lost(sending):
    row_id = sending.table().add({"n": 1})
    sending.server.faults.add(rejecting(400, row_id))
    sending.send_all()
    sending.server.faults.clear()
    sending.server.faults.set(cut=1.0)
    sending.forwarder.state.revive()
    sending.send()
    sending.restart()
    assert len(sending.forwarder.state.dead()) == 1
    sending.server.faults.clear()
    sending.send_all()
    assert set(sending.calls) == {row_id}
    assert sending.forwarder.state.dead() == []


def test_a_busy_table_leaves_the_others_their_turn(sending):
    busy, quiet = sending.table("a-busy"), sending.table("quiet")
    for n in range(1200):
        busy.log({"n": n})
    row_id = quiet.add({"n": 0})
    said = quiet.say("score", "s", 1, row_id=row_id)
    sending.send(seconds=0)
    assert row_id in sending.calls
    assert said in sending.feedback
    assert len(sending.calls) < 1201


def test_a_batch_that_is_too_large_is_sent_in_parts(sending):
    sending.server.largest_body = 20_000
    table = sending.table()
    ids = {table.add({"text": "x" * 1000}) for _ in range(60)}
    sending.send_all()
    assert set(sending.calls) == ids


def test_a_row_that_is_too_large_is_refused_by_itself(sending):
    sending.server.largest_body = 20_000
    table = sending.table()
    small, large = table.add({"text": "x"}), table.add({"text": "x" * 50_000})
    sending.send_all()
    assert set(sending.calls) == {small}
    assert [(dead[1], dead[3]) for dead in sending.forwarder.state.dead()] == [(large, 413)]


def test_more_rows_than_one_request_takes_arrive(sending):
    table = sending.table()
    ids = {table.add({"n": n}) for n in range(MOST_THINGS * 2 + 3)}
    sending.send_all()
    assert set(sending.calls) == ids


def test_the_server_says_how_long_to_wait(sending):
    sending.table().log({"n": 1})
    sending.server.faults.add(
        lambda path, _: Trouble(status=429, retry_after="77") if path.endswith("complete") else None
    )
    sending.send()
    assert sending.forwarder.backoff.wait_s == 77


def test_a_refused_key_is_said_and_everything_waits(sending, monkeypatch):
    row_id = sending.table().add({"n": 1})
    monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
    sending.send()
    assert "credentials" in sending.forwarder.problem
    monkeypatch.setenv("WANDB_API_KEY", sending.server.environment["WANDB_API_KEY"])
    sending.send_all()
    assert set(sending.calls) == {row_id}


def test_without_credentials_rows_wait_and_nothing_is_asked_of_the_network(sending, monkeypatch):
    sending.table().log({"n": 1})
    monkeypatch.delenv("WANDB_API_KEY")
    assert sending.send() is False
    assert "nobody is logged in" in sending.forwarder.problem
    assert sum(sending.server.paths.values()) == 0


def test_events_that_wait_in_vain_are_forgotten_in_the_end(sending):
    table = sending.table()
    table.say("score", "s", 1, row_id="a row that nobody recorded")
    sending.send_all()
    assert sending.forwarder.state.run("SELECT count(*) FROM waiting") == [(1,)]
    with clock.use(now=lambda: time.time_ns() // 1000 + 8 * 86400 * 10**6):
        sending.send()
    assert sending.forwarder.state.run("SELECT count(*) FROM waiting") == [(0,)]


def test_ids_are_forgotten_when_retention_has_removed_their_rows(sending):
    old = clock.uuid7(time.time_ns() - 10**17, 1)
    new = clock.new_id()
    state = sending.forwarder.state
    state.done([old, new, "not-a-uuid"])
    state.forget_sent(time.time_ns() // 1000 - 10**6)
    assert state.sent_of([old, new, "not-a-uuid"]) == {new, "not-a-uuid"}


HOSTILE = [
    {"text": "\ud800 lone", "nul": "a\0b", "html": "<script>alert(1)</script>", "esc": "\x1b[2J"},
    {
        "_type": "CustomWeaveType",
        "weave_type": {"type": "Op"},
        "files": {"obj.py": "../../etc/passwd"},
    },
    {"_type": "image", "file": "../../../etc/passwd"},
    {
        "ref": "weave:///local/bot/object/nothing:abc",
        "ref2": "weave:///local/bot/op/",
        "ref3": "weave:///",
    },
    {"'; DROP TABLE sent; --": 1, "": 2, "a.b": 3, "weave": {"kind": 5}},
    {
        "big": 2**80,
        "nan": float("nan"),
        "inf": float("-inf"),
        "bytes": b"\xff" * 9000,
        "none": None,
    },
]


@pytest.mark.parametrize("row", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_contents_arrive_and_hold_up_nothing(sending, row):
    table = sending.table()
    ids = {table.add(row), table.add({"after": 1})}

    @traced
    def take(value):
        return value

    take(row)
    echo = weave.op(lambda value: value, name="echo")
    echo(row)
    llmwatch.init("bot").flush()
    sending.send_all()
    assert ids <= set(sending.calls)
    assert len(sending.calls) == 4
    assert not [dead for dead in sending.forwarder.state.dead() if dead[0] == "row"]


def test_a_deeply_nested_value_arrives_or_is_refused_by_itself(sending):
    deep = value = {}
    for _ in range(5000):
        value["in"] = value = {}
    table = sending.table()
    odd, plain = table.add({"deep": deep}), table.add({"n": 1})
    sending.send_all()
    refused = {dead[1] for dead in sending.forwarder.state.dead()}
    assert plain in sending.calls
    assert (odd in sending.calls) != (odd in refused)


# --- what is deleted ----------------------------------------------------------------------------


def test_a_call_that_is_deleted_here_is_deleted_there_with_what_is_below_it(sending):
    _, row = answer.call("why?")
    _, other = answer.call("stays")
    sending.send_all()
    client = llmwatch.init("bot")
    client.delete_calls([row.id])
    sending.send_all()
    assert {call["trace_id"] for call in sending.calls.values()} == {other.trace_id}


def test_an_erased_row_is_deleted_there_and_leaves_not_even_its_id(sending):
    table = sending.table()
    gone, stays = table.add({"user": "u1"}), table.add({"user": "u2"})
    table.say("feedback", "note", "hello", row_id=gone)
    sending.send_all()
    assert erase(sending.project, "\"user\" = 'u1'").complete
    assert deletions.waiting(sending.project)
    sending.send_all()
    assert set(sending.calls) == {stays}
    assert sending.feedback == {}
    assert sending.forwarder.state.sent_of([gone]) == set()
    assert deletions.waiting(sending.project) == []


def test_a_row_that_is_erased_before_its_turn_never_leaves(sending):
    table = sending.table()
    table.log({"user": "u1"})
    erase(sending.project, "\"user\" = 'u1'")
    sending.send_all()
    assert sending.calls == {}


def test_a_deletion_that_is_refused_is_said_and_tried_again_when_asked(sending):
    table = sending.table()
    gone = table.add({"user": "u1"})
    sending.send_all()
    erase(sending.project, "\"user\" = 'u1'")
    sending.server.faults.add(
        lambda path, _: (
            Trouble(status=400, message="not yours") if path == "/calls/delete" else None
        )
    )
    sending.send_all()
    assert [(dead[0], dead[1]) for dead in sending.forwarder.state.dead()] == [("deletion", gone)]
    sending.server.faults.clear()
    sending.forwarder.state.revive()
    sending.send_all()
    assert sending.calls == {}
    assert sending.forwarder.state.dead() == []


def test_a_deletion_waits_for_the_end_of_an_outage(sending):
    table = sending.table()
    table.log({"user": "u1"})
    sending.send_all()
    erase(sending.project, "\"user\" = 'u1'")
    sending.server.faults.set(cut=1.0)
    sending.send()
    assert len(deletions.waiting(sending.project)) == 1
    sending.restart()
    sending.server.faults.clear()
    sending.send_all()
    assert sending.calls == {}
