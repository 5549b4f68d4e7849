"""Calls of the openai client inside traced functions: recorded by Weave's own patching, with what they took."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor as PlainPool

import openai
import pytest
import weave

import llmwatch
from llmwatch import StreamTable, ThreadPoolExecutor, traced
from llmwatch.testing.openai_server import openai_server

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
ASK = {"model": "gpt-4o-mini", "messages": MESSAGES}
CHAT, RESPONSES, EMBEDDINGS = (
    f"openai.{name}.create" for name in ("chat.completions", "responses", "embeddings")
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture
def bot(llmwatch_store):
    yield Bot(llmwatch.init("demo/bot"))
    llmwatch.finish()


@pytest.fixture
def server():
    with openai_server({"capital of france": "Paris it is."}, token_delay=0.002) as server:
        yield server


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        yield client


class Bot:
    """The project's rows, as a StreamTable reads them and as Weave's client does."""

    def __init__(self, client):
        self.client = client

    def rows(self):
        self.client.flush()
        with StreamTable("demo/bot/traces") as table:
            return sorted(table.rows(), key=lambda row: row["started_at"])

    def named(self, name):
        return [row for row in self.rows() if name_of(row) == name]

    def pair(self, name):
        """The traced function's row and the one call of the client below it."""
        parent, child = self.rows()
        assert (name_of(parent), name_of(child)) == ("ask", name)
        assert child["parent_id"] == parent.id
        assert child["trace_id"] == parent["trace_id"] == parent.id
        assert child["started_at"] >= parent["started_at"]
        return parent, child


def name_of(row):
    return row["op_name"].removeprefix("weave:///demo/bot/op/").split(":")[0]


def took(row):
    return row.get("model"), row.get("prompt_tokens"), row.get("completion_tokens")


def test_a_chat_completion_is_a_row_below_the_function_that_made_it(bot, client):
    @traced
    def ask():
        return client.chat.completions.create(**ASK).choices[0].message.content

    assert ask() == "Paris it is."
    parent, child = bot.pair(CHAT)
    assert child["kind"] == "generation"
    assert took(child) == ("gpt-4o-mini", 14, 4)
    assert child["summary"]["usage"]["gpt-4o-mini"]["total_tokens"] == 18
    assert child["inputs"]["messages"] == MESSAGES
    choice = child["output"]["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Paris it is.", "stop")
    assert parent["summary"]["usage"]["gpt-4o-mini"]["total_tokens"] == 18


def test_tokens_count_once_though_the_function_returns_the_completion_itself(bot, client):
    @traced
    def ask():
        return client.chat.completions.create(**ASK)

    ask()
    parent, child = bot.pair(CHAT)
    assert took(parent) == (None, None, None)
    assert parent["summary"]["usage"]["gpt-4o-mini"]["requests"] == 1
    assert sum(row.get("prompt_tokens") or 0 for row in (parent, child)) == 14


def test_logprobs_are_in_the_output(bot, client):
    @traced
    def ask():
        client.chat.completions.create(**ASK, logprobs=True, top_logprobs=2)

    ask()
    tokens = bot.pair(CHAT)[1]["output"]["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == "Paris it is."
    assert all(token["logprob"] < 0 and len(token["top_logprobs"]) == 2 for token in tokens)


def test_tool_calls_are_in_the_output(bot, client):
    @traced
    def ask():
        question = [{"role": "user", "content": "How is the weather in the city of Oslo?"}]
        client.chat.completions.create(model="gpt-4o-mini", messages=question, tools=[WEATHER])

    ask()
    child = bot.pair(CHAT)[1]
    choice = child["output"]["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert child["inputs"]["tools"] == [WEATHER]


def test_a_stream_is_one_row_with_its_text_and_its_time_to_first_token(bot, client):
    @traced
    def ask():
        for _ in client.chat.completions.create(**ASK, stream=True):
            pass

    ask()
    child = bot.pair(CHAT)[1]
    choice = child["output"]["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Paris it is.", "stop")
    assert 0 < child["ttft_ms"] <= child["latency_ms"]
    assert took(child) == ("gpt-4o-mini", None, None)  # no usage was asked for: unknown is not 0


def test_a_stream_that_reports_usage_has_its_tokens(bot, client):
    @traced
    def ask():
        for _ in client.chat.completions.create(
            **ASK, stream=True, stream_options={"include_usage": True}
        ):
            pass

    ask()
    parent, child = bot.pair(CHAT)
    assert took(child) == ("gpt-4o-mini", 14, 4)
    assert child["ttft_ms"] > 0
    assert parent["summary"]["usage"]["gpt-4o-mini"]["total_tokens"] == 18


def test_a_stream_has_the_logprobs_of_all_its_tokens(bot, client):
    @traced
    def ask():
        for _ in client.chat.completions.create(**ASK, stream=True, logprobs=True):
            pass

    ask()
    child = bot.pair(CHAT)[1]
    choice = child["output"]["choices"][0]
    assert choice["message"]["content"] == "Paris it is."
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == "Paris it is."


def test_streamed_tool_calls_are_put_together(bot, client):
    @traced
    def ask():
        question = [{"role": "user", "content": "How is the weather in the city of Oslo?"}]
        for _ in client.chat.completions.create(
            model="gpt-4o-mini", messages=question, tools=[WEATHER], stream=True
        ):
            pass

    ask()
    choice = bot.pair(CHAT)[1]["output"]["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"].startswith("{")


def test_a_function_may_hand_the_stream_on(bot, client):
    @traced
    def ask():
        return client.chat.completions.create(**ASK, stream=True)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in ask())
    assert text == "Paris it is."
    parent, child = bot.pair(CHAT)
    for row in (parent, child):
        assert row["output"]["choices"][0]["message"]["content"] == "Paris it is."
        assert row["ttft_ms"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_responses_are_rows_too(bot, client, stream):
    @traced
    def ask():
        answer = client.responses.create(
            model="gpt-4o-mini", input="What is the capital of France?", stream=stream
        )
        return [None for _ in answer] and None if stream else answer.output_text

    ask()
    child = bot.pair(RESPONSES)[1]
    assert child["output"]["output"][0]["content"][0]["text"] == "Paris it is."
    model, prompt, completion = took(child)
    assert (model, completion) == ("gpt-4o-mini", 4)
    assert prompt > 0
    assert child["summary"]["usage"]["gpt-4o-mini"]["total_tokens"] == prompt + 4


def test_embeddings_are_rows_too(bot, client):
    @traced
    def ask():
        made = client.embeddings.create(model="text-embedding-3-small", input="Paris", dimensions=8)
        return len(made.data[0].embedding)

    assert ask() == 8
    child = bot.pair(EMBEDDINGS)[1]
    model, prompt, completion = took(child)
    assert (model, completion) == ("text-embedding-3-small", None)
    assert prompt > 0
    assert len(child["output"]["data"][0]["embedding"]) == 8


def test_a_refused_request_says_so_in_both_rows(bot, client, server):
    server.faults.add(status=429, times=1)

    @traced
    def ask():
        client.chat.completions.create(**ASK)

    with pytest.raises(openai.RateLimitError):
        ask()
    parent, child = bot.pair(CHAT)
    assert (parent["status"], child["status"]) == ("error", "error")
    assert parent["exception_type"] == "openai.RateLimitError"
    assert "429" in child["exception"]
    assert took(child) == ("gpt-4o-mini", None, None)


def test_async_calls_gathered_stay_below_their_own_function(bot, server):
    client = openai.AsyncOpenAI(base_url=server.url, api_key="test")

    @traced
    async def ask(number):
        if number % 2:
            async for _ in await client.chat.completions.create(**ASK, stream=True):
                pass
        else:
            await client.chat.completions.create(**ASK)
        return number

    @traced
    async def ask_all():
        return await asyncio.gather(*map(ask, range(6)))

    async def main():
        async with client:
            return await ask_all()

    assert asyncio.run(main()) == list(range(6))
    (root,) = bot.named("ask_all")
    asked = {row.id: row for row in bot.named("ask")}
    made = bot.named(CHAT)
    assert {row["parent_id"] for row in asked.values()} == {root.id}
    assert sorted(row["parent_id"] for row in made) == sorted(asked)
    assert {row["trace_id"] for row in bot.rows()} == {root.id}
    for row in made:
        streams = bool(asked[row["parent_id"]]["inputs"]["number"] % 2)
        assert bool(row["inputs"].get("stream")) == streams
        assert (row.get("ttft_ms") is not None) == streams


def test_threads_of_the_pool_keep_the_trace(bot, client):
    @traced
    def ask(number):
        client.chat.completions.create(**ASK)
        return number

    @traced
    def ask_all():
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(ask, range(6)))

    assert ask_all() == list(range(6))
    (root,) = bot.named("ask_all")
    asked = bot.named("ask")
    assert {row["parent_id"] for row in asked} == {root.id}
    assert sorted(row["parent_id"] for row in bot.named(CHAT)) == sorted(row.id for row in asked)


def test_threads_of_another_pool_begin_traces_of_their_own(bot, client):
    @traced
    def ask(number):
        client.chat.completions.create(**ASK)

    with PlainPool(3) as pool:
        list(pool.map(ask, range(4)))
    asked = bot.named("ask")
    assert len({row["trace_id"] for row in asked}) == 4
    assert {row["trace_id"] for row in bot.named(CHAT)} == {row["trace_id"] for row in asked}


def test_weaves_ops_and_traced_functions_nest_both_ways(bot, client):
    @weave.op
    def innermost():
        return client.chat.completions.create(**ASK).choices[0].message.content

    @traced
    def middle():
        return innermost()

    @weave.op
    def outer():
        return middle()

    assert outer() == "Paris it is."
    rows = {name_of(row): row for row in bot.rows()}
    chain = [rows[name] for name in ("outer", "middle", "innermost", CHAT)]
    assert [row.get("parent_id") for row in chain] == [None, *(row.id for row in chain[:-1])]
    assert {row["trace_id"] for row in chain} == {chain[0]["trace_id"]}
    for row in chain:
        assert row["summary"]["usage"]["gpt-4o-mini"]["total_tokens"] == 18
    assert [took(row)[1] for row in chain] == [None, None, None, 14]


def test_the_table_and_weaves_client_read_the_same(bot, client):
    @traced
    def ask(how):
        if how == "fail":
            raise ValueError(how)
        return client.chat.completions.create(**ASK).choices[0].message.content

    ask("well")
    with pytest.raises(ValueError, match="fail"):
        ask("fail")
    rows = {row.id: row for row in bot.rows()}
    calls = {call.id: call for call in bot.client.get_calls()}
    assert rows.keys() == calls.keys()
    for call_id, call in calls.items():
        row = rows[call_id]
        assert (call.trace_id, call.parent_id) == (row["trace_id"], row.get("parent_id"))
        assert (call.op_name, call.started_at) == (row["op_name"], row["started_at"])
        assert (call.ended_at, call.exception) == (row["ended_at"], row.get("exception"))
        assert call.output == row.get("output")
        assert dict(call.inputs) == row["inputs"]
        assert call.summary["weave"]["status"] == row["status"]
        assert call.summary.get("usage") == (row.get("summary") or {}).get("usage")


def test_context_reaches_the_clients_rows(bot, client):
    @traced
    def ask():
        client.chat.completions.create(**ASK)

    with llmwatch.context(user_id="u7", session_id="s1", version="1.2"):
        ask()
    for row in bot.pair(CHAT):
        assert (row["user_id"], row["session_id"], row["version"]) == ("u7", "s1", "1.2")
