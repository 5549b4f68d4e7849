"""Feedback on calls and objects: events, under Weave's names."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.backend import events, wire
from llmwatch.backend.call_query import TABLE
from llmwatch.backend.event_queries import EventQuery, ids_only
from llmwatch.backend.feedback_rules import checked_payload, invalid
from llmwatch.backend.fields import Field, json_text, split
from llmwatch.backend.fragments import Fragment, one_of, value
from llmwatch.backend.seen import Seen
from llmwatch.errors import StoreError
from llmwatch.store import EVENTS, Project

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import (
        FeedbackCreateResponse,
        FeedbackQueryResponse,
        FeedbackReplaceResponse,
    )

    from llmwatch.settings import Settings
    from llmwatch.stream.query import Reader

REFS = ("annotation_ref", "runnable_ref", "call_ref", "trigger_ref", "queue_id", "wb_user_id")
DEFAULTS: dict[str, Any] = {
    "scorer_tags": [],
    "scorer_tag_reasons": {},
    "scorer_tag_confidences": {},
    "scorer_ratings": {},
    "scorer_rating_reasons": {},
    "scorer_rating_confidences": {},
    "span_agent_name": "",
    "span_agent_version": "",
    "span_status_code": "UNSET",
    "span_conversation_id": "",
    "span_trace_id": "",
    "scorer_trace_id": "",
}
"""Columns that are never null, with what they are when nothing was given."""
COLUMNS = (
    *("id", "project_id", "weave_ref", "creator", "created_at", "feedback_type", "payload"),
    *REFS,
    *DEFAULTS,
)
COUNT = "count(*)"


class Feedback:
    """The feedback of a project."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        reader: Callable[[], Reader],
        read_ref: Callable[[str], Any],
    ) -> None:
        self._project, self._settings, self._reader = project, settings, reader
        self._read_ref = read_ref
        self._seen = Seen(self._stored)

    def create(self, req: Mapping[str, Any]) -> FeedbackCreateResponse:
        from weave.vendor.weave_server_sdk.types import FeedbackCreateResponse

        return FeedbackCreateResponse(**self._create(req))

    def replace(self, req: Mapping[str, Any]) -> FeedbackReplaceResponse:
        from weave.vendor.weave_server_sdk.types import FeedbackReplaceResponse

        return FeedbackReplaceResponse(**self._create(req, replaces=req["feedback_id"]))

    def purge(self, req: Mapping[str, Any]) -> None:
        ids = ids_only(req["query"])
        if ids is None:
            raise invalid("a purge names feedback by id: an $eq on id, or an $or of them")
        for feedback_id in ids:
            events.retract(self._project, self._settings, "feedback", feedback_id)

    def query(self, req: Mapping[str, Any]) -> FeedbackQueryResponse:
        from weave.vendor.weave_server_sdk.types import FeedbackQueryResponse

        query = EventQuery("feedback", self._field, req)
        total, fields = query.count(self._reader()), list(req.get("fields") or COLUMNS)
        if fields == [COUNT]:
            return FeedbackQueryResponse(result=[{COUNT: total}], total_count=total)
        rows = [self._as_feedback(row) for row in query.rows(self._reader())]
        result = [{name: _at(row, name) for name in fields} for row in rows]
        return FeedbackQueryResponse(result=result, total_count=total)

    def rows_of(self, call_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """Every feedback of some calls, by call."""
        query = EventQuery("feedback", self._field, {}, one_of("f.row_id", call_ids))
        found: dict[str, list[dict[str, Any]]] = {}
        for row in query.rows(self._reader()):
            found.setdefault(row["row_id"], []).append(self._as_feedback(row))
        return found

    def include(self, req: Mapping[str, Any], batch: list[dict[str, Any]]) -> None:
        """Put feedback under `summary.weave.feedback` of calls whose request wants it."""
        if not req.get("include_feedback"):
            return
        found = self.rows_of([call["id"] for call in batch])
        for call in batch:
            call["summary"]["weave"]["feedback"] = found.get(call["id"], [])

    def _create(self, req: Mapping[str, Any], replaces: str | None = None) -> dict[str, Any]:
        payload = checked_payload(req, self._read_ref)
        feedback_id, us = req.get("id") or clock.new_id(), clock.now_us()
        row_id, table = self._subject(req["weave_ref"])
        event = {
            "id": feedback_id,
            "row_id": row_id,
            "table": table,
            "kind": "feedback",
            "name": req["feedback_type"],
            "value": payload,
            "creator": req.get("creator"),
            "replaces": replaces,
            "attributes": wire.without_unknown(
                {name: req.get(name) or None for name in ("weave_ref", *REFS, *DEFAULTS)}
            ),
        }
        self._write(event)
        user = req.get("wb_user_id") or getpass.getuser()
        return {
            "id": feedback_id,
            "created_at": wire.from_microseconds(us),
            "payload": payload,
            "wb_user_id": user,
        }

    def _write(self, event: dict[str, Any]) -> None:
        """Feedback that is sent again, as clients do after a time-out, is there already."""
        if self._seen.fresh([event["id"]]):
            try:
                events.write(self._project, self._settings, event)
            except StoreError:
                self._seen.forget([event["id"]])
                raise

    def _stored(self, ids: list[str]) -> list[str]:
        sql = f'SELECT id FROM "{EVENTS}" WHERE list_contains(?::VARCHAR[], id)'
        return [row[0] for row in self._reader().execute(sql, [ids], (EVENTS,)).rows]

    def _subject(self, weave_ref: str) -> tuple[str, str]:
        """The row and table of what the feedback is on; an object goes by its ref, in no table."""
        from weave.trace.refs import CallRef, Ref

        parsed = Ref.maybe_parse_uri(weave_ref)
        if parsed is None:
            raise invalid(f"{weave_ref!r} is not a ref: feedback is on a call or an object")
        return (parsed.id, TABLE) if isinstance(parsed, CallRef) else (weave_ref, "")

    def _call_prefix(self) -> str:
        return f"weave:///{self._project.id}/call/"

    def _as_feedback(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """An event as Weave's feedback row, every column there."""
        said, payload = row["attributes"], row["value"]
        return {
            "id": row["id"],
            "project_id": self._project.id,
            "weave_ref": said.get("weave_ref") or self._call_prefix() + row["row_id"],
            "creator": row["creator"],
            "created_at": row["ts"].isoformat(),
            "feedback_type": row["name"] or "",
            # feedback recorded outside of Weave may be any value
            "payload": payload if isinstance(payload, dict) else {"value": payload},
            **{name: said.get(name) for name in REFS},
            **{name: said.get(name, default) for name, default in DEFAULTS.items()},
        }

    def _field(self, path: str) -> Field:
        from weave.trace.errors import InvalidFieldError

        head, *keys = split(path)
        columns = {"id": "f.id", "creator": "f.creator", "feedback_type": "f.name"}
        if head == "payload":
            return Field(json_text("f.value", keys))
        if head == "created_at":
            return Field(Fragment("f.ts"), "time")
        if head == "weave_ref":
            said = json_text("f.attributes", ["weave_ref"])
            prefix = value(self._call_prefix())
            return Field(
                Fragment(
                    f"coalesce({said.text}, {prefix.text} || f.row_id)", said.params + prefix.params
                )
            )
        if head == "project_id":
            return Field(value(self._project.id))
        if head in columns:
            return Field(Fragment(columns[head]))
        if head in COLUMNS:
            return Field(json_text("f.attributes", [head, *keys]))
        raise InvalidFieldError(f"feedback has no field {path!r}")


def _at(row: Mapping[str, Any], path: str) -> Any:
    found: Any = row
    for key in split(path):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
