"""A function with its guardrails around it: what they refuse does not get in, or out, recorded or not."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import is_dataclass
from typing import Any, NoReturn

from llmwatch.tracing import calls, guarded_streams, writing
from llmwatch.tracing import recorder as recording
from llmwatch.tracing.guarded_texts import Arguments, mapped_arguments
from llmwatch.tracing.guardrails import (
    Guardrail,
    GuardrailBlocked,
    Judged,
    Side,
    guardrails_of,
    judge,
    judge_async,
)
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.row import Row


def guarded(plan: Plan, flavour: str) -> Callable[..., Any]:
    """What is called in place of the plan's function."""
    return _MAKERS[flavour](Guards(plan))


class Refused(Exception):
    """Not the value but the fallback is what the caller gets."""

    def __init__(self, instead: Any) -> None:
        self.instead = instead


class Guards:
    """The guardrails of one function, and of one call of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.function = plan, plan.function
        self.row: Row | None = None
        every = guardrails_of(plan.options.guardrails)
        self.before = [guardrail for guardrail in every if "input" in guardrail.on]
        self.after = [guardrail for guardrail in every if "output" in guardrail.on]
        names = plan.binder.signature.parameters if plan.binder.signature is not None else ()
        self._has_self = next(iter(names), "") in ("self", "cls")

    def of_this_call(self) -> Guards:
        """For the call that begins here: with its row, where it is recorded."""
        guards = copy(self)
        recorder, row = recording.active(), recording.current_row()
        recorded = recorder is not None and recorder.enabled.get()
        guards.row = row if recorded and row is not None and row.plan is self.plan else None
        return guards

    def inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        bound = dict(self.plan.binder(args, kwargs))
        if self._has_self:
            bound.pop(next(iter(bound), ""), None)
        return bound

    # --- inputs ------------------------------------------------------------------------

    def admit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """The arguments that the function gets; raises `GuardrailBlocked` or `Refused`."""
        for guardrail in self.before:
            found = judge(guardrail, *self._question(guardrail, args, kwargs))
            args, kwargs = self._admitted(guardrail, found, args, kwargs)
        return args, kwargs

    async def admit_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        for guardrail in self.before:
            found = await judge_async(guardrail, *self._question(guardrail, args, kwargs))
            args, kwargs = self._admitted(guardrail, found, args, kwargs)
        return args, kwargs

    def _question(
        self, guardrail: Guardrail, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Side, dict[str, Any], Any]:
        inputs = self.inputs(args, kwargs)
        theirs = args[1:] if self._has_self else args
        value = (theirs, kwargs) if guardrail.by_text else inputs
        return value, "input", inputs, mapped_arguments

    def _admitted(
        self, guardrail: Guardrail, found: Judged, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Arguments:
        if found.ok or guardrail.action == "flag":
            self.decided(guardrail, found, "input")
            return args, kwargs
        if guardrail.action == "redact" and found.can_redact:
            theirs, kwargs = found.without
            args = (*args[:1], *theirs) if self._has_self else theirs
            self.decided(guardrail, found, "input")
            _record_inputs(self.row, args, kwargs)
            return args, kwargs
        return self.refuse(guardrail, found, "input", self.inputs(args, kwargs))

    # --- outputs -----------------------------------------------------------------------

    def release(self, output: Any, inputs: Mapping[str, Any]) -> Any:
        """What the caller gets for an output; raises `GuardrailBlocked`."""
        for guardrail in self.after:
            output = self.released(guardrail, judge(guardrail, output, "output", inputs), output)
        return output

    async def release_async(self, output: Any, inputs: Mapping[str, Any]) -> Any:
        for guardrail in self.after:
            found = await judge_async(guardrail, output, "output", inputs)
            output = self.released(guardrail, found, output)
        return output

    def released(
        self, guardrail: Guardrail, found: Judged, output: Any, *, stream: bool = False
    ) -> Any:
        """An output, or what stands for it, after one check; of a stream, some text."""
        if found.ok or guardrail.action == "flag":
            self.decided(guardrail, found, "output")
            return output
        if guardrail.action == "redact" and found.can_redact:
            self.decided(guardrail, found, "output")
            return found.without
        try:
            self.refuse(guardrail, found, "output", output, stream=stream)
        except Refused as refused:
            return refused.instead

    # --- decisions ---------------------------------------------------------------------

    def refuse(
        self,
        guardrail: Guardrail,
        found: Judged,
        side: Side,
        refused: Any,
        *,
        stream: bool = False,
    ) -> NoReturn:
        """Raise what stands for a refusal, having recorded it."""
        row = self.row
        if guardrail.action == "fallback":
            self.decided(guardrail, found, side)
            instead = guardrail.fallback
            raise Refused(instead(refused) if callable(instead) else instead)
        self.decided(guardrail, found, side, action="block")
        error = GuardrailBlocked(
            guardrail.name, None if row is None else row.id, on=side, reasons=found.reasons
        )
        if row is not None and side == "output" and not stream:
            # what was refused stays to be looked at, without what was found where that can be told
            calls.finish(row, found.without if found.can_redact else refused, error)
        raise error

    def decided(
        self, guardrail: Guardrail, found: Judged, side: Side, *, action: str | None = None
    ) -> None:
        """Record on the row what a guardrail decided; that it passed everything is not worth a word."""
        row = self.row
        if row is None or (found.ok and not found.flagged):
            return
        before = (row._added or {}).get("llmwatch") or row.plan.attributes.get("llmwatch", {})
        decision = {
            "guardrail": guardrail.name,
            "on": side,
            "action": "flag" if found.ok else action or guardrail.action,
            "reasons": list(found.reasons or found.flagged),
        }
        decisions = [*before.get("decisions", ()), decision]
        row.add_data({"llmwatch": {**before, "decisions": decisions}})


def _record_inputs(row: Row | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """The row holds what the function got. (What began eagerly is replaced by a patch.)"""
    if row is None:
        return
    calls._take_inputs(row, args, kwargs)
    row._args, row._kwargs = args, kwargs
    if row._eager:
        text = writing.inputs_json(row)
        row.writer.append("patch", b'{"id":"%b","inputs":%b}' % (row.id.encode(), text))


# --- one for each kind of function -------------------------------------------------------


def _sync(every: Guards) -> Callable[..., Any]:
    @functools.wraps(every.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        guards = every.of_this_call()
        try:
            args, kwargs = guards.admit(args, kwargs)
        except Refused as refused:
            return refused.instead
        output = guards.function(*args, **kwargs)
        if not guards.after:
            return output
        inputs = guards.inputs(args, kwargs)
        if inspect.isawaitable(output):
            return _waited_for(guards, output, inputs)
        if _is_stream(output):
            return guarded_streams.guarded(guards, output, inputs)
        return guards.release(output, inputs)

    return call


async def _waited_for(guards: Guards, output: Any, inputs: Mapping[str, Any]) -> Any:
    """What comes of something awaitable, checked when it is there."""
    output = await output
    if _is_stream(output):
        return guarded_streams.guarded(guards, output, inputs, awaited=True)
    return await guards.release_async(output, inputs)


def _async(every: Guards) -> Callable[..., Any]:
    @functools.wraps(every.function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        guards = every.of_this_call()
        try:
            args, kwargs = await guards.admit_async(args, kwargs)
        except Refused as refused:
            return refused.instead
        output = guards.function(*args, **kwargs)
        if not guards.after:
            return await output
        return await _waited_for(guards, output, guards.inputs(args, kwargs))

    return call


def _generator(every: Guards) -> Callable[..., Any]:
    @functools.wraps(every.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        guards = every.of_this_call()
        try:
            args, kwargs = guards.admit(args, kwargs)
        except Refused as refused:
            yield refused.instead
            return None
        stream = guards.function(*args, **kwargs)
        if not guards.after:
            return (yield from stream)
        return (yield from guarded_streams.checked(guards, stream, guards.inputs(args, kwargs)))

    return call


def _async_generator(every: Guards) -> Callable[..., Any]:
    @functools.wraps(every.function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        guards = every.of_this_call()
        try:
            args, kwargs = await guards.admit_async(args, kwargs)
        except Refused as refused:
            yield refused.instead
            return
        stream = guards.function(*args, **kwargs)
        chunks = guarded_streams.checked_async(guards, stream, guards.inputs(args, kwargs))
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            await chunks.aclose()

    return call


def _is_stream(output: Any) -> bool:
    """Anything that is read step by step: what it will hold is not there yet to be checked."""
    kind = type(output)
    if any(hasattr(kind, name) for name in ("__next__", "__anext__", "__aiter__")):
        return True
    whole = hasattr(kind, "__len__") or hasattr(kind, "model_validate") or is_dataclass(kind)
    return hasattr(kind, "__iter__") and not whole


_MAKERS: dict[str, Callable[[Guards], Callable[..., Any]]] = {
    "function": _sync,
    "async_function": _async,
    "generator": _generator,
    "async_generator": _async_generator,
}
