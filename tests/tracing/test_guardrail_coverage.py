"""Nothing gets around a guardrail: whatever the value is made of, however its chunks are shaped, and however it comes."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from llmwatch import Guardrail, GuardrailBlocked, traced

SECRET = "AKIAIOSFODNN7EXAMPLE"


@dataclass
class Verdict:
    ok: bool
    reasons: tuple[str, ...]
    redacted_text: str


def no_keys(text, *, role):
    clean = re.sub(r"AKIA[A-Z0-9]{16}", "[key]", text)
    return Verdict(clean == text, () if clean == text else (f"a key in the {role}",), clean)


@dataclass
class Question:
    text: str


def given(action, value):
    """What a function gets that is called with `value`."""

    @traced(guardrails=[Guardrail(no_keys, action=action, on="input")])
    def ask(value):
        return value

    return ask(value)


def returned(value, check=no_keys, action="block"):
    """What a caller gets of a function that returns `value`."""

    @traced(guardrails=[Guardrail(check, action=action)])
    def ask():
        return value

    return ask()


# --- values ------------------------------------------------------------------------------

HIDDEN = {
    "an object": Question(SECRET),
    "an object in a list": [Question(SECRET)],
    "beside an object": [{"text": SECRET}, {"image": object()}],
    "bytes": SECRET.encode(),
    "a key": {SECRET: 1},
    "a set": {SECRET},
}


@pytest.mark.parametrize("value", HIDDEN.values(), ids=HIDDEN)
def test_a_text_is_found_wherever_it_is(value):
    with pytest.raises(GuardrailBlocked):
        given("block", value)
    with pytest.raises(GuardrailBlocked):
        returned(value)


@pytest.mark.parametrize("value", [[SECRET, object()], Question(SECRET)], ids=["list", "object"])
def test_what_cannot_be_redacted_in_an_input_is_blocked(value):
    with pytest.raises(GuardrailBlocked):
        given("redact", value)


def test_an_object_with_nothing_in_it_does_not_keep_other_texts_from_being_redacted():
    thing = object()
    seen = []

    @traced(guardrails=[Guardrail(no_keys, action="redact", on="input")])
    def ask(client, text):
        seen.append((client, text))

    ask(thing, f"it is {SECRET}")
    assert seen == [(thing, "it is [key]")]


def test_bytes_and_keys_and_sets_are_redacted():
    assert given("redact", SECRET.encode()) == b"[key]"
    assert given("redact", {SECRET: {SECRET}}) == {"[key]": {"[key]"}}


def test_pictures_and_arrays_pass_as_they_are():
    pixels = np.zeros((3, 3))
    assert given("redact", pixels) is pixels
    assert given("block", b"\x89PNG\xff") == b"\x89PNG\xff"


def test_a_stream_within_a_value_is_refused():
    with pytest.raises(GuardrailBlocked, match="cannot be checked"):
        returned({"answer": (text for text in [SECRET])})


# --- results of checks -------------------------------------------------------------------


class WeavesResult(BaseModel):
    passed: bool
    metadata: dict[str, Any] = {}


@pytest.mark.parametrize(
    "said",
    [WeavesResult(passed=False), np.bool_(False), {"flagged": np.bool_(True)}],
    ids=["an object of Weave's", "numpy's False", "numpy's True"],
)
def test_a_check_can_refuse_in_other_words(said):
    with pytest.raises(GuardrailBlocked):
        returned("anything", check=lambda output: said)


@pytest.mark.parametrize("said", [WeavesResult(passed=True), np.bool_(True), None, 0.3])
def test_a_check_that_does_not_refuse_lets_pass(said):
    assert returned("anything", check=lambda output: said) == "anything"


# --- streams -----------------------------------------------------------------------------


def chunk(**delta):
    return SimpleNamespace(
        id="chatcmpl-1", choices=[SimpleNamespace(delta=SimpleNamespace(**delta))]
    )


def tool(text):
    called = SimpleNamespace(index=0, function=SimpleNamespace(name=None, arguments=text))
    return chunk(content=None, tool_calls=[called])


def halves(make):
    return [make(SECRET[:9]), make(SECRET[9:])]


STREAMS = {
    "arguments of a tool": halves(tool),
    "reasoning": halves(lambda text: chunk(content=None, reasoning_content=text)),
    "another choice": [
        SimpleNamespace(choices=[*chunk(content="hi").choices, *chunk(content=text).choices])
        for text in (SECRET[:9], SECRET[9:])
    ],
    "an event of anthropic": halves(
        lambda text: SimpleNamespace(
            type="content_block_delta", delta=SimpleNamespace(type="text_delta", text=text)
        )
    ),
    "a message": halves(lambda text: SimpleNamespace(content=text)),
    "bytes": halves(lambda text: text.encode()),
    "a dict of one's own": halves(lambda text: {"answer": text}),
    "a pair": halves(lambda text: ("token", text)),
}


@pytest.mark.parametrize("chunks", STREAMS.values(), ids=STREAMS)
def test_chunks_of_any_shape_are_read(chunks):
    leaving = []
    with pytest.raises(GuardrailBlocked):
        leaving.extend(returned(iter(["x"] * 700 + chunks + ["y"] * 700)))
    assert leaving
    assert SECRET[:9] not in repr(leaving)


def test_what_cannot_be_redacted_in_a_chunk_is_blocked():
    with pytest.raises(GuardrailBlocked):
        list(returned(iter(halves(tool)), action="redact"))


def test_text_in_other_shapes_is_redacted_in_them():
    assert b"".join(returned(iter(STREAMS["bytes"]), action="redact")) == b"[key]"
    events = list(returned(iter(STREAMS["an event of anthropic"]), action="redact"))
    assert "".join(event.delta.text for event in events) == "[key]"


def test_redaction_neither_loses_nor_repeats_a_chunk_without_text():
    sent = [chunk(content=f"{SECRET} " + "w " * 200), *(tool(f"{n} ") for n in range(400))]
    got = list(returned(iter(sent), action="redact"))
    arguments = [
        each.choices[0].delta.tool_calls[0].function.arguments
        for each in got
        if getattr(each.choices[0].delta, "tool_calls", None)
    ]
    assert arguments == [f"{n} " for n in range(400)]
    texts = [each.choices[0].delta.content or "" for each in got]
    assert "".join(texts) == "[key] " + "w " * 200


def test_a_cut_character_is_whole_again():
    text = "né " * 400
    chunks = [bytes([byte]) for byte in text.encode()]
    assert b"".join(returned(iter(chunks), action="redact")).decode() == text


def test_a_function_that_returns_something_awaitable_is_guarded():
    async def answering():
        return SECRET

    with pytest.raises(GuardrailBlocked):
        asyncio.run(returned(answering()))


class Iterable:
    def __iter__(self):
        return iter([SECRET])


class AsyncIterable:
    async def __aiter__(self):
        yield SECRET


class BothWays:
    """As litellm's stream is."""

    def __iter__(self):
        return self

    def __next__(self):
        return SECRET

    def __aiter__(self):
        return self

    async def __anext__(self):
        return SECRET


async def read(stream):
    return [chunk async for chunk in stream]


def test_what_is_only_iterable_is_a_stream_too():
    with pytest.raises(GuardrailBlocked):
        list(returned(Iterable()))
    with pytest.raises(GuardrailBlocked):
        asyncio.run(read(returned(AsyncIterable())))


def test_a_stream_of_both_kinds_is_read_as_its_function_is_called():
    with pytest.raises(GuardrailBlocked):
        list(returned(BothWays()))

    @traced(guardrails=[no_keys])
    async def ask():
        return BothWays()

    async def answer():
        return await read(await ask())

    with pytest.raises(GuardrailBlocked):
        asyncio.run(answer())


def test_another_way_to_read_a_stream_is_guarded_too():
    """As anthropic's `text_stream` is."""

    class Stream:
        def __iter__(self):
            return self

        def __next__(self):
            raise StopIteration

        @property
        def text_stream(self):
            return iter(["it is ", SECRET])

    with pytest.raises(GuardrailBlocked):
        list(returned(Stream()).text_stream)


def test_an_async_generator_that_is_left_early_is_closed_when_that_is_over():
    closed = []

    @traced(guardrails=[no_keys])
    async def ask():
        try:
            while True:
                yield "word " * 200
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def leave():
        stream = ask()
        async for _ in stream:
            break
        await stream.aclose()
        return list(closed)

    assert asyncio.run(leave()) == [True]
