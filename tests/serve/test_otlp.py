"""OpenTelemetry spans: sent by the real SDK's exporter to a real server, and each convention as rows."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from typing import ClassVar

import pytest
from serving import server

from llmwatch import settings
from llmwatch.backend.server import LocalTraceServer
from llmwatch.serve.otlp import spans
from llmwatch.serve.otlp.calls import SpanCalls, as_call
from llmwatch.serve.otlp.spans import BadSpans, Event, Span
from llmwatch.store import open_store

SECOND = 1_000_000


def span(attributes=None, *, events=(), **fields):
    made = {
        "trace_id": "0" * 31 + "1",
        "span_id": "0" * 15 + "a",
        "parent_id": None,
        "name": "chat gpt",
        "kind": "CLIENT",
        "start_us": 5 * SECOND,
        "end_us": 7 * SECOND,
        **fields,
    }
    return Span(attributes=dict(attributes or {}), events=list(events), **made)


@pytest.fixture
def recorded(tmp_path):
    """A function that records spans and reads them back as calls, by name."""
    backend = LocalTraceServer(open_store(tmp_path / "store"), settings.load(worker=False))
    calls = SpanCalls(backend, "local", "otel")

    def record(*given, project="local/otel"):
        calls.record(given)
        found = backend.calls_query({"project_id": project}).calls
        return {call.op_name: call for call in found}

    record.server = backend
    return record


def rows(recorded, project="local/otel"):
    """The columns that a row has beside what Weave shows of it."""
    reader = recorded.server._projects.get(project).reader()
    return reader.execute('SELECT * FROM "traces"').dicts()


class TestGenAi:
    ATTRIBUTES: ClassVar = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.conversation.id": "chat-1",
        "user.id": "ann",
        "gen_ai.input.messages": json.dumps(
            [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
        ),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": []}]),
        "server.port": 443,
    }

    def test_a_chat_is_a_generation_with_model_tokens_and_messages(self, recorded):
        call = recorded(span(self.ATTRIBUTES))["chat gpt"]
        assert call.inputs["messages"][0]["role"] == "user"
        assert (call.inputs["model"], call.inputs["temperature"]) == ("gpt-x", 0.5)
        assert call.output["messages"][0]["role"] == "assistant"
        assert call.summary["usage"]["gpt-x-2026"] == {
            "requests": 1,
            "prompt_tokens": 12,
            "completion_tokens": 3,
            "cache_read_input_tokens": 8,
        }
        [row] = rows(recorded)
        assert (row["kind"], row["model"], row["status"]) == ("generation", "gpt-x-2026", "success")
        assert (row["prompt_tokens"], row["completion_tokens"], row["latency_ms"]) == (12, 3, 2000)
        assert (row["session_id"], row["user_id"]) == ("chat-1", "ann")

    def test_tokens_of_an_agent_are_those_of_its_calls_and_count_once(self, recorded):
        used = {**self.ATTRIBUTES, "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2}
        agent = {**used, "gen_ai.operation.name": "invoke_agent"}
        calls = recorded(
            span(agent, name="agent", span_id="a" * 16),
            span(used, name="chat", span_id="b" * 16, parent_id="a" * 16),
        )
        assert [row["prompt_tokens"] for row in rows(recorded) if row["op_name"] == "chat"] == [10]
        assert [row["prompt_tokens"] for row in rows(recorded) if row["op_name"] == "agent"] == [
            None
        ]
        kept = calls["agent"].attributes["otel"]["attributes"]
        assert kept["gen_ai.usage.input_tokens"] == 10

    def test_what_is_told_in_inputs_is_not_kept_twice_and_the_rest_is_kept(self, recorded):
        otel = recorded(span(self.ATTRIBUTES, scope="my.lib"))["chat gpt"].attributes["otel"]
        assert otel["attributes"]["server.port"] == 443
        assert "gen_ai.input.messages" not in otel["attributes"]
        assert (otel["kind"], otel["scope"]) == ("CLIENT", "my.lib")

    def test_messages_may_be_events(self, recorded):
        events = [
            Event("gen_ai.system.message", 1, {"content": "be kind"}),
            Event("gen_ai.user.message", 2, {"content": "hi"}),
            Event("gen_ai.choice", 3, {"index": 0, "message": '{"content": "hello"}'}),
        ]
        call = recorded(span({"gen_ai.operation.name": "chat"}, events=events))["chat gpt"]
        assert [m["role"] for m in call.inputs["messages"]] == ["system", "user"]
        assert call.output["messages"] == [{"index": 0, "message": {"content": "hello"}}]

    def test_messages_may_be_numbered_attributes(self, recorded):
        numbered = {f"gen_ai.prompt.{n}.content": f"m{n}" for n in range(11)}
        call = recorded(span({**numbered, "gen_ai.completion.0.content": "ok"}))["chat gpt"]
        assert [m["content"] for m in call.inputs["messages"]] == [f"m{n}" for n in range(11)]
        assert call.output["messages"] == [{"content": "ok"}]

    def test_tokens_that_are_no_count_are_unknown_not_0(self, recorded):
        odd = {
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": "many",
            "gen_ai.usage.output_tokens": -1,
        }
        recorded(span(odd))
        [row] = rows(recorded)
        assert (row["prompt_tokens"], row["completion_tokens"]) == (None, None)

    def test_a_tool_has_its_arguments_and_result(self, recorded):
        said = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.call.arguments": '{"city": "Oslo"}',
            "gen_ai.tool.call.result": '{"rain": true}',
        }
        call = recorded(span(said))["chat gpt"]
        assert (call.inputs["arguments"], call.output["result"]) == (
            {"city": "Oslo"},
            {"rain": True},
        )
        assert rows(recorded)[0]["kind"] == "tool"


class TestOpenInference:
    def test_a_model_call(self, recorded):
        said = {
            "openinference.span.kind": "LLM",
            "llm.model_name": "claude",
            "llm.token_count.prompt": 5,
            "llm.token_count.completion": 2,
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "hi",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "f",
            "llm.invocation_parameters": '{"temperature": 1}',
            "input.value": "hi",
            "session.id": "s",
        }
        call = recorded(span(said))["chat gpt"]
        assert call.inputs == {
            "model": "claude",
            "temperature": 1,
            "messages": [{"role": "user", "content": "hi"}],
        }
        assert call.output["messages"][0]["tool_calls"] == [{"function": {"name": "f"}}]
        [row] = rows(recorded)
        assert (row["kind"], row["model"], row["prompt_tokens"]) == ("generation", "claude", 5)

    def test_a_retriever_has_its_documents(self, recorded):
        said = {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "why?",
            "retrieval.documents.0.document.content": "because",
            "retrieval.documents.0.document.score": 0.9,
            "retrieval.documents.1.document.content": "so",
        }
        call = recorded(span(said))["chat gpt"]
        assert call.inputs == {"input": "why?"}
        assert call.output == {
            "documents": [{"content": "because", "score": 0.9}, {"content": "so"}]
        }
        assert rows(recorded)[0]["kind"] == "retrieval"

    def test_a_chain_has_its_values_parsed(self, recorded):
        said = {"openinference.span.kind": "CHAIN", "input.value": '{"q": 1}', "output.value": "42"}
        call = recorded(span(said))["chat gpt"]
        assert (call.inputs, call.output) == ({"input": {"q": 1}}, "42")


class TestAnySpan:
    def test_children_are_below_their_parents(self, recorded):
        child = span(span_id="0" * 15 + "b", parent_id="0" * 15 + "a", name="child")
        found = recorded(child, span(name="root"))
        assert found["child"].parent_id == found["root"].id
        assert found["child"].trace_id == found["root"].trace_id

    def test_a_failed_one_tells_its_exception(self, recorded):
        raised = {
            "exception.type": "ValueError",
            "exception.message": "no",
            "exception.stacktrace": "at x",
        }
        call = recorded(span(events=[Event("exception", 6 * SECOND, raised)], is_error=True))[
            "chat gpt"
        ]
        assert json.loads(call.exception) == {
            "type": "ValueError",
            "message": "no",
            "traceback": "at x",
        }
        [row] = rows(recorded)
        assert (row["status"], row["exception_type"]) == ("error", "ValueError")

    def test_an_exception_that_was_caught_fails_nothing(self, recorded):
        caught = Event("exception", 6 * SECOND, {"exception.type": "KeyError"})
        call = recorded(span(events=[caught]))["chat gpt"]
        assert call.exception is None
        assert call.attributes["otel"]["events"][0]["attributes"] == {"exception.type": "KeyError"}

    def test_sent_again_it_is_one_row(self, recorded, tmp_path):
        for _ in range(2):
            recorded(span(), span(span_id="0" * 15 + "b", name="other"))
        again = LocalTraceServer(open_store(tmp_path / "store"), settings.load(worker=False))
        SpanCalls(again, "local", "otel").record([span()])
        assert len(rows(recorded)) == 2

    def test_its_resource_may_name_the_project(self, recorded):
        found = recorded(span(resource={"wandb.project": "p2"}), project="local/p2")
        assert list(found) == ["chat gpt"]

    def test_without_ids_or_times_it_is_counted_as_rejected(self, recorded):
        calls = SpanCalls(recorded.server, "local", "otel")
        assert calls.record([span(span_id=""), span(start_us=0), span(trace_id="xy"), span()]) == 3

    def test_hostile_attributes_are_values_like_others(self, recorded):
        said = {
            "gen_ai.operation.name": "chat",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.role.deeper": "x",
            "llm.input_messages.999999999999999999999.message.role": "<script>",
            "gen_ai.input.messages": "[" * 5000,
            "openinference.span.kind": None,
            "a'; DROP TABLE traces; --": "\x1b[31m\x00",
        }
        call = recorded(span(said))["chat gpt"]
        assert call.attributes["otel"]["attributes"]["a'; DROP TABLE traces; --"] == "\x1b[31m\x00"


class TestWire:
    def test_json_says_what_protobuf_says(self):
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
        from opentelemetry.proto.common.v1.common_pb2 import (
            AnyValue,
            ArrayValue,
            KeyValue,
            KeyValueList,
        )

        request = trace_service_pb2.ExportTraceServiceRequest()
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.add(
            key="service.name", value=AnyValue(string_value="bot")
        )
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = "lib"
        made = scope_spans.spans.add(
            trace_id=bytes(15) + b"\1",
            span_id=bytes(7) + b"\2",
            name="n",
            kind=3,
            start_time_unix_nano=5_000_000_001,
            end_time_unix_nano=6_000_000_000,
        )
        made.status.code = 2
        made.attributes.add(key="n", value=AnyValue(int_value=2**60))
        nested = AnyValue(
            array_value=ArrayValue(values=[AnyValue(double_value=0.5), AnyValue(bool_value=True)])
        )
        both = KeyValueList(values=[KeyValue(key="k", value=nested)])
        made.attributes.add(key="nested", value=AnyValue(kvlist_value=both))
        inner = {"arrayValue": {"values": [{"doubleValue": 0.5}, {"boolValue": True}]}}
        said = {
            "traceId": "0" * 31 + "1",
            "spanId": "0" * 15 + "2",
            "name": "n",
            "kind": "SPAN_KIND_CLIENT",
            "startTimeUnixNano": "5000000001",
            "endTimeUnixNano": 6_000_000_000,
            "status": {"code": 2},
            "attributes": [
                {"key": "n", "value": {"intValue": str(2**60)}},
                {
                    "key": "nested",
                    "value": {"kvlistValue": {"values": [{"key": "k", "value": inner}]}},
                },
            ],
        }
        as_json = {
            "resourceSpans": [
                {
                    "resource": {
                        "attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]
                    },
                    "scopeSpans": [{"scope": {"name": "lib"}, "spans": [said]}],
                }
            ]
        }
        of_protobuf = spans.of_protobuf(request.SerializeToString())
        assert of_protobuf == spans.of_json(as_json)
        assert of_protobuf[0].attributes == {"n": 2**60, "nested": {"k": [0.5, True]}}
        assert as_call(of_protobuf[0])["id"] == "0" * 15 + "2"

    @pytest.mark.parametrize("content", [b"\xff\xff", b"not protobuf at all"])
    def test_what_is_no_protobuf_is_refused(self, content):
        with pytest.raises(BadSpans):
            spans.of_protobuf(content)

    @pytest.mark.parametrize(
        "export",
        [
            [],
            None,
            {"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]},
            {
                "resourceSpans": [
                    {"scopeSpans": [{"spans": [{"attributes": [{"value": {"intValue": []}}]}]}]}
                ]
            },
        ],
    )
    def test_json_of_another_shape_is_refused(self, export):
        with pytest.raises(BadSpans):
            spans.of_json(export)


@pytest.mark.slow
def test_the_sdks_own_exporter_sends_here(tmp_path):
    import httpx
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    with server(tmp_path / "store", "--token", "t" * 40) as variables:
        url = variables["WANDB_BASE_URL"]
        headers = {"Authorization": f"Bearer {'t' * 40}", "project_id": "local/agent"}
        exporter = OTLPSpanExporter(
            f"{url}/otel/v1/traces", headers=headers, compression=Compression.Gzip, timeout=60
        )
        provider = TracerProvider(resource=Resource.create({"service.name": "bot"}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("test")
        with suppress(ValueError), tracer.start_as_current_span("agent") as root:
            root.set_attribute("gen_ai.operation.name", "invoke_agent")
            with tracer.start_as_current_span("chat") as chat:
                chat.set_attributes({"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 3})
            raise ValueError("no")
        provider.shutdown()
        with httpx.Client(base_url=url, headers=headers, timeout=60) as ask:
            found = ask.post(
                "/calls/stream_query", json={"project_id": "local/agent"}
            ).text.splitlines()
            agent, chat = map(json.loads, found)
            assert (agent["op_name"], chat["op_name"]) == ("agent", "chat")
            assert chat["parent_id"] == agent["id"]
            assert json.loads(agent["exception"])["type"] == "ValueError"
            assert agent["attributes"]["otel"]["resource"]["service.name"] == "bot"
            again = ask.post(
                "/otel/v1/traces",
                content=gzip.compress(b'{"resourceSpans": []}'),
                headers={"content-type": "application/json", "content-encoding": "gzip"},
            )
            assert (again.status_code, again.json()) == (200, {})
            assert ask.post("/otel/v1/traces", content=b"\xff").status_code == 400
