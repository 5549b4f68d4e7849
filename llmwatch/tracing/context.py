"""Who and what a call belongs to: user, session, version, tags and attributes of everything inside a block."""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llmwatch.tracing import traceparent as w3c

if TYPE_CHECKING:
    from typing_extensions import Self


class Frame:
    """What the blocks around a call say together."""

    __slots__ = ("attributes", "columns", "for_weave", "session_id", "values")

    def __init__(self, values: dict[str, str], attributes: dict[str, Any]) -> None:
        self.values, self.attributes = values, attributes
        self.session_id = values.get("session_id")
        # session_id is left out: a call takes it from Weave's thread, which a weave.thread() inside may change.
        self.columns = {name: value for name, value in values.items() if name != "session_id"}
        self.for_weave: dict[str, Any] | None = None


NOTHING = Frame({}, {})
frame: ContextVar[Frame | None] = ContextVar("llmwatch_context", default=None)


class context:  # noqa: N801 - it is used as a word: `with llmwatch.context(user_id="u7"):`
    """Everything recorded inside the block carries these; blocks nest, the inner one wins. Also `async with`.

    `traceparent` (a W3C header, as `current_row().headers` gives) makes root calls inside children of a call in
    another process.

    >>> with context(user_id="u7", tags=["beta"]):
    ...     with context(session_id="s1", tags=["eu"]):
    ...         frame.get().values, frame.get().attributes
    ({'user_id': 'u7', 'session_id': 's1'}, {'tags': ['beta', 'eu']})
    """

    __slots__ = ("_attributes", "_entered", "_remote", "_tags", "_values")

    def __init__(
        self,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        version: str | None = None,
        tags: list[str] | tuple[str, ...] | str = (),
        traceparent: str | None = None,
        tracestate: str | None = None,
        **attributes: Any,
    ) -> None:
        given = {"user_id": user_id, "session_id": session_id, "version": version}
        self._values = {name: str(value) for name, value in given.items() if value is not None}
        self._tags = [tags] if isinstance(tags, str) else list(tags)
        self._attributes = attributes
        self._remote = w3c.parse(traceparent, tracestate) if traceparent else None
        self._entered: list[list[tuple[ContextVar[Any], Token[Any], Any]]] = []

    def __enter__(self) -> Self:
        outer = frame.get() or NOTHING
        inner = Frame({**outer.values, **self._values}, self._merged(outer))
        undo: list[tuple[ContextVar[Any], Token[Any], Any]] = []
        _set(undo, frame, inner)
        if "weave.trace.call" in sys.modules:
            self._tell_weave(inner, undo)
        self._entered.append(undo)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for variable, token, before in reversed(self._entered.pop()):
            try:
                variable.reset(token)
            except ValueError:  # left in another context than it was entered in, as in a generator
                variable.set(before)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def _merged(self, outer: Frame) -> dict[str, Any]:
        merged = {**outer.attributes, **self._attributes}
        tags = [*outer.attributes.get("tags", ()), *self._tags]
        if tags:
            merged["tags"] = list(dict.fromkeys(tags))
        return merged

    def _tell_weave(
        self, inner: Frame, undo: list[tuple[ContextVar[Any], Token[Any], Any]]
    ) -> None:
        """Weave's own ops and patched clients inside the block carry the same."""
        from weave.trace.context import call_context

        here = call_context.call_attributes.get()
        values = {name: text for name, text in inner.values.items() if name != "session_id"}
        inner.for_weave = {**here, **inner.attributes, **values}
        _set(undo, call_context.call_attributes, inner.for_weave)
        inner.attributes = {k: v for k, v in inner.for_weave.items() if k not in values}
        if "session_id" in self._values:
            _set(undo, call_context._thread_id, self._values["session_id"])
        if self._remote is not None:
            from llmwatch.tracing.row import remote_parent

            stack = call_context._call_stack
            _set(undo, stack, [*stack.get(), remote_parent(*self._remote)])


def _set(
    undo: list[tuple[ContextVar[Any], Token[Any], Any]], variable: ContextVar[Any], value: Any
) -> None:
    before = variable.get()
    undo.append((variable, variable.set(value), before))
