"""The server is driven by the real OpenAI client, as its users will drive it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import math
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from llmwatch import clock
from llmwatch.testing.openai_server import (
    ApiError,
    OpenAIServer,
    Reply,
    Request,
    ToolCall,
    openai_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "gpt-4o-mini"
RAG = """Answer from the context only.

Context:
[1] You can reset your API key on the Settings page. Keys are shown once.
[2] Invoices are sent on the first of the month. Refunds take five days.

Question: {question}"""
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "days", "unit"],
        },
    },
}


class Trip(BaseModel):
    city: str
    days: int
    stops: list[str]
    hotel: str | None


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with openai_server() as running:
        yield running


@pytest.fixture
def client(server: OpenAIServer) -> Iterator[openai.OpenAI]:
    with client_of(server) as made:
        yield made


def client_of(server: OpenAIServer, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="test", **{"max_retries": 0, **options})


def ask(client: openai.OpenAI, prompt: str = "Say hello to the world", **options: Any) -> Any:
    options = {"model": MODEL, **options}
    messages: Any = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(messages=messages, **options)


def said(client: openai.OpenAI, prompt: str = "Say hello to the world", **options: Any) -> Any:
    return ask(client, prompt, **options).choices[0].message.content


# --- what it answers ---


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How do I reset my key?", "You can reset your API key on the Settings page."),
        ("How long do refunds take?", "Refunds take five days."),
        ("Who painted the Mona Lisa?", "I could not find an answer to that in the context."),
    ],
)
def test_a_prompt_with_context_is_answered_from_its_nearest_sentence(
    client: openai.OpenAI, question: str, expected: str
) -> None:
    assert said(client, RAG.format(question=question)) == expected


def test_context_may_stand_in_tags_and_in_the_system_message(client: openai.OpenAI) -> None:
    messages: Any = [
        {"role": "system", "content": "Be brief.\n<context>Cats purr. Dogs bark.</context>"},
        {"role": "user", "content": "Which animals bark?"},
    ]
    answered = client.chat.completions.create(model=MODEL, messages=messages)
    assert answered.choices[0].message.content == "Dogs bark."


def test_a_prompt_without_context_is_answered_about_its_own_words(client: openai.OpenAI) -> None:
    assert "autumn" in said(client, "Write a poem about autumn")


def test_the_same_requests_get_the_same_answers_ids_and_log_probabilities_on_two_servers() -> None:
    def run() -> list[dict[str, Any]]:
        with openai_server(now=lambda: 7) as server, client_of(server) as client:
            return [ask(client, logprobs=True, seed=seed).to_dict() for seed in (1, 2, 1)]

    first, again = run(), run()
    assert first == again
    assert len({answer["id"] for answer in first}) == 3
    assert first[0]["created"] == 7


def test_the_time_of_an_answer_is_the_clock_of_llmwatch(client: openai.OpenAI) -> None:
    with clock.use(now=lambda: 1_234_000_000):
        assert ask(client).created == 1234


def test_choices_differ_unless_the_temperature_is_zero(client: openai.OpenAI) -> None:
    prompt = RAG.format(question="How do I reset my key?")
    varied = {choice.message.content for choice in ask(client, prompt, n=8).choices}
    plain = {choice.message.content for choice in ask(client, prompt, n=8, temperature=0).choices}
    assert len(varied) > 1
    assert len(plain) == 1


def test_replies_are_chosen_by_pattern_and_otherwise_taken_in_turn() -> None:
    replies: Any = [("refund", "Five days."), "one", Reply(content="two")]
    with openai_server(replies) as server, client_of(server) as client:
        assert [said(client, p) for p in ("a", "REFUND?", "b")] == ["one", "Five days.", "two"]
        assert "maples" in said(client, "Tell me about maples")


def test_a_function_sees_the_request_and_may_leave_the_answer_to_the_server() -> None:
    def shout(request: Request) -> str | None:
        return request.question.upper() if request.body.get("user") == "ann" else None

    with openai_server(shout) as server, client_of(server) as client:
        assert said(client, "Context: x\nQuestion: why?", user="ann") == "WHY?"
        assert "maples" in said(client, "Tell me about maples")


def test_a_dict_that_is_no_reply_is_sent_as_json() -> None:
    with openai_server(lambda _: {"grade": 3}) as server, client_of(server) as client:
        assert json.loads(said(client)) == {"grade": 3}


def test_a_failing_function_is_told_to_the_client() -> None:
    def fail(request: Request) -> str:
        if request.prompt == "teapot":
            raise ApiError(418, "short and stout")
        raise RuntimeError("no such luck")

    with openai_server(fail) as server, client_of(server) as client:
        with pytest.raises(openai.InternalServerError, match="RuntimeError: no such luck"):
            ask(client)
        with pytest.raises(openai.APIStatusError, match="short and stout"):
            ask(client, "teapot")


# --- tokens, limits, log-probabilities ---


def test_usage_counts_prompt_and_reply_with_details(client: openai.OpenAI) -> None:
    usage = ask(client).usage
    assert usage.prompt_tokens == 5 + 4 + 3
    assert usage.completion_tokens > 5
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details.reasoning_tokens == 0


def test_a_long_prompt_beginning_that_was_seen_is_counted_as_cached(client: openai.OpenAI) -> None:
    long = "The quick brown fox jumps over the lazy dog. " * 200
    assert ask(client, long + "One?").usage.prompt_tokens_details.cached_tokens == 0
    second = ask(client, long + "Two?").usage
    assert 1024 <= second.prompt_tokens_details.cached_tokens < second.prompt_tokens
    assert second.prompt_tokens_details.cached_tokens % 128 == 0


def test_reasoning_models_spend_tokens_that_count_against_the_limit(client: openai.OpenAI) -> None:
    free = ask(client, model="o4-mini", reasoning_effort="low")
    assert free.usage.completion_tokens_details.reasoning_tokens == 64
    assert free.usage.completion_tokens > 64
    cut = ask(client, model="o4-mini", reasoning_effort="low", max_completion_tokens=66)
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 66)


def test_max_tokens_cuts_the_reply_and_stop_ends_it() -> None:
    with openai_server("one two three END four") as server, client_of(server) as client:
        cut = ask(client, max_tokens=2)
        assert cut.choices[0].message.content == "one two"
        assert cut.choices[0].finish_reason == "length"
        assert cut.usage.completion_tokens == 2
        stopped = ask(client, stop=[" END"]).choices[0]
        assert (stopped.message.content, stopped.finish_reason) == ("one two three", "stop")


def test_log_probabilities_cover_the_reply_and_are_a_distribution(client: openai.OpenAI) -> None:
    choice = ask(client, logprobs=True, top_logprobs=5).choices[0]
    entries = choice.logprobs.content
    assert "".join(entry.token for entry in entries) == choice.message.content
    for entry in entries:
        top = [other.logprob for other in entry.top_logprobs]
        assert len(top) == 5
        assert top == sorted(top, reverse=True)
        assert sum(map(math.exp, top)) <= 1.0 + 1e-6
        assert bytes(entry.bytes).decode() == entry.token


def test_an_unsure_reply_has_lower_log_probabilities() -> None:
    def mean(confidence: float) -> float:
        reply = Reply("a rather long reply of many words " * 5, confidence=confidence)
        with openai_server(reply) as server, client_of(server) as client:
            entries = ask(client, logprobs=True).choices[0].logprobs.content
            return float(sum(entry.logprob for entry in entries) / len(entries))

    assert mean(0.3) < mean(0.95) < 0


# --- streams ---


def test_a_stream_carries_the_text_the_finish_and_the_usage(client: openai.OpenAI) -> None:
    whole = ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_has_no_usage_unless_asked_for(client: openai.OpenAI) -> None:
    assert all(chunk.usage is None for chunk in ask(client, stream=True))


def test_the_choices_of_a_stream_are_interleaved(client: openai.OpenAI) -> None:
    indexes = [chunk.choices[0].index for chunk in ask(client, stream=True, n=2)]
    assert indexes[:4] == [0, 1, 0, 1]


def test_the_clients_own_stream_helper_puts_text_and_log_probabilities_together(
    client: openai.OpenAI,
) -> None:
    messages: Any = [{"role": "user", "content": "Tell me about maples"}]
    with client.chat.completions.stream(model=MODEL, messages=messages, logprobs=True) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion().choices[0]
    assert {"content.delta", "content.done", "logprobs.content.delta"} <= kinds
    assert final.logprobs is not None
    assert "".join(e.token for e in final.logprobs.content or ()) == final.message.content


def test_a_refusal_is_told_as_one_streamed_or_not() -> None:
    refusal = Reply(refusal="I can't help with that.")
    with openai_server(refusal) as server, client_of(server) as client:
        message = ask(client).choices[0].message
        assert (message.content, message.refusal) == (None, "I can't help with that.")
        deltas = [chunk.choices[0].delta.refusal for chunk in ask(client, stream=True)]
        assert "".join(filter(None, deltas)) == message.refusal


# --- tools and structured outputs ---


def test_a_fitting_tool_is_called_with_arguments_from_the_question(client: openai.OpenAI) -> None:
    prompt = "What is the weather in Oslo for 3 days, in fahrenheit?"
    choice = ask(client, prompt, tools=[WEATHER]).choices[0]
    called = choice.message.tool_calls[0].function
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert called.name == "get_weather"
    assert json.loads(called.arguments) == {"city": "Oslo", "days": 3, "unit": "fahrenheit"}


def test_a_tool_that_does_not_fit_is_called_only_when_it_must_be(client: openai.OpenAI) -> None:
    def calls(**options: Any) -> Any:
        return ask(client, "Tell me a joke", tools=[WEATHER], **options).choices[0]

    forced: Any = {"type": "function", "function": {"name": "get_weather"}}
    assert calls().message.tool_calls is None
    assert calls(tool_choice="required").finish_reason == "tool_calls"
    assert calls(tool_choice=forced).message.tool_calls[0].function.name == "get_weather"


def test_the_result_of_a_tool_is_what_the_next_answer_says(client: openai.OpenAI) -> None:
    first = ask(client, "What is the weather in Oslo?", tools=[WEATHER]).choices[0].message
    messages: Any = [
        {"role": "user", "content": "What is the weather in Oslo?"},
        first.to_dict(),
        {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "Rain, 7 degrees."},
    ]
    answered = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert answered.choices[0].message.content == "Rain, 7 degrees."


def test_streamed_tool_calls_come_together_to_the_same_calls() -> None:
    reply = Reply(tool_calls=[ToolCall("a", {"x": "some text"}), ToolCall("b", "not json {")])
    with openai_server(reply) as server, client_of(server) as client:
        calls: dict[int, list[str]] = {}
        deltas = 0
        for chunk in ask(client, stream=True, tools=[WEATHER]):
            for part in chunk.choices[0].delta.tool_calls or ():
                named = calls.setdefault(part.index, [part.function.name or "", ""])
                named[1] += part.function.arguments or ""
                deltas += 1
        assert calls == {0: ["a", '{"x": "some text"}'], 1: ["b", "not json {"]}
        assert deltas > 6


def test_a_schema_is_filled_and_parsed(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Plan 4 days in Rome"}]
    parsed = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Trip)
    trip = parsed.choices[0].message.parsed
    assert trip is not None
    assert (trip.city, trip.days, len(trip.stops)) == ("Rome", 4, 1)


def test_a_schema_that_contains_itself_comes_to_an_end(client: openai.OpenAI) -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"value": {"type": "string"}}}
    node["properties"]["next"] = {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}
    node["properties"]["all"] = {"type": "array", "items": {"$ref": "#/$defs/node"}}
    schema = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "node", "schema": schema}}
    filled = json.loads(said(client, response_format=wanted))
    assert filled["next"]["next"]["value"]


def test_json_mode_answers_with_an_object(client: openai.OpenAI) -> None:
    assert "answer" in json.loads(said(client, response_format={"type": "json_object"}))


def test_a_structured_reply_cut_by_the_limit_is_an_error_of_the_client(
    client: openai.OpenAI,
) -> None:
    messages: Any = [{"role": "user", "content": "Plan 4 days in Rome"}]
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model=MODEL, messages=messages, response_format=Trip, max_tokens=3
        )


# --- the responses API ---


def test_a_response_has_text_and_usage(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model=MODEL, instructions="Be brief.", input=RAG.format(question="When do invoices come?")
    )
    assert response.output_text == "Invoices are sent on the first of the month."
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.output_tokens == 10
    assert client.responses.retrieve(response.id).output_text == response.output_text


def test_the_events_of_a_streamed_response_are_numbered_and_in_order(
    client: openai.OpenAI,
) -> None:
    events = list(client.responses.create(model="gpt-5", input="Say hello", stream=True))
    names = [event.type for event in events if not event.type.endswith("delta")]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_the_clients_response_helper_parses_a_streamed_schema(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model=MODEL, input="Plan 4 days in Rome", text_format=Trip
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert final.output_parsed is not None
    assert final.output_parsed.city == "Rome"
    assert "".join(deltas) == final.output_text


def test_a_response_calls_tools_streamed_or_not(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "strict": False, **WEATHER["function"]}
    asked: Any = {"model": MODEL, "input": "What is the weather in Oslo?", "tools": [tool]}
    item: Any = client.responses.create(**asked).output[0]
    assert (item.type, item.name, json.loads(item.arguments)["city"]) == (
        "function_call",
        "get_weather",
        "Oslo",
    )
    with client.responses.stream(**asked) as stream:
        kinds = {event.type for event in stream}
        final: Any = stream.get_final_response().output[0]
    assert "response.function_call_arguments.delta" in kinds
    assert final.arguments == item.arguments


def test_a_response_continues_from_an_earlier_one(
    client: openai.OpenAI, server: OpenAIServer
) -> None:
    first = client.responses.create(model=MODEL, input="My cat is called Mia.")
    second = client.responses.create(model=MODEL, input="Who is it?", previous_response_id=first.id)
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.total_tokens
    with pytest.raises(openai.NotFoundError, match="resp_gone"):
        client.responses.create(model=MODEL, input="Who?", previous_response_id="resp_gone")


def test_a_response_cut_by_its_limit_is_incomplete(client: openai.OpenAI) -> None:
    stream = client.responses.create(
        model=MODEL, input="Tell me about maples", max_output_tokens=3, stream=True
    )
    last: Any = list(stream)[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_log_probabilities_of_a_response_when_included(client: openai.OpenAI) -> None:
    response: Any = client.responses.create(
        model=MODEL, input="Hi there", include=["message.output_text.logprobs"], top_logprobs=2
    )
    part = response.output[0].content[0]
    assert "".join(entry.token for entry in part.logprobs) == part.text
    assert all(len(entry.top_logprobs) == 2 for entry in part.logprobs)


# --- embeddings, moderations, models ---


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_texts_about_the_same_are_near_and_others_are_not(client: openai.OpenAI) -> None:
    texts = ["How do I reset my API key?", "Resetting the API key", "Rain is expected on Mars"]
    answered = client.embeddings.create(model="text-embedding-3-small", input=texts)
    key, same, other = (item.embedding for item in answered.data)
    assert len(key) == 1536
    assert cosine(key, key) == pytest.approx(1, abs=1e-5)
    assert cosine(key, same) > 0.6
    assert abs(cosine(key, other)) < 0.2
    assert answered.usage.prompt_tokens > 10


def test_floats_and_base64_are_the_same_vector(client: openai.OpenAI) -> None:
    asked: Any = {"model": "text-embedding-3-large", "input": "maples", "dimensions": 64}
    floats = client.embeddings.create(**asked, encoding_format="float").data[0].embedding
    packed = client.embeddings.create(**asked).data[0].embedding  # the client asks for base64
    assert len(floats) == 64
    assert packed == pytest.approx(floats, abs=1e-6)


def test_an_empty_text_cannot_be_embedded(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.embeddings.create(model="text-embedding-3-small", input=[""])


def test_moderation_flags_by_category(client: openai.OpenAI) -> None:
    threat, kind = client.moderations.create(input=["I will kill you", "What a day"]).results
    assert threat.flagged
    assert threat.categories.violence
    assert threat.categories.harassment_threatening
    assert threat.category_scores.violence > 0.5 > kind.category_scores.violence
    assert not kind.flagged


def test_models_are_listed_and_other_models_are_unknown_when_given() -> None:
    with openai_server(models=["mine"]) as server, client_of(server) as client:
        assert [model.id for model in client.models.list()] == ["mine"]
        assert client.models.retrieve("mine").owned_by == "openai"
        with pytest.raises(openai.NotFoundError) as caught:
            ask(client, model="yours")
        assert caught.value.code == "model_not_found"


# --- errors ---


@pytest.mark.parametrize(
    ("header", "code", "text"),
    [
        (None, None, "You didn't provide an API key"),
        ("Basic abc", None, "You didn't provide an API key"),
        ("Bearer sk-wrong-and-rather-long", "invalid_api_key", "sk-wrong*"),
    ],
)
def test_without_the_right_key_the_answer_is_401(
    header: str | None, code: str | None, text: str
) -> None:
    with openai_server(require_key="sk-right") as server, client_of(server) as client:
        headers = {} if header is None else {"Authorization": header}
        status, told = raw(server, "GET", "/v1/models", b"", **headers)
        assert (status, told["error"]["code"]) == (401, code)
        assert text in told["error"]["message"]
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
        assert ask(client.with_options(api_key="sk-right")).choices


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"model": ""}, "model"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ],
)
def test_a_bad_parameter_is_named(client: openai.OpenAI, body: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, extra_body=body)
    assert caught.value.param == param


def raw(server: OpenAIServer, method: str, path: str, body: bytes, **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answered = connection.getresponse()
        return answered.status, json.loads(answered.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b"{not json", 400),
        ("POST", "/v1/chat/completions", b"[1]", 400),
        ("GET", "/v1/chat/completions", b"", 405),
        ("POST", "/v1/nothing", b"{}", 404),
    ],
)
def test_a_request_that_is_none_gets_an_error_in_the_apis_shape(
    server: OpenAIServer, method: str, path: str, body: bytes, status: int
) -> None:
    answered, told = raw(server, method, path, body)
    assert answered == status
    assert set(told["error"]) == {"message", "type", "param", "code"}


def test_a_length_that_is_no_number_is_refused(server: OpenAIServer) -> None:
    assert raw(server, "POST", "/v1/responses", b"{}", **{"Content-Length": "many"})[0] == 400


# --- injected faults ---


def test_the_client_gets_through_after_two_429s(server: OpenAIServer) -> None:
    server.faults.add(status=429, times=2, retry_after=0.01)
    with client_of(server, max_retries=2) as client:
        assert ask(client).choices
    assert [request.status for request in server.requests] == [429, 429, 200]
    assert [request.retries for request in server.requests] == [0, 1, 2]


def test_a_fault_stays_until_cleared_and_hits_only_what_it_names(
    client: openai.OpenAI, server: OpenAIServer
) -> None:
    server.faults.add(status=503, endpoint="chat/completions", match="maples")
    for _ in range(2):
        with pytest.raises(openai.InternalServerError, match="overloaded"):
            ask(client, "Tell me about maples")
    assert ask(client, "Tell me about oaks").choices
    server.faults.clear()
    assert ask(client, "Tell me about maples").choices


def test_the_same_share_of_requests_fails_however_many_threads_send_them() -> None:
    def failing(threads: int) -> set[str]:
        with openai_server() as server, client_of(server) as client:
            server.faults.add(status=500, rate=0.3, seed=5)

            def one(number: int) -> None:
                with contextlib.suppress(openai.InternalServerError):
                    ask(client, f"number {number}")

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, range(40)))
            return {request.prompt for request in server.requests if request.status == 500}

    alone, together = failing(1), failing(8)
    assert alone == together
    assert 4 <= len(alone) <= 20


def test_a_server_that_never_answers_is_a_timeout(server: OpenAIServer) -> None:
    server.faults.add(delay=math.inf)
    with client_of(server, timeout=0.2) as client, pytest.raises(openai.APITimeoutError):
        ask(client)


def test_a_dropped_connection_is_a_connection_error(
    client: openai.OpenAI, server: OpenAIServer
) -> None:
    server.faults.add(drop=True, times=1)
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert ask(client).choices


def received(stream: Any) -> tuple[int, type[BaseException] | None]:
    """How many events came, and what ended the stream."""
    count = 0
    try:
        for _ in stream:
            count += 1
    except (openai.APIError, json.JSONDecodeError) as error:
        return count, type(error)
    return count, None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"drop": True}, openai.APIConnectionError),
        ({"malformed": True}, json.JSONDecodeError),
        ({"status": 500}, openai.APIError),
    ],
)
def test_a_stream_breaks_after_the_events_it_was_given(
    client: openai.OpenAI, server: OpenAIServer, fault: Any, error: type[Exception]
) -> None:
    server.faults.add(after=4, times=1, **fault)
    assert received(ask(client, stream=True)) == (4, error)
    assert received(ask(client, stream=True))[1] is None


def test_a_broken_response_stream_says_so_in_an_event(
    client: openai.OpenAI, server: OpenAIServer
) -> None:
    server.faults.add(status=429, after=5)
    last: Any = list(client.responses.create(model=MODEL, input="Hi", stream=True))[-1]
    assert (last.type, last.code) == ("error", "rate_limit_exceeded")


def test_malformed_json_does_not_parse(client: openai.OpenAI, server: OpenAIServer) -> None:
    server.faults.add(malformed=True)
    with pytest.raises(json.JSONDecodeError):
        ask(client)


def test_a_fault_that_does_nothing_is_refused(server: OpenAIServer) -> None:
    with pytest.raises(ValueError, match="needs one of"):
        server.faults.add(times=3)


def test_slow_tokens_reach_the_client_one_by_one(server: OpenAIServer) -> None:
    server.faults.add(token_delay=math.inf, times=1)
    # nothing paced ever comes, so the client's time-out has to strike inside the stream
    with client_of(server, timeout=0.2) as client:
        stream = ask(client, stream=True)
        assert received(stream) == (0, openai.APITimeoutError)


def test_a_client_that_leaves_a_stream_early_does_no_harm(
    client: openai.OpenAI, server: OpenAIServer
) -> None:
    for _ in range(3):
        stream = ask(client, stream=True)
        next(stream)
        stream.close()
    assert ask(client).choices


# --- the server itself ---


def test_requests_are_remembered_as_they_were_sent(
    client: openai.OpenAI, server: OpenAIServer
) -> None:
    ask(client, "Hi there", seed=4)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.body == {
        "model": MODEL,
        "seed": 4,
        "messages": [{"role": "user", "content": "Hi there"}],
    }
    assert request.headers["authorization"] == "Bearer test"


def test_the_async_client_streams_many_at_once(server: OpenAIServer) -> None:
    async def one(client: openai.AsyncOpenAI, number: int) -> str:
        messages: Any = [{"role": "user", "content": f"About subject{number}"}]
        stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="test") as client:
            return await asyncio.gather(*(one(client, number) for number in range(20)))

    answers = asyncio.run(run())
    assert all(f"subject{number}" in answer.lower() for number, answer in enumerate(answers))


def test_the_async_client_retries_parses_and_streams_responses(server: OpenAIServer) -> None:
    async def run() -> Any:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="test") as client:
            server.faults.add(status=429, times=1, retry_after=0.01)
            parsed = await client.responses.parse(
                model=MODEL, input="Plan 4 days in Rome", text_format=Trip
            )
            async with client.responses.stream(model=MODEL, input="Say hello") as stream:
                async for _ in stream:
                    pass
                return parsed.output_parsed, await stream.get_final_response()

    trip, response = asyncio.run(run())
    assert trip.city == "Rome"
    assert response.output_text


def test_closing_ends_every_thread_though_clients_hang_and_keep_connections() -> None:
    before = set(threading.enumerate())
    server = openai_server(delay=lambda request: math.inf if request.prompt == "hang" else 0)
    with server, client_of(server) as client, ThreadPoolExecutor(1) as pool:
        ask(client)
        hanging = pool.submit(ask, client, "hang")
        while len(server.requests) < 2:
            pass
        server.close()
        with pytest.raises(openai.APIConnectionError):
            hanging.result(10)
    assert set(threading.enumerate()) == before


def test_a_closed_server_starts_again_at_its_port() -> None:
    server = openai_server()
    with server:
        port = server.port
    with server.start(), client_of(server) as client:
        assert server.port == port
        assert ask(client).choices


def test_the_module_runs_a_server_until_interrupted() -> None:
    command = [sys.executable, "-m", "llmwatch.testing.openai_server", "--require-key", "sk-1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        told = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        url, key = told["OPENAI_BASE_URL"], told["OPENAI_API_KEY"]
        with openai.OpenAI(base_url=url, api_key=key) as client:
            assert ask(client).choices
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 0
