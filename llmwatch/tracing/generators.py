"""Generators, sync and async: driven step by step with the row on Weave's call stack, wherever they are resumed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmwatch.tracing.watching import CLOSED_EARLY, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import ContextVar

    from llmwatch.tracing.row import Row


class _OnStack:
    """The row on the stack while its code runs: a generator is resumed under whoever asks for the next item."""

    __slots__ = ("_before", "_row", "_stack")

    def __init__(self, row: Row) -> None:
        self._row, self._stack = row, row.recorder.stack

    def __enter__(self) -> None:
        self._before = self._stack.get()
        self._stack.set([*self._before, self._row])

    def __exit__(self, *_: object) -> None:
        self._stack.set(self._before)


def watched(row: Row, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The generator, its steps recorded in `row`."""
    watch = Watch(row)
    driver = _drive(watch, _OnStack(row), generator)
    watch.follow(driver, closes_itself=True)
    return driver


def _drive(
    watch: Watch, on_stack: Any, generator: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    sent: Any = None
    thrown: BaseException | None = None
    watch.started = True
    while True:
        try:
            with on_stack:
                # Thrown from outside an `except` block, so that the error's context stays as it was.
                chunk = generator.send(sent) if thrown is None else generator.throw(thrown)
        except StopIteration as stop:
            watch.end()
            return stop.value
        except BaseException as error:
            watch.fail(error)
            raise
        watch.chunk(chunk)
        closing, sent, thrown = False, None, None
        try:
            sent = yield chunk
        except GeneratorExit:
            closing = True
        except BaseException as error:  # noqa: BLE001 - handed on to the generator
            thrown = error
        if closing:
            return _close(watch, on_stack, generator)


def _close(watch: Watch, on_stack: Any, generator: Generator[Any, Any, Any]) -> Any:
    try:
        with on_stack:
            last: Any = generator.close()  # type: ignore[func-returns-value] # it returns a value from 3.13 on
    except BaseException as error:
        watch.fail(error)
        raise
    watch.end(CLOSED_EARLY)
    return last


def watched_async(row: Row, generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    """The async generator, its steps recorded in `row`."""
    watch = Watch(row)
    driver = _drive_async(watch, _OnStack(row), generator)
    watch.follow(driver)
    return driver


async def _drive_async(
    watch: Watch, on_stack: Any, generator: AsyncGenerator[Any, Any]
) -> AsyncGenerator[Any, Any]:
    sent: Any = None
    thrown: BaseException | None = None
    watch.started = True
    while True:
        try:
            with on_stack:
                step = generator.asend(sent) if thrown is None else generator.athrow(thrown)
                chunk = await step
        except StopAsyncIteration:
            watch.end()
            return
        except BaseException as error:
            watch.fail(error)
            raise
        watch.chunk(chunk)
        closing, sent, thrown = False, None, None
        try:
            sent = yield chunk
        except GeneratorExit:
            closing = True
        except BaseException as error:  # noqa: BLE001 - handed on to the generator
            thrown = error
        if closing:
            await _aclose(watch, on_stack, generator)
            return


async def _aclose(watch: Watch, on_stack: Any, generator: AsyncGenerator[Any, Any]) -> None:
    try:
        with on_stack:
            await generator.aclose()
    except BaseException as error:
        watch.fail(error)
        raise
    watch.end(CLOSED_EARLY)


def untraced(enabled: ContextVar[bool], generator: Any) -> Generator[Any, Any, Any]:
    """A generator that is not sampled: nothing below it is recorded either."""
    return _drive(_Blind(), _Off(enabled), generator)  # type: ignore[arg-type]


def untraced_async(enabled: ContextVar[bool], generator: Any) -> AsyncGenerator[Any, Any]:
    return _drive_async(_Blind(), _Off(enabled), generator)  # type: ignore[arg-type]


class _Blind:
    """Watches nothing."""

    started = False

    def chunk(self, chunk: Any) -> None: ...

    def end(self, how: Any = None) -> None: ...

    def fail(self, error: BaseException) -> None: ...


class _Off:
    def __init__(self, enabled: ContextVar[bool]) -> None:
        self._enabled = enabled

    def __enter__(self) -> None:
        self._before = self._enabled.get()
        self._enabled.set(False)

    def __exit__(self, *_: object) -> None:
        self._enabled.set(self._before)


@contextmanager
def unrecorded(enabled: ContextVar[bool]) -> Iterator[None]:
    """A call that is not sampled: nothing below it is recorded either."""
    with _Off(enabled):
        yield
