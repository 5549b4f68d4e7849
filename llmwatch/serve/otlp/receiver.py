"""OTLP over HTTP: `POST /otel/v1/traces`, in protobuf or JSON, packed or not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.responses import Response

from llmwatch.backend import wire
from llmwatch.serve import requests
from llmwatch.serve.otlp import spans
from llmwatch.serve.otlp.calls import SpanCalls

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmwatch.backend.server import LocalTraceServer
    from llmwatch.settings import Settings

PATHS = ("/otel/v1/traces", "/v1/traces", "/agents/otel/v1/traces")
"""Ours and W&B's; what an exporter adds to a bare endpoint; where Weave's conversations go."""
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"


class Receiver:
    """Takes exports of spans."""

    def __init__(
        self, server: LocalTraceServer, settings: Settings, limiter: anyio.CapacityLimiter
    ) -> None:
        self._calls = SpanCalls(server, settings.entity, settings.project)
        self._limiter = limiter

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        return await anyio.to_thread.run_sync(
            partial(self._take, request, body), limiter=self._limiter
        )

    def _take(self, request: Request, body: bytes) -> Response:
        content = requests.unpacked(body, request.headers.get("content-encoding"))
        is_json = request.headers.get("content-type", "").partition(";")[0].strip() == _JSON
        try:
            found = (
                spans.of_json(requests.json_of(content)) if is_json else spans.of_protobuf(content)
            )
        except spans.BadSpans as error:
            raise requests.BadBody(400, str(error)) from error
        project = request.headers.get("project_id") or request.headers.get("x-project-id")
        return _answer(self._calls.record(found, project), is_json=is_json)


def _answer(rejected: int, *, is_json: bool) -> Response:
    """All were taken, or how many were not: to send those again is of no use."""
    said: dict[str, Any] = {}
    if rejected:
        reason = "a span needs a trace id, a span id, a start and an end"
        said = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": reason}}
    if is_json:
        return Response(wire.dumps(said), media_type=_JSON)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    answer = ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = said["partialSuccess"]["errorMessage"]
    return Response(answer.SerializeToString(), media_type=_PROTOBUF)
