"""The two ends of a traced call: `begin` before the function runs, `finish` after."""

from __future__ import annotations

from collections.abc import Mapping
from random import random
from time import perf_counter_ns
from typing import Any

from llmwatch import clock, faults
from llmwatch.capture import encode_texts
from llmwatch.tracing import naming, writing
from llmwatch.tracing import recorder as recording
from llmwatch.tracing.context import NOTHING, frame
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.redact import LONG, REDACTED, may_hold_secret
from llmwatch.tracing.row import Row
from llmwatch.tracing.writing import all_texts

finish = writing.finish
UNSAMPLED: Any = False
_new: Any = object.__new__
_HARMLESS = frozenset({int, bool, type(None)})


def begin(  # noqa: C901 - one function: each call inside costs 1% of a traced call
    plan: Plan,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
    *,
    push: bool = True,
) -> Row | None:
    """The row of a call that begins, its inputs as they are now.

    None when calls are not recorded at all, `UNSAMPLED` (as false) when this one, with all below it, is not.
    """
    recorder = recording._active
    if recorder is None:
        recording.hint()
        return None
    op = plan.op
    if not op["_tracing_enabled"] or not recorder.enabled.get():
        return None
    stack = recorder.stack.get()
    if not stack and (rate := op["tracing_sample_rate"]) < 1 and random() >= rate:  # noqa: S311
        return UNSAMPLED  # type: ignore[no-any-return]
    try:
        if plan.recorder is not recorder:
            naming.start(plan, recorder)
        row: Row = _new(recorder.row_class)  # no call of its __init__, which would do nothing
        row.plan, row.recorder = plan, recorder
        row.id, row._started_us = clock.stamp()
        row._args, row._kwargs, row._before = args, kwargs, stack
        row._attrs = recorder.attributes.get()
        if stack:
            _find_parent(row, stack)
        else:
            row.trace_id, row.writer = row.id, plan.writer
            row._frame = frame.get() or NOTHING
        if given is not None:
            _take(row, given)
        thread_id = recorder.thread_id.get() or row._frame.session_id
        if thread_id is not None:
            _join_thread(row, thread_id)
        _take_inputs(row, args, kwargs)
        if op["eager_call_start"]:
            row._eager = True
            writing.write_start(row)
        if push:
            recorder.stack.set([*stack, row])
        row._clock_ns = perf_counter_ns()
        return row
    except Exception as error:  # noqa: BLE001 - our faults stop here: the call goes on, unrecorded
        faults.report(f"a call of {plan.name} could not be recorded", error, lost=1)
        return None


def _find_parent(row: Row, stack: list[Any]) -> None:
    """Whom the row is called by, and with it its trace, its table and its context."""
    recorder, plan = row.recorder, row.plan
    around = frame.get()
    parent = row._parent = stack[-1]
    row.trace_id, row.parent_id = parent.trace_id, parent.id
    row.writer = plan.writer
    if isinstance(parent, Row):
        row._clean = parent._clean
        if parent.recorder is recorder:
            row.writer = parent.writer
        if around is None:  # resumed outside the blocks that its caller ran in
            around = parent._frame
            row._attrs = row._attrs or parent._attrs
    row._frame = around or NOTHING


def _take_inputs(  # noqa: C901 - one function: each call inside costs 1% of a traced call
    row: Row, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    plan, recorder = row.plan, row.recorder
    bound = plan.bind(args, kwargs)
    for name in plan.secret:
        if name in bound:
            bound[name] = REDACTED
    process = plan.op["postprocess_inputs"]
    plain = not kwargs or kwargs.keys() <= plan.known
    if process is not None or recorder.preprocess is not None:
        bound = writing.processed(plan, bound, process, recorder.preprocess)
        plain = False
    chars = size = 0
    texts, as_they_are, unseen = True, plain and plan.shows_texts, ""
    for name, value in bound.items():
        kind = type(value)
        if kind is str:
            chars += len(value)
            if len(value) < LONG:
                unseen += value
            elif as_they_are and value is not row._clean:  # one prompt goes through most of a trace
                as_they_are = len(value) <= recorder.short and not may_hold_secret(value)
                row._clean = value if as_they_are else row._clean
        elif kind is list:
            now = value.copy()  # another thread may change it between two looks
            texts = texts and all_texts(now)
            if texts and as_they_are:
                bound[name] = now
                unseen += (joined := "".join(now))
                size += len(now) + len(joined)
            if name == "messages":
                chars += writing.chars_of_messages(value)
        elif kind not in _HARMLESS:
            texts = False
    row._prompt_chars = chars
    if texts and as_they_are and chars + size <= recorder.short:
        row._inputs, row._unseen = bound, unseen
        return
    data = (encode_texts(bound, recorder.limit) if texts else None) or recorder.encode_fields(bound)
    row._inputs, row._unseen, row._plain = data, None, plain and texts


def _take(row: Row, given: Mapping[str, Any]) -> None:
    """What `op.call(..., __weave={...})` says about this one call."""
    if given.get("call_id"):
        call_id = str(given["call_id"])
        if row.trace_id == row.id:
            row.trace_id = call_id
        row.id = call_id
    row._given_name = given.get("display_name")
    row._given_attributes = given.get("attributes") or None


def _join_thread(row: Row, thread_id: str) -> None:
    """As Weave does: the first call in a thread is a turn, what it calls belongs to that turn."""
    row.thread_id = thread_id
    turn = row.recorder.turn_id
    if row._parent is None or row._parent.thread_id != thread_id:
        row.turn_id = row.id
        turn.set(row.id)
    else:
        row.turn_id = turn.get() or row._parent.turn_id


def leave(row: Row) -> None:
    """Take the row off the stack it was put on."""
    row.recorder.stack.set(row._before)
    if row.turn_id == row.id:
        row.recorder.turn_id.set(None)
