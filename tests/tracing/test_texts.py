"""Calls of texts, which are written as they are when no secret is in them: nothing else about their rows differs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from enum import Enum

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from llmwatch import settings
from llmwatch.capture import decode
from llmwatch.tracing import context, current_row, traced
from llmwatch.tracing import recorder as recording
from llmwatch.tracing import row as rows_module

SECRET = "sk-" + "a1B2" * 8
LONG = "A long-winded story of no one's keys. " * 40
LEAK = LONG + f"And here is mine: {SECRET}. " + LONG

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=600)
anything = st.one_of(texts, st.lists(texts, max_size=4), st.none(), st.booleans(), st.integers(-(2**70), 2**70))


def held(recorded):
    recorded.rows()
    return b"".join(p.read_bytes() for p in recorded.project.path.rglob("*") if p.is_file())


@trying(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(first=anything, second=anything, output=anything)
def test_what_is_recorded_is_what_was_said(first, second, output, recorded):
    @traced
    def ask(first, second=None):
        return output

    recording.configure(recorded.project, settings.current())
    before = len(recorded.rows())
    ask(first, second=second)
    row = recorded.rows()[before]
    if any(isinstance(value, int) and abs(value) > 2**63 for value in (first, second, output)):
        return  # as a mark of a big number; tests/capture
    assert row["inputs"] == {"first": first, "second": second}
    assert row.get("output") == output


@pytest.mark.parametrize("kind", [str, list])
def test_a_secret_is_found_wherever_the_trace_meets_it(kind, recorded):
    @traced
    def repeat(question):
        return question

    @traced
    def look(question, leak):
        repeat(question)
        repeat(leak)
        return repeat(leak)

    @traced
    def answer(question, leak):
        return look(question, leak)

    leak = LEAK if kind is str else [LONG, LEAK]
    assert answer(LONG, leak) == leak
    rows = recorded.rows()
    assert len(rows) == 5
    assert b"a1B2a1B2" not in held(recorded)
    for row in rows:
        assert str(row["inputs"]).count("REDACTED") == ("leak" in row["inputs"]) or row["op_name"] == "repeat"
        assert row["inputs"]["question"] == LONG or row["op_name"] == "repeat"
    [clean] = [row for row in rows if row["inputs"] == {"question": LONG}]
    assert clean["output"] == LONG
    assert sum("REDACTED" in str(row["output"]) for row in rows) == 4


def test_a_text_that_was_clean_in_one_trace_may_be_forbidden_in_another_function(recorded):
    @traced(redact="question")
    def inner(question):
        return None

    @traced(redact=lambda text: text.replace("story", "[tale]"))
    def changing(question):
        return question

    @traced
    def outer(question):
        inner(question)
        return changing(question)

    outer(LONG)
    rows = {row["op_name"]: row for row in recorded.rows()}
    assert rows["inner"]["inputs"] == {"question": "REDACTED"}
    assert "story" not in str(rows["changing"])
    assert "[tale]" in rows["changing"]["output"]
    assert rows["outer"]["inputs"] == {"question": LONG}


def test_lists_are_recorded_as_they_were(recorded):
    @traced
    def search(words):
        words.append("added")
        return words

    @traced(auto_log=False)
    def held_back(words):
        return words

    search(["key"])
    found = held_back(["key"])
    found.get().append(SECRET)
    found.finalize()
    first, second = recorded.rows()
    assert (first["inputs"], first["output"]) == ({"words": ["key"]}, ["key", "added"])
    assert (second["inputs"], second["output"]) == ({"words": ["key"]}, ["key"])


def test_half_a_character_and_a_number_too_big_lose_nothing_else(recorded):
    @traced
    def ask(question, k):
        return [question]

    ask("half \ud800 a character", 3)
    ask("why?", 1 << 80)
    half, big = recorded.rows()
    assert half["inputs"]["k"] == 3
    assert half["inputs"]["question"].startswith("half ")
    assert half["output"][0].endswith(" a character")
    assert big["inputs"]["question"] == "why?"
    assert str(1 << 80) in str(big["inputs"]["k"])


def test_an_argument_may_be_named_like_our_mark(recorded):
    @traced
    def ask(_type, __type):
        return "ok"

    ask("Image", "x")
    (row,) = recorded.rows()
    assert decode(orjson.loads(orjson.dumps(row["inputs"]))) == {"_type": "Image", "__type": "x"}


@pytest.mark.parametrize("many", [[""] * 5000, ["\x00" * 300], ["x" * 5000], ["x" * 200] * 100])
def test_a_field_is_bounded_whatever_it_is_made_of(many, recorded):
    settings.use(settings.load(field_limit_kb=1))
    recording.configure(recorded.project, settings.current())

    @traced
    def ask(one, all_of_them):
        return all_of_them

    ask(many[0], many)
    (line,) = [
        line
        for path in recorded.project.path.rglob("spool/**/*.jsonl")
        for line in path.read_bytes().splitlines()
        if line.startswith(b"{")
    ]
    assert len(line) < 4 * 1024


def test_a_thread_and_a_display_name_of_any_kind_stay_on_the_line(recorded):
    import weave

    @traced
    def ask(question):
        return "ok"

    with weave.thread(thread_id=orjson.Fragment(b'"a\n","b":"')):  # type: ignore[arg-type]
        ask("why?")
    ask.call("again?", __weave={"display_name": orjson.Fragment(b'"c\n"')})
    assert [row["inputs"]["question"] for row in recorded.rows()] == ["why?", "again?"]


def test_rows_have_the_attributes_that_cpython_was_told_of(recorded):
    """Any other would cost each of them a dict of its own."""
    met = []

    @traced
    def inner(question, k=3):
        met.append(current_row())
        if k == 4:
            raise KeyError(question)
        return question

    @traced
    def outer(question):
        inner(LONG, k=2)
        met.append(current_row())
        with pytest.raises(KeyError):
            inner(question, k=4)
        return [question]

    with context(session_id="s1", user_id="u1"):
        outer("why?")
    outer(LONG)
    assert len(rows_module._OFTEN_SET) == len(set(rows_module._OFTEN_SET)) <= 29
    assert {name for row in met for name in vars(row)} <= set(rows_module._OFTEN_SET)


# --- what changes, or comes, while it is recorded ----------------------------------------------


class Changing(Mapping):
    """An attribute whose reading changes what the call returned."""

    def __init__(self, found):
        self.found = found

    def __getitem__(self, key):
        return 1

    def __iter__(self):
        self.found[0] = SECRET
        return iter(["a"])

    def __len__(self):
        return 1


@pytest.mark.parametrize("where", ["attributes", "summary"])
def test_what_changes_while_it_is_written_is_recorded_as_it_was_looked_at(where, recorded):
    found = ["fine"]

    @traced
    def search(question):
        if where == "summary":
            current_row().summary = {"m": Changing(found)}
        return found

    with context(m=Changing(found)) if where == "attributes" else nullcontext():
        search("why?")
    assert found == [SECRET]
    assert recorded.only()["output"] == ["fine"]
    assert b"a1B2a1B2" not in held(recorded)


def test_threads_that_change_a_list_lose_no_row_and_hide_no_secret(recorded):
    shared, ended = ["fine", "too"], threading.Event()

    def change():
        while not ended.is_set():
            shared[0] = SECRET
            shared[1] = 7
            shared[0] = "fine"
            shared[1] = "too"

    @traced
    def search(words):
        return shared

    before = sys.getswitchinterval()
    thread = threading.Thread(target=change)
    thread.start()
    try:
        sys.setswitchinterval(1e-6)
        for _ in range(3000):
            search(shared)
    finally:
        sys.setswitchinterval(before)
        ended.set()
        thread.join()
    assert len(recorded.rows()) == 3000
    assert b"a1B2a1B2" not in held(recorded)


def test_a_rule_that_comes_while_a_call_runs_holds_for_it(recorded):
    @traced
    def ask(question, again):
        if again:
            recording.configure(recorded.project, settings.load(redact="pii", worker=False))
            ask("from ann@example.org", again=False)
        return question

    ask("mail ann@example.org", again=True)
    assert b"ann@example.org" not in held(recorded)
    assert [row["inputs"]["question"] for row in recorded.rows()] == ["from [email]", "mail [email]"]


def test_arguments_by_keyword_only_are_arguments_too(recorded):
    @traced
    def ask(question, *, api_key="hunter2hunter2", _type="Image"):
        return "ok"

    ask("why?")
    ask("why?", api_key="hunter3hunter3")
    assert b"hunter" not in held(recorded)
    for row in recorded.rows():
        assert decode(orjson.loads(orjson.dumps(row["inputs"]))) == {
            "question": "why?",
            "api_key": "REDACTED",
            "_type": "Image",
        }


def test_a_name_may_be_the_member_of_an_enum(recorded):
    import weave

    class Kind(str, Enum):
        CHAT = "chat"

    @traced
    def ask(question):
        return "ok"

    with weave.thread(thread_id=Kind.CHAT):
        ask.call("why?", __weave={"display_name": Kind.CHAT})
    row = recorded.only()
    assert (row["session_id"], row["display_name"]) == ("chat", "chat")


def test_half_a_character_somewhere_cuts_nothing_else(recorded):
    settings.use(settings.load(field_limit_kb=1))
    recording.configure(recorded.project, settings.current())

    @traced
    def ask(question):
        raise KeyError("\ud800 " + "why " * 1000)

    with pytest.raises(KeyError):
        ask("why?")
    assert len(recorded.only()["exception"]) > 2000
