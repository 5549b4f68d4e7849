"""Running a function under measurement: functions, async functions, and generators of both kinds."""

from __future__ import annotations

import functools
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from llmwatch import faults
from llmwatch.monitoring.measured import Measured
from llmwatch.tracing import generators, unfinished
from llmwatch.tracing.accumulate import Chunks
from llmwatch.tracing.watching import CLOSED_EARLY, LEFT_OPEN, NEVER_STARTED

Begin = Callable[[tuple[Any, ...], dict[str, Any]], Measured]


def around(function: Callable[..., Any], flavour: str, begin: Begin) -> Callable[..., Any]:
    """The function that stands in place of `function`."""
    wrapper = _async(function, begin) if flavour == "async_function" else _sync(function, begin)
    if hasattr(function, "__name__"):
        return functools.update_wrapper(wrapper, function)
    return functools.update_wrapper(wrapper, function, updated=())  # not a callable's attributes


def _sync(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def monitored(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        try:
            with call.here():
                output = function(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            if call.swallows(error):
                return call.given(None)
            raise
        return _returned(call, output)

    return monitored


def _async(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def monitored(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        try:
            with call.here():
                output = await function(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            if call.swallows(error):
                return call.given(None)
            raise
        return _returned(call, output)

    return monitored


def _returned(call: Measured, output: Any) -> Any:
    kind = type(output)
    if kind is GeneratorType:
        return call.given(_quiet(call, _watched(call, output, generators._drive)))
    if kind is AsyncGeneratorType:
        return call.given(_quiet_async(call, _watched(call, output, generators._drive_async)))
    call.end(output)
    return call.given(output)


def _watched(call: Measured, generator: Any, drive: Callable[..., Any]) -> Any:
    watch: Any = _Watch(call)
    driver = drive(watch, call.here(), generator)
    watch.follow(driver)
    return driver


class _Watch:
    """Knows one generator and its call; ends the call once, however the generator ends."""

    def __init__(self, call: Measured) -> None:
        self.call, self.started = call, False
        self._chunks = Chunks(None)
        self._ref: Any = None

    def follow(self, generator: Any) -> None:
        unfinished.add(self, lambda: self.end(LEFT_OPEN))
        self._ref = weakref.ref(generator, lambda _: self._gone())

    def _gone(self) -> None:
        self.end(CLOSED_EARLY if self.started else NEVER_STARTED)

    def chunk(self, chunk: Any) -> None:
        with faults.contained("a chunk of a stream could not be recorded"):
            self._chunks.add(chunk)

    def end(self, how: dict[str, str] | None = None) -> None:
        unfinished.remove(self)
        self.call.end(self._output(), how)

    def fail(self, error: BaseException) -> None:
        unfinished.remove(self)
        self.call.fail(error)

    def _output(self) -> Any:
        with faults.contained("the chunks of a stream could not be put together"):
            return self._chunks.output()
        return None


def _quiet(call: Measured, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """With `raise_on_error=False` the stream ends where it failed, and the record holds the error."""
    if not call.swallows(Exception()):
        return generator
    return _ending(generator)


def _ending(generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    try:
        return (yield from generator)
    except Exception:  # noqa: BLE001 - the user's, who asked for it; the record holds it
        return None


def _quiet_async(call: Measured, generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    if not call.swallows(Exception()):
        return generator
    return _ending_async(generator)


async def _ending_async(generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    try:
        async for chunk in generator:
            yield chunk
    except Exception:  # noqa: BLE001 - the user's, who asked for it; the record holds it
        return
    finally:
        await generator.aclose()
