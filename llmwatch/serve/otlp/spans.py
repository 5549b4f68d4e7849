"""OTLP's bytes as plain spans: protobuf or JSON, which say the same in different ways."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmwatch.errors import LlmwatchError

DEEPEST = 64
"""Values inside of values; a span nests none of its own so deep."""
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
ERROR = 2


class BadSpans(LlmwatchError, ValueError):
    """An export that is not OTLP."""


@dataclass(frozen=True)
class Event:
    """Something that happened in a span."""

    name: str
    us: int
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """One span, with what its resource and scope say of it."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_us: int
    end_us: int
    attributes: dict[str, Any]
    events: list[Event] = field(default_factory=list)
    is_error: bool = False
    message: str = ""
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str = ""
    links: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether it can be a row: both ids, a begin and an end."""
        return (
            len(self.trace_id) == 32
            and len(self.span_id) == 16
            and self.start_us > 0
            and self.end_us > 0
        )


def of_protobuf(content: bytes) -> list[Span]:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(content)
    except DecodeError as error:
        raise BadSpans(f"the body is not an export of spans in protobuf: {error}") from error
    return list(_of_request(_Message(request), _Protobuf()))


def of_json(export: Any) -> list[Span]:
    if not isinstance(export, Mapping):
        raise BadSpans("an export of spans is an object with resourceSpans")
    try:
        return list(_of_request(_Record(export), _Json()))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadSpans(f"the body is not an export of spans in JSON: {error}") from error


class _Message:
    """A protobuf message, asked by the names that JSON has."""

    def __init__(self, message: Any) -> None:
        self._message = message

    def get(self, name: str) -> Any:
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        return getattr(self._message, snake)

    def one(self, name: str) -> _Message:
        return _Message(self.get(name))

    def all(self, name: str) -> Iterator[_Message]:
        return map(_Message, self.get(name))

    @property
    def raw(self) -> Any:
        return self._message


class _Record:
    """An object of OTLP's JSON."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record

    def get(self, name: str) -> Any:
        return self._record.get(name)

    def one(self, name: str) -> _Record:
        found = self._record.get(name)
        return _Record(found if isinstance(found, Mapping) else {})

    def all(self, name: str) -> Iterator[_Record]:
        found = self._record.get(name)
        return (_Record(each) for each in found or () if isinstance(each, Mapping))

    @property
    def raw(self) -> Any:
        return self._record


class _Protobuf:
    """How protobuf writes ids and values."""

    def id(self, given: Any) -> str:
        return bytes(given).hex()

    def value(self, given: Any, depth: int = 0) -> Any:
        kind = given.WhichOneof("value")
        if kind is None or depth > DEEPEST:
            return None
        found = getattr(given, kind)
        if kind == "array_value":
            return [self.value(each, depth + 1) for each in found.values]
        if kind == "kvlist_value":
            return {each.key: self.value(each.value, depth + 1) for each in found.values}
        return base64.b64encode(found).decode() if kind == "bytes_value" else found


class _Json:
    """How JSON writes ids (in hex) and values (large whole numbers as text)."""

    def id(self, given: Any) -> str:
        return str(given or "").lower()

    def value(self, given: Any, depth: int = 0) -> Any:
        if not isinstance(given, Mapping) or not given or depth > DEEPEST:
            return None
        [(kind, found)] = given.items()
        if kind == "intValue":
            return int(found)
        if kind == "arrayValue":
            return [self.value(each, depth + 1) for each in found.get("values") or ()]
        if kind == "kvlistValue":
            inner = found.get("values") or ()
            return {each["key"]: self.value(each.get("value"), depth + 1) for each in inner}
        return found


def _of_request(request: Any, how: Any) -> Iterator[Span]:
    for of_resource in request.all("resourceSpans"):
        resource = _attributes(of_resource.one("resource").all("attributes"), how.value)
        for of_scope in of_resource.all("scopeSpans"):
            scope = str(of_scope.one("scope").get("name") or "")
            for span in of_scope.all("spans"):
                yield _span(span, how, resource, scope)


def _span(span: Any, how: Any, resource: dict[str, Any], scope: str) -> Span:
    status = span.one("status")
    return Span(
        trace_id=how.id(span.get("traceId")),
        span_id=how.id(span.get("spanId")),
        parent_id=how.id(span.get("parentSpanId")) or None,
        name=str(span.get("name") or ""),
        kind=_kind(span.get("kind")),
        start_us=_us(span.get("startTimeUnixNano")),
        end_us=_us(span.get("endTimeUnixNano")),
        attributes=_attributes(span.all("attributes"), how.value),
        events=[
            Event(
                str(event.get("name") or ""),
                _us(event.get("timeUnixNano")),
                _attributes(event.all("attributes"), how.value),
            )
            for event in span.all("events")
        ],
        is_error=status.get("code") in {ERROR, "STATUS_CODE_ERROR"},
        message=str(status.get("message") or ""),
        resource=resource,
        scope=scope,
        links=[
            {"trace_id": how.id(link.get("traceId")), "span_id": how.id(link.get("spanId"))}
            for link in span.all("links")
        ],
    )


def _attributes(pairs: Iterable[Any], value: Callable[[Any], Any]) -> dict[str, Any]:
    return {str(pair.get("key")): value(pair.get("value")) for pair in pairs}


def _kind(given: Any) -> str:
    if isinstance(given, int) and 0 <= given < len(_KINDS):
        return _KINDS[given]
    return str(given or _KINDS[0]).removeprefix("SPAN_KIND_")


def _us(nanoseconds: Any) -> int:
    return int(nanoseconds or 0) // 1000
