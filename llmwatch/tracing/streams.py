"""Streams that a function returns: generators, and objects that are iterated and closed, like openai's `Stream`.

An object stays the object it is: its class is replaced by a subclass that watches, so `isinstance` holds and so
does identity. What cannot be watched (a C iterator without an accumulator) is recorded as it stands.
"""

from __future__ import annotations

from functools import cache
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from llmwatch.tracing import generators
from llmwatch.tracing.row import Row
from llmwatch.tracing.watching import CLOSED_EARLY, Watch

_WATCH = "_llmwatch_watch"
NOT_A_STREAM = object()


@cache
def is_stream_type(kind: type) -> bool:
    if kind in (GeneratorType, AsyncGeneratorType):
        return True
    sync = hasattr(kind, "__next__") and hasattr(kind, "__exit__")
    return sync or (hasattr(kind, "__anext__") and hasattr(kind, "__aexit__"))


def watched(row: Row, output: Any) -> Any:
    """The stream to return in place of `output`, or `NOT_A_STREAM`."""
    kind: Any = type(output)
    if kind is GeneratorType:
        return generators.watched(row, output)
    if kind is AsyncGeneratorType:
        return generators.watched_async(row, output)
    if is_stream_type(kind) or (row.plan.op["_accumulator"] and hasattr(kind, "__next__")):
        if _watch_in_place(row, output):
            return output
        if row.plan.op["_accumulator"]:
            return generators.watched(row, (item for item in output))
    return NOT_A_STREAM


def _watch_in_place(row: Row, stream: Any) -> bool:
    if getattr(stream, _WATCH, None) is not None:
        # Two traced functions hand on the same stream: the outer one's row ends with the inner one's.
        watch = Watch(row)
        getattr(stream, _WATCH).append(watch)
        watch.follow(stream)
        return True
    try:
        watches = [Watch(row)]
        object.__setattr__(stream, _WATCH, watches)
        kind: Any = type(stream)
        stream.__class__ = _watching(kind)
    except (TypeError, AttributeError):  # a C type, or one with slots
        return False
    watches[0].follow(stream)
    return True


def _each(stream: Any) -> list[Watch]:
    watches: list[Watch] = getattr(stream, _WATCH)
    return watches


def _chunk(stream: Any, chunk: Any) -> None:
    for watch in _each(stream):
        watch.started = True
        watch.chunk(chunk)


def _end(stream: Any, how: dict[str, str] | None = None) -> None:
    for watch in _each(stream):
        watch.end(how)


def _fail(stream: Any, error: BaseException) -> None:
    for watch in _each(stream):
        watch.fail(error)


@cache
def _watching(kind: type) -> type:
    """A subclass of a stream's class that watches every way it is read and closed."""
    members = {name: make(kind) for name, make in _MEMBERS.items() if hasattr(kind, name)}
    return type(kind.__name__, (kind,), {"__slots__": (), "__module__": kind.__module__, **members})


def _next(kind: Any) -> Any:
    def read(self: Any) -> Any:
        try:
            chunk = kind.__next__(self)
        except StopIteration:
            _end(self)
            raise
        except BaseException as error:
            _fail(self, error)
            raise
        _chunk(self, chunk)
        return chunk

    return read


def _anext(kind: Any) -> Any:
    async def read(self: Any) -> Any:
        try:
            chunk = await kind.__anext__(self)
        except StopAsyncIteration:
            _end(self)
            raise
        except BaseException as error:
            _fail(self, error)
            raise
        _chunk(self, chunk)
        return chunk

    return read


def _itself(_: Any) -> Any:
    """For `__iter__` and `__aiter__`: reading goes through `__next__`, which watches."""
    return lambda self: self


def _close(name: str) -> Any:
    def make(kind: Any) -> Any:
        closes = getattr(kind, name)

        def close(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = closes(self, *args, **kwargs)
            if hasattr(result, "__await__"):
                return _closed_async(self, result)
            _end(self, CLOSED_EARLY)
            return result

        return close

    return make


async def _closed_async(stream: Any, closing: Any) -> Any:
    result = await closing
    _end(stream, CLOSED_EARLY)
    return result


def _exit(kind: Any) -> Any:
    def leave(self: Any, kind_: Any, error: Any, trace: Any) -> Any:
        if error is not None:
            _fail(self, error)
        try:
            return kind.__exit__(self, kind_, error, trace)
        finally:
            _end(self, CLOSED_EARLY)

    return leave


def _aexit(kind: Any) -> Any:
    async def leave(self: Any, kind_: Any, error: Any, trace: Any) -> Any:
        if error is not None:
            _fail(self, error)
        try:
            return await kind.__aexit__(self, kind_, error, trace)
        finally:
            _end(self, CLOSED_EARLY)

    return leave


_MEMBERS = {
    "__next__": _next,
    "__anext__": _anext,
    "__iter__": _itself,
    "__aiter__": _itself,
    "close": _close("close"),
    "aclose": _close("aclose"),
    "__exit__": _exit,
    "__aexit__": _aexit,
}
