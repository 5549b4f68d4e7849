"""What a guardrail refuses does not get in or out: in functions of every kind, and in streams, recorded or not."""

from __future__ import annotations

import asyncio
import pickle
import re
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from llmwatch import Guardrail, GuardrailBlocked, traced

SECRET = "AKIAIOSFODNN7EXAMPLE"


@dataclass
class Verdict:
    ok: bool
    reasons: tuple[str, ...]
    redacted_text: str


def no_keys(text, *, role):
    """Finds keys such as AKIA..., and can take them out."""
    clean = re.sub(r"AKIA[A-Z0-9]{16}", "[key]", text)
    return Verdict(clean == text, () if clean == text else (f"a key in the {role}",), clean)


def polite(output):
    return "damn" not in str(output)


KINDS = ("function", "async", "generator", "async generator", "stream")


def answering(kind, guardrails, **options):
    """A function of each kind that says `text`, and what its caller gets of it: always a text."""
    function, read = KINDS_OF_FUNCTIONS[kind]
    guarded = traced(guardrails=guardrails, **options)(function)
    return lambda text: read(guarded(text))


def say(text):
    return text


async def say_async(text):
    return text


def stream(text):
    yield from text


async def stream_async(text):
    for character in text:
        yield character


def returned_stream(text):
    return (character for character in text)


async def joined(chunks):
    return "".join([chunk async for chunk in chunks])


KINDS_OF_FUNCTIONS = {
    "function": (say, lambda output: output),
    "async": (say_async, asyncio.run),
    "generator": (stream, "".join),
    "async generator": (stream_async, lambda chunks: asyncio.run(joined(chunks))),
    "stream": (returned_stream, "".join),
}


def decisions(row):
    return row["attributes"]["llmwatch"].get("decisions", [])


# --- the four actions --------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_block_raises_and_is_recorded(recorded, kind):
    ask = answering(kind, [Guardrail(no_keys)])
    assert ask("hello") == "hello"
    with pytest.raises(GuardrailBlocked, match="a key in the output") as raised:
        ask(f"take {SECRET} and run")
    good, bad = recorded.rows()
    assert (good["status"], bad["status"]) == ("success", "error")
    assert (raised.value.row_id, raised.value.on) == (bad["id"], "output")
    assert decisions(bad) == [
        {
            "guardrail": "no_keys",
            "on": "output",
            "action": "block",
            "reasons": ["a key in the output"],
        }
    ]
    assert decisions(good) == []
    assert SECRET not in str(bad["output"])


@pytest.mark.parametrize("kind", KINDS)
def test_redact_passes_on_what_is_left_and_records_only_that(recorded, kind):
    ask = answering(kind, [Guardrail(no_keys, action="redact")])
    assert ask(f"take {SECRET} and run") == "take [key] and run"
    row = recorded.only()
    assert row["status"] == "success"
    assert SECRET not in str(row["output"])
    assert decisions(row)[0]["action"] == "redact"


@pytest.mark.parametrize("kind", KINDS)
def test_fallback_gives_the_caller_something_else(recorded, kind):
    ask = answering(
        kind, [Guardrail(polite, action="fallback", fallback="I would rather not say.")]
    )
    assert ask("damn") == "I would rather not say."
    assert ask("hello") == "hello"
    assert [len(decisions(row)) for row in recorded.rows()] == [1, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_flag_changes_nothing_and_is_recorded(recorded, kind):
    ask = answering(kind, [Guardrail(no_keys, action="flag")])
    assert ask(f"take {SECRET}") == f"take {SECRET}"
    assert [each["action"] for each in decisions(recorded.only())] == ["flag"]


# --- inputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_input_does_not_reach_the_function(recorded, kind):
    ask = answering(kind, [Guardrail(no_keys, on="input")])
    with pytest.raises(GuardrailBlocked, match="refused the input"):
        ask(SECRET)
    assert decisions(recorded.only())[0]["on"] == "input"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eager", [False, True])
def test_a_redacted_input_is_what_the_function_gets_and_what_is_recorded(recorded, kind, eager):
    ask = answering(kind, [Guardrail(no_keys, action="redact", on="input")], eager=eager)
    assert ask(f"my key is {SECRET}") == "my key is [key]"
    assert recorded.only()["inputs"] == {"text": "my key is [key]"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_input_can_have_a_fallback(recorded, kind):
    ask = answering(kind, [Guardrail(no_keys, action="fallback", on="input", fallback="no")])
    assert ask(SECRET) == "no"


def test_texts_are_found_wherever_they_are_in_the_arguments(recorded):
    @traced(guardrails=[Guardrail(no_keys, action="redact", on="input")])
    def ask(messages, *more, system=None, database=None):
        return messages, more, system, database

    database = object()
    got = ask([{"role": "user", "content": SECRET}], SECRET, system=(SECRET, 3), database=database)
    assert got == ([{"role": "user", "content": "[key]"}], ("[key]",), ("[key]", 3), database)


def test_a_methods_own_object_is_not_its_input(recorded):
    class Client:
        key = SECRET

        @traced(guardrails=[Guardrail(no_keys, action="block", on=("input", "output"))])
        def ask(self, text):
            return text

    assert Client().ask("hello") == "hello"


def test_a_check_of_inputs_gets_them_by_name(recorded):
    def short_enough(inputs):
        return len(inputs["question"]) < 10

    @traced(guardrails=[Guardrail(short_enough, on="input")])
    def ask(question):
        return question

    assert ask("why?") == "why?"
    with pytest.raises(GuardrailBlocked):
        ask("why " * 10)


# --- streams -----------------------------------------------------------------------------


def chunks_until_blocked(chunks):
    got = []
    try:
        for chunk in chunks:
            got.append(chunk)  # noqa: PERF402 - what came before the error is asked about
    except GuardrailBlocked:
        return "".join(got)
    raise AssertionError("nothing was blocked")


@pytest.mark.parametrize("size", [1, 3, 7, 50, 1000])
def test_nothing_refused_leaves_a_stream_however_it_is_cut(recorded, size):
    text = "word " * 200 + SECRET + " more" * 200

    @traced(guardrails=[Guardrail(no_keys, window=40)])
    def stream():
        for start in range(0, len(text), size):
            yield text[start : start + size]

    got = chunks_until_blocked(stream())
    assert "AKIA" not in got
    assert text.startswith(got)


@pytest.mark.parametrize("size", [1, 3, 7, 50, 1000])
@pytest.mark.parametrize("filler", ["word ", "語", "x" * 9 + "\n"])
def test_redacted_streams_are_whole_however_they_are_cut(recorded, size, filler):
    text = (filler * 30 + f" {SECRET} ") * 3 + filler * 30

    @traced(guardrails=[Guardrail(no_keys, action="redact", window=40)])
    def stream():
        for start in range(0, len(text), size):
            yield text[start : start + size]

    got = list(stream())
    assert "".join(got) == text.replace(SECRET, "[key]")
    assert len(got) > 1 or size == 1000
    [row] = recorded.rows()
    assert len(decisions(row)) == 1


def test_a_stream_flows_while_it_is_checked(recorded):
    produced = []

    @traced(guardrails=[Guardrail(no_keys, window=20)])
    def stream():
        for n in range(100):
            produced.append(n)
            yield "word "

    first = next(iter(stream()))
    assert first == "word "
    assert len(produced) < 15


def test_what_a_generator_returns_passes_its_guardrails_too(recorded):
    @traced(guardrails=[Guardrail(no_keys, action="redact")])
    def stream(returned):
        yield "word "
        return returned

    def drive(returned):
        last.append((yield from stream(returned)))

    last = []
    for returned in (7, "seven", f"it is {SECRET}", None):
        assert list(drive(returned)) == ["word "]
    assert last[:2] + last[3:] == [7, "seven", None]
    assert last[2] == "it is [key]"


def test_a_fallback_ends_a_stream_and_closes_what_made_it(recorded):
    closed = []

    @traced(guardrails=[Guardrail(no_keys, action="fallback", fallback=" [stopped]", window=30)])
    def stream():
        try:
            yield "fine " * 20
            yield f"and {SECRET} " * 10
            yield "never"
        finally:
            closed.append(True)

    assert "".join(stream()).endswith(" [stopped]")
    assert closed == [True]


class Chunk:
    def __init__(self, text):
        self.choices = [SimpleNamespace(delta=SimpleNamespace(content=text))]


class Stream:
    """As a model's client gives one."""

    def __init__(self, texts):
        self.response = "the response"
        self.closed = False
        self._chunks = iter([Chunk(None), *map(Chunk, texts)])

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._chunks)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.closed = True


def test_the_stream_object_of_a_client_is_read_through_its_guardrails(recorded):
    made = []

    @traced
    def inner():
        made.append(Stream(["take ", SECRET[:9], SECRET[9:], " and run"]))
        return made[0]

    @traced(guardrails=[Guardrail(no_keys, action="redact")])
    def outer():
        return inner()

    with outer() as stream:
        assert stream.response == "the response"
        texts = [chunk.choices[0].delta.content for chunk in stream]
    assert "".join(text or "" for text in texts) == "take [key] and run"
    assert made[0].closed
    rows = {row["op_name"]: row for row in recorded.rows()}
    assert decisions(rows["outer"])[0]["action"] == "redact"


def test_an_iterator_of_any_kind_counts_as_a_stream(recorded):
    @traced(guardrails=[Guardrail(no_keys)])
    def ask():
        return map(str, ["fine", SECRET])

    with pytest.raises(GuardrailBlocked):
        list(ask())


# --- checks ------------------------------------------------------------------------------


def test_a_check_that_fails_lets_nothing_through(recorded):
    def broken(output):
        raise RuntimeError("the model is not there")

    with pytest.raises(
        GuardrailBlocked, match="the check failed: RuntimeError: the model is not there"
    ):
        answering("function", [broken])("hello")


def test_an_async_check_guards_async_and_sync_functions(recorded):
    async def polite_later(output):
        await asyncio.sleep(0)
        return "damn" not in output

    for kind in ("function", "async", "async generator"):
        ask = answering(kind, [polite_later])
        assert ask("hello") == "hello"
        with pytest.raises(GuardrailBlocked):
            ask("damn")


def test_a_scorer_is_a_guardrail_by_its_result(recorded):
    class Toxic:
        name = "toxic"

        def score(self, output):
            return {"flagged": "damn" in output, "reasons": ["rude"]}

    ask = answering("function", [Toxic()])
    assert ask("hello") == "hello"
    with pytest.raises(GuardrailBlocked, match=r"'toxic' refused the output of row .*: rude"):
        ask("damn")


def test_safety_blocks_and_redacts_by_its_own_policy(recorded):
    from llmwatch.scorers import Safety

    with pytest.raises(GuardrailBlocked, match="secrets: aws_key"):
        answering("function", [Safety(policy="balanced")])(f"the key is {SECRET}.")
    redacting = answering("generator", [Guardrail(Safety(), action="redact")])
    assert SECRET not in redacting(f"the key is {SECRET}.")


def test_guardrails_work_in_the_order_given(recorded):
    def no_brackets(output):
        return "[" not in output

    ask = answering("function", [Guardrail(no_keys, action="redact"), no_brackets])
    with pytest.raises(GuardrailBlocked, match="no_brackets"):
        ask(SECRET)


def test_structured_outputs_keep_their_shape(recorded):
    from pydantic import BaseModel

    class Answer(BaseModel):
        text: str
        sources: list[str]

    guardrails = [Guardrail(no_keys, action="redact")]
    made = answering("function", guardrails)(Answer(text=SECRET, sources=["a", SECRET]))
    assert made == Answer(text="[key]", sources=["a", "[key]"])


def test_an_object_whose_text_cannot_be_changed_is_blocked_instead_of_redacted(recorded):
    class Opaque:
        def __repr__(self):
            return SECRET

    with pytest.raises(GuardrailBlocked):
        answering("function", [Guardrail(no_keys, action="redact")])(Opaque())


# --- without recording -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_calls_that_are_not_sampled_are_guarded_all_the_same(recorded, kind):
    ask = answering(kind, [Guardrail(no_keys)], tracing_sample_rate=0)
    with pytest.raises(GuardrailBlocked) as raised:
        ask(SECRET)
    assert raised.value.row_id is None
    assert recorded.rows() == []


@pytest.mark.parametrize("kind", KINDS)
def test_before_init_functions_are_guarded_all_the_same(kind):
    with pytest.raises(GuardrailBlocked):
        answering(kind, [Guardrail(no_keys)])(SECRET)


def test_options_that_cannot_be_are_refused_when_the_guardrail_is_made():
    with pytest.raises(ValueError, match="cannot redact"):
        Guardrail(polite, action="redact")
    with pytest.raises(ValueError, match="action is one of"):
        Guardrail(polite, action="stop")
    with pytest.raises(ValueError, match="on is"):
        Guardrail(polite, on="both")
    with pytest.raises(TypeError, match="cannot be a guardrail"):
        Guardrail(3)


def test_a_refusal_survives_a_process_boundary():
    error = pickle.loads(
        pickle.dumps(GuardrailBlocked("polite", "r1", on="input", reasons=("rude",)))
    )
    assert str(error) == "guardrail 'polite' refused the input of row r1: rude"


def test_weave_keeps_the_code_of_the_function_itself():
    def ask(text):
        return text

    assert traced(guardrails=[polite])(ask).resolve_fn is ask
