"""Publishing a traced function as a Weave op, off the call's path, so that rows name its version.

A row's `op_name` is `weave:///<entity>/<project>/op/<name>:<digest>` when the op's ref is known, and the op's short
name until then; the rows written in between get a `patch` line with the ref. Without a Weave client (a recorder
configured by hand) it stays the short name.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import faults

if TYPE_CHECKING:
    from llmwatch.tracing.plan import Plan
    from llmwatch.tracing.recorder import Recorder

_MOST_WAITING = 10_000
_queue: queue.Queue[tuple[Plan, Recorder]] = queue.Queue()
_thread: threading.Thread | None = None
_lock = threading.Lock()
_telling = threading.RLock()


def start(plan: Plan, recorder: Recorder) -> None:
    """The first call of a function since `configure`: have its op published."""
    plan.columns = plan.short_columns
    plan.waiting = [] if recorder.client is not None else None
    plan.writer = recorder.writer(plan.table)
    plan.redact_also(recorder.settings.redact)
    plan.recorder = recorder
    if plan.options.scorers:
        with faults.contained(f"the scorers of {plan.name} could not be made known to the worker"):
            from llmwatch.scoring import registered

            registered.register(recorder.project, plan.name, plan.options.scorers)
    if recorder.client is not None:
        _queue.put((plan, recorder))
        _ensure_thread()


def note(plan: Plan, row: Any) -> None:
    """A row that is about to be written may carry the short name: it is patched later."""
    waiting = plan.waiting
    if waiting is not None and len(waiting) < _MOST_WAITING:
        waiting.append((row.writer, row.id))


def save_now(plan: Plan) -> Any:
    """The ref of a function whose op is being published; its digest may be on its way. None when that failed."""
    with faults.contained(f"the code of {plan.name} could not be published"):
        return plan.recorder.client._save_op(plan.op["__self__"])
    return None


def uri_now(plan: Plan) -> str | None:
    """The ref's text, which the rows in the store have then. Waits for Weave's threads, not for ours: one of theirs may
    be asking."""
    recorder, ref = plan.recorder, save_now(plan)
    if ref is None:
        return None
    _tell(plan, recorder, uri := str(ref.uri))
    return uri


def wait(timeout: float = 5.0) -> None:
    """Let what is being published be published (at exit, and before a query that names versions)."""
    if _thread is not None and _thread.is_alive():
        waiter = threading.Thread(target=_queue.join, daemon=True)  # join itself knows no timeout
        waiter.start()
        waiter.join(timeout)


def _ensure_thread() -> None:
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_work, name="llmwatch-naming", daemon=True)
            _thread.start()


def _work() -> None:
    while True:
        plan, recorder = _queue.get()
        try:
            with faults.contained(f"the code of {plan.name} could not be published"):
                _publish(plan, recorder)
        finally:
            _queue.task_done()


def _publish(plan: Plan, recorder: Recorder) -> None:
    _tell(plan, recorder, recorder.client._save_op(plan.op["__self__"]).uri)


def _tell(plan: Plan, recorder: Recorder, uri: str) -> None:
    """Rows to come carry the ref; those that were written without it get it."""
    with _telling:
        if plan.recorder is not recorder or plan.waiting is None:
            return
        plan.columns = plan.columns_for(uri)
        named = b',"op_name":' + orjson.dumps(uri) + b"}"
        for writer, row_id in plan.waiting:
            writer.append("patch", b'{"id":"' + row_id.encode() + b'"' + named)
        plan.waiting = None  # last: until then, who asks for the name waits here


def _start_afresh_in_child() -> None:
    global _queue, _thread, _lock, _telling
    _queue, _thread, _lock, _telling = queue.Queue(), None, threading.Lock(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh_in_child)
