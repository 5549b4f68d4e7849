"""A `LocalTraceServer` and short ways to record and ask, for tests."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from llmwatch import settings
from llmwatch.backend.server import LocalTraceServer

PROJECT = "local/p"


class Local:
    """A server, with everything said as `project_id` left out."""

    def __init__(self, store):
        self.store = store
        self.server = LocalTraceServer(store, settings.load(worker=False))

    def start(self, call_id, at=0, **fields):
        start = {
            "project_id": PROJECT,
            "id": call_id,
            "op_name": "weave:///local/p/op/predict:abc",
            "display_name": None,
            "trace_id": call_id,
            "parent_id": None,
            "started_at": moment(at),
            "attributes": {},
            "inputs": {},
            **fields,
        }
        return self.server.call_start({"start": start})

    def end(self, call_id, at=1, **fields):
        end = {
            "project_id": PROJECT,
            "id": call_id,
            "ended_at": moment(at),
            "exception": None,
            "output": None,
            "summary": {},
            **fields,
        }
        self.server.call_end({"end": end})

    def call(self, call_id, at=0, *, took=1, output=None, exception=None, summary=None, **fields):
        self.start(call_id, at, **fields)
        self.end(call_id, at + took, output=output, exception=exception, summary=summary or {})

    def calls(self, expr=None, **req):
        query = {"$expr": expr} if expr is not None else None
        return list(self.server.calls_query_stream({"project_id": PROJECT, "query": query, **req}))

    def ids(self, expr=None, **req):
        """The ids of the calls that match; the stats must count as many."""
        found = [call.id for call in self.calls(expr, **req)]
        if "limit" not in req and "offset" not in req:
            query = {"$expr": expr} if expr is not None else None
            stats = self.server.calls_query_stats({"project_id": PROJECT, "query": query, **req})
            assert stats.count == len(found)
        return found

    def publish(self, name, val):
        obj = {"project_id": PROJECT, "object_id": name, "val": val}
        return self.server.obj_create({"obj": obj}).digest

    def read(self, name, digest="latest", **req):
        return self.server.obj_read(
            {"project_id": PROJECT, "object_id": name, "digest": digest, **req}
        ).obj

    def ask(self, method, **req):
        return getattr(self.server, method)({"project_id": PROJECT, **req})

    def feedback(self, type_, payload, *, ref="weave:///local/p/call/c1", **fields):
        return self.ask(
            "feedback_create", weave_ref=ref, feedback_type=type_, payload=payload, **fields
        )


def moment(seconds):
    return datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)


def field(path):
    return {"$getField": path}


def literal(value):
    return {"$literal": value}
