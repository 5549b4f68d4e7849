"""The row of a call, while it runs and after: what `.call()` and `current_row()` give. A Weave `Call` as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

from llmwatch.tracing import traceparent

if TYPE_CHECKING:
    from llmwatch.stream.spool import Writer
    from llmwatch.tracing.context import Frame
    from llmwatch.tracing.plan import Plan
    from llmwatch.tracing.recorder import Recorder

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_OFTEN_SET = (
    *("plan", "recorder", "id", "_started_us", "_args", "_kwargs", "_before", "_attrs", "trace_id", "writer", "_frame"),
    *("_prompt_chars", "_inputs", "_unseen", "_plain", "_clock_ns", "_ended_us", "_written"),
    *("_parent", "parent_id", "_clean", "thread_id", "turn_id", "exception", "output", "_kept", "_summary", "_eager"),
)
"""What `begin` and `finish` set on most rows: no more than 29 names."""


class Row:
    """One call. Beside what a `weave.trace.call.Call` has: `label`, `add_data`, `headers`, `traceparent`.

    Made by `calls.begin`, which fills it in; the class attributes stand for what most calls never have.
    """

    is_remote = False
    recorder: Recorder
    plan: Plan
    writer: Writer
    id: str
    trace_id: str
    parent_id: str | None = None
    thread_id: str | None = None
    turn_id: str | None = None
    output: Any = None
    exception: str | None = None

    _parent: Any = None
    _before: list[Any]
    _args: tuple[Any, ...] = ()
    _kwargs: Mapping[str, Any] = {}
    _inputs: bytes | dict[str, Any] = b"{}"  # JSON; or the arguments themselves, when nothing can change them
    _unseen: str | None = None  # of those, the texts in which a secret is still to be looked for
    _clean: str | None = None  # the last long text of the trace in which none was found
    _plain = False  # whether `_inputs` hold texts only, under names known to be harmless
    _prompt_chars = 0
    _frame: Frame
    _attrs: dict[str, Any]
    _attributes_json: bytes | None = None
    _started_us = 0
    _ended_us = 0
    _clock_ns = 0
    _first_ns = 0  # when the first chunk of a stream came
    _eager = False
    _keep = False  # whether `output` is kept on the row once it is written: someone holds the row
    _held = False  # `auto_log=False`: written by `Record.finalize`
    _release: Callable[[], None] | None = None
    _written = False
    _added: dict[str, Any] | None = None
    _summary: dict[str, Any] | None = None
    _kept: list[Any] | None = None
    _given_name: str | None = None
    _given_attributes: dict[str, Any] | None = None

    def __init__(self) -> None:
        """Nothing: a Weave Call's own `__init__` would set two dozen attributes on each call."""

    def __repr__(self) -> str:
        return f"<Row {self.id} of {self.plan.name}>"

    # What Weave's Call has.

    @property
    def project_id(self) -> str:
        return self.recorder.project.id

    @property
    def _op_name(self) -> str:
        """The ref of the op's version, which is waited for as in Weave: scores name their scorer by it."""
        plan = self.plan
        if plan.waiting is not None and plan.recorder is self.recorder:
            from llmwatch.tracing import naming

            return naming.uri_now(plan) or plan.name
        columns = plan.columns if plan.recorder is self.recorder else plan.short_columns
        return columns["op_name"]

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments by name: the objects themselves, which may have changed since the call."""
        return self.plan.binder(self._args, self._kwargs)

    @property
    def _display_name(self) -> Any:
        return self._given_name or self.plan.options.call_display_name

    @_display_name.setter
    def _display_name(self, name: Any) -> None:
        self._given_name = name

    @property
    def started_at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self._started_us)

    @property
    def ended_at(self) -> datetime | None:
        return _EPOCH + timedelta(microseconds=self._ended_us) if self._ended_us else None

    @property
    def attributes(self) -> dict[str, Any]:
        """Those of the op, of the blocks around the call, and of the call itself, in rising order."""
        return {
            **self.recorder.own_attributes,
            **self.plan.attributes,
            **self._attrs,
            **(self._given_attributes or {}),
            **(self._added or {}),
        }

    @property
    def summary(self) -> dict[str, Any]:
        """May be added to while the call runs."""
        if self._summary is None:
            self._summary = {}
        return self._summary

    @summary.setter
    def summary(self, value: dict[str, Any]) -> None:
        self._summary = value

    @property
    def _children(self) -> list[Any]:
        if self._kept is None:
            self._kept = []
        return self._kept

    @property
    def ui_url(self) -> str:
        """Where the board shows this row."""
        return f"{self.recorder.board_url}/{self.recorder.project.id}/rows/{self.id}"

    # What is ours.

    @property
    def headers(self) -> dict[str, str]:
        """For a request to another process: what that records becomes part of this trace.

        There: `with llmwatch.context(traceparent=..., tracestate=...)`.
        """
        return traceparent.headers(self.trace_id, self.id)

    @property
    def traceparent(self) -> str:
        return self.headers["traceparent"]

    def label(self, labels: Mapping[str, Any], *, creator: str | None = None) -> None:
        """Attach ground truth, at any time: `row.label({"resolved": True})`."""
        from llmwatch.stream import events

        for name, value in labels.items():
            events.add(
                self.recorder.project,
                kind="label",
                name=name,
                value=value,
                row_id=self.id,
                table=self.writer.table,
                creator=creator,
            )

    def add_data(self, data: Mapping[str, Any]) -> None:
        """Add to the row's attributes, during the call or after it."""
        self._added = {**(self._added or {}), **data}
        if self._written:
            from llmwatch.tracing import writing

            writing.patch_attributes(self)


@cache
def row_class() -> type[Row]:
    """`Row`, a subclass of Weave's `Call` too: made when Weave is there, which takes a second to import."""
    from weave.trace.call import Call

    made: type[Row] = type("Row", (Row, Call), {"__module__": __name__, "__qualname__": "Row"})
    # CPython keeps the names of attributes once for all objects of a class, but only names that its first thirty
    # objects have: any other makes each call whose row has it a tenth slower.
    first = object.__new__(made)
    for name in _OFTEN_SET:
        setattr(first, name, None)
    return made


def remote_parent(trace_id: str, row_id: str) -> Any:
    from weave.trace.call import Call

    remote = _remote_class()("", trace_id, "", None, {}, id=row_id)
    assert isinstance(remote, Call)
    return remote


@cache
def _remote_class() -> Any:
    from weave.trace.call import Call

    return type("RemoteCall", (_RemoteCall, Call), {"_children": _Forgetful()})


class _RemoteCall:
    is_remote = True


class _Forgetful:
    """A list that keeps nothing, where Weave would collect the children of a call that never ends here."""

    def __get__(self, instance: Any, owner: Any = None) -> list[Any]:
        return []

    def __set__(self, instance: Any, value: Any) -> None:
        return None
