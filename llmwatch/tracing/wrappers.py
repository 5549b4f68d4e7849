"""The function that stands in place of a traced one: one for each kind of function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from llmwatch.tracing import calls, generators, streams
from llmwatch.tracing import recorder as recording
from llmwatch.tracing.generators import unrecorded
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.record import Record
from llmwatch.tracing.row import Row

# Outputs that are surely no stream.
_VALUES = frozenset({str, dict, list, tuple, int, float, bool, type(None)})


def flavour_of(function: Any) -> str:
    """Weave's word for the kind of a function (or of an object that is called)."""
    for candidate in (function, getattr(function, "__call__", None)):  # noqa: B004 - its function is asked for
        if inspect.iscoroutinefunction(candidate):
            return "async_function"
        if inspect.isgeneratorfunction(candidate):
            return "generator"
        if inspect.isasyncgenfunction(candidate):
            return "async_generator"
    return "function"


def wrapper_for(plan: Plan, flavour: str) -> Callable[..., Any]:
    return _MAKERS[flavour](plan)


def _sync(plan: Plan) -> Callable[..., Any]:
    function, begin, finish, leave = plan.function, calls.begin, calls.finish, calls.leave

    def traced(*args: Any, **kwargs: Any) -> Any:
        row = begin(plan, args, kwargs)
        if not row:
            return _untraced(plan, row, args, kwargs)
        try:
            output = function(*args, **kwargs)
        except BaseException as error:
            leave(row)
            finish(row, None, error)
            raise
        leave(row)
        if type(output) in _VALUES and plan.op["_on_output_handler"] is None:
            finish(row, output)
            return output
        return ended(row, output)

    return traced


def ended(row: Row, output: Any) -> Any:
    """The function returned: what its caller gets, which may be a stream that ends the row later."""
    handler = row.plan.op["_on_output_handler"]
    if handler is not None:  # set by an integration of Weave's, as by its _add_accumulator
        return handler(
            output, lambda result=None, error=None: calls.finish(row, result, error), row.inputs
        )
    if type(output) not in _VALUES:
        watched = streams.watched(row, output)
        if watched is not streams.NOT_A_STREAM:
            return watched
    calls.finish(row, output)
    return output


def _untraced(plan: Plan, row: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if row is None:
        return plan.function(*args, **kwargs)
    recorder = recording.active()
    assert recorder is not None
    with unrecorded(recorder.enabled):
        return plan.function(*args, **kwargs)


def _async(plan: Plan) -> Callable[..., Any]:
    function, begin = plan.function, calls.begin

    async def traced(*args: Any, **kwargs: Any) -> Any:
        row = begin(plan, args, kwargs)
        if not row:
            return await untraced_async(plan, row, args, kwargs)
        return await run_async(row, function, args, kwargs)

    return traced


async def run_async(
    row: Row, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    try:
        output = await function(*args, **kwargs)
    except BaseException as error:
        calls.leave(row)
        calls.finish(row, None, error)
        raise
    calls.leave(row)
    return ended(row, output)


async def untraced_async(
    plan: Plan, row: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    if row is None:
        return await plan.function(*args, **kwargs)
    recorder = recording.active()
    assert recorder is not None
    with unrecorded(recorder.enabled):
        return await plan.function(*args, **kwargs)


def _generator(plan: Plan) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        row = calls.begin(plan, args, kwargs, push=False)
        return run_generator(plan, row, args, kwargs, generators.watched, generators.untraced)

    return traced


def _async_generator(plan: Plan) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        row = calls.begin(plan, args, kwargs, push=False)
        return run_generator(
            plan, row, args, kwargs, generators.watched_async, generators.untraced_async
        )

    return traced


def run_generator(
    plan: Plan,
    row: Row | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    watched: Callable[..., Any],
    untraced: Callable[..., Any],
) -> Any:
    if row:
        try:
            generator = plan.function(*args, **kwargs)
        except BaseException as error:  # the arguments do not fit
            calls.finish(row, None, error)
            raise
        return watched(row, generator)
    generator = plan.function(*args, **kwargs)
    recorder = recording.active()
    if row is None or recorder is None:
        return generator
    return untraced(recorder.enabled, generator)


def held(plan: Plan, flavour: str) -> Callable[..., Any]:
    """For `auto_log=False`: the call returns a `Record`."""

    if flavour == "async_function":

        async def traced_async(*args: Any, **kwargs: Any) -> Record[Any]:
            row = _begin_held(plan, flavour, args, kwargs)
            if not row:
                return Record(await untraced_async(plan, row, args, kwargs), None)
            return Record(await _released(row, run_async(row, plan.function, args, kwargs)), row)

        return traced_async

    def traced(*args: Any, **kwargs: Any) -> Record[Any]:
        row = _begin_held(plan, flavour, args, kwargs)
        try:
            return Record(run(plan, flavour, row, args, kwargs), row or None)
        except BaseException:
            Record(None, row or None).finalize()
            raise

    return traced


def _begin_held(
    plan: Plan, flavour: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Row | None:
    row = calls.begin(plan, args, kwargs, push="generator" not in flavour)
    if row:
        row._held = True
    return row


async def _released(row: Row, running: Any) -> Any:
    try:
        return await running
    except BaseException:
        Record(None, row).finalize()  # the caller gets the error, and no record to finalise
        raise


def run(
    plan: Plan, flavour: str, row: Row | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """A call that is not async, whose row has begun already."""
    if flavour == "generator":
        return run_generator(plan, row, args, kwargs, generators.watched, generators.untraced)
    if flavour == "async_generator":
        return run_generator(
            plan, row, args, kwargs, generators.watched_async, generators.untraced_async
        )
    if not row:
        return _untraced(plan, row, args, kwargs)
    try:
        output = plan.function(*args, **kwargs)
    except BaseException as error:
        calls.leave(row)
        calls.finish(row, None, error)
        raise
    calls.leave(row)
    return ended(row, output)


_MAKERS: dict[str, Callable[[Plan], Callable[..., Any]]] = {
    "function": _sync,
    "async_function": _async,
    "generator": _generator,
    "async_generator": _async_generator,
}
