"""An application that knows OpenTelemetry and not llmwatch: its GenAI spans become rows.

    python examples/opentelemetry_in.py

The SDK and the exporter are the usual ones; the only thing said about llmwatch is an address.
"""

from __future__ import annotations

from local_server import local_server
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from llmwatch import StreamTable

PROJECT = "local/example-otel"


def answer(provider: TracerProvider, question: str) -> None:
    """Instrumented by the GenAI conventions, as instrumentation libraries do it."""
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("invoke_agent shop") as agent:
        agent.set_attribute("gen_ai.operation.name", "invoke_agent")
        agent.set_attribute("gen_ai.conversation.id", "chat-1")
        with tracer.start_as_current_span("chat small") as chat:
            chat.set_attribute("gen_ai.operation.name", "chat")
            chat.set_attribute("gen_ai.request.model", "small")
            chat.set_attribute("gen_ai.usage.input_tokens", 12 + len(question))
            chat.set_attribute("gen_ai.usage.output_tokens", 7)
            if not question:
                raise ValueError("an empty question")


def main() -> None:
    with local_server() as variables:
        address = f"{variables['WF_TRACE_SERVER_URL']}/otel/v1/traces"
        exporter = OTLPSpanExporter(endpoint=address, headers={"project_id": PROJECT})
        provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        for question in ("How do I reset my key?", "What does it cost?", ""):
            try:
                answer(provider, question)
            except ValueError:
                print("one question was empty")
        provider.shutdown()  # sends what waits
    rows = StreamTable("example-otel/traces").query(
        "SELECT coalesce(model, kind, 'span') AS what, status, prompt_tokens, session_id FROM traces ORDER BY started_at, id"
    )
    for row in rows.dicts():
        print(
            f"{row['what']:>6}: {row['status']}, {row['prompt_tokens']} tokens in, session {row['session_id']}"
        )


if __name__ == "__main__":
    main()
