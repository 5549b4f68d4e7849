"""Where traced calls go: a project's spool, and Weave's own call stack for who called whom."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from llmwatch import capture
from llmwatch.settings import Settings
from llmwatch.store import Project
from llmwatch.stream import spool
from llmwatch.tracing.row import Row, row_class

logger = logging.getLogger("llmwatch")

TRACES = "traces"
BOARD_URL = "http://localhost:8420"


class Recorder:
    """Everything a traced call needs, looked up once. Made by `configure`; never changed after."""

    def __init__(self, project: Project, settings: Settings, client: Any = None) -> None:
        from weave.trace.context import call_context

        self.project, self.settings, self.client = project, settings, client
        self.board_url = BOARD_URL
        self.media = project.media
        self.limit = settings.field_limit_kb << 10
        self.short = self.limit // 8  # characters that are surely fewer bytes than the limit, as JSON too
        self.total = settings.row_limit_kb << 10
        self.row_class: type[Row] = row_class()
        self.stack: ContextVar[list[Any]] = call_context._call_stack
        self.enabled: ContextVar[bool] = call_context._tracing_enabled
        self.thread_id: ContextVar[str | None] = call_context._thread_id
        self.turn_id: ContextVar[str | None] = call_context._turn_id
        self.attributes: ContextVar[dict[str, Any]] = call_context.call_attributes
        self.own_attributes: dict[str, Any] = dict(getattr(client, "attributes", None) or {})
        self.preprocess: Callable[..., Any] | None = getattr(client, "postprocess_inputs", None)
        self.postprocess: Callable[..., Any] | None = getattr(client, "postprocess_output", None)
        self._writers: dict[str, spool.Writer] = {}

    def writer(self, table: str) -> spool.Writer:
        found = self._writers.get(table)
        if found is None:
            found = self._writers[table] = spool.writer(self.project, table, self.settings)
        return found

    def encode(self, value: Any) -> bytes:
        return capture.encode(value, media=self.media, limit=self.limit)

    def encode_fields(self, fields: dict[str, Any]) -> bytes:
        return capture.encode_fields(fields, media=self.media, limit=self.limit, total=self.total)


_active: Recorder | None = None
_hinted = False


def configure(project: Project, settings: Settings, client: Any = None) -> Recorder:
    """Record traced calls to `project` from now on; calls under way stay with the project they began in."""
    global _active
    _active = Recorder(project, settings, client)
    return _active


def active() -> Recorder | None:
    """The recorder of this process; None before `llmwatch.init()`, when traced functions run untraced."""
    return _active


def deactivate() -> None:
    """Stop recording: traced functions run untraced again. What was not finished is written as it is."""
    global _active
    from llmwatch.tracing import naming, unfinished

    unfinished.finish_all()
    naming.wait()
    _active = None


def hint() -> None:
    """Say, once, that a traced function ran before there was anywhere to record to."""
    global _hinted
    if not _hinted:
        _hinted = True
        logger.warning("a traced function ran before llmwatch.init(): its calls are not recorded")


def current_row() -> Row | None:
    """The row of the traced call that this code runs in; None outside one (or when it is not sampled)."""
    if "weave.trace.call" not in sys.modules:
        return None
    from weave.trace.context import call_context

    for call in reversed(call_context._call_stack.get()):
        if isinstance(call, Row) and not call.is_remote:
            return call
    return None
