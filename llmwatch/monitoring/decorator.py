"""`@monitor()`: a row in a StreamTable for each call of a function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from llmwatch.monitoring.record import MonitorRecord
from llmwatch.monitoring.running import around
from llmwatch.monitoring.table import TableInUse
from llmwatch.names import MAX_LENGTH
from llmwatch.stream.rows import Rows
from llmwatch.tracing.options import Options
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.wrappers import flavour_of

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Monitored(Protocol[P, R_co]):
    """A monitored function: called as before, and `rows()` are its calls."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __get__(self, instance: None, owner: Any, /) -> Monitored[P, R_co]: ...
    @overload
    def __get__(
        self: Monitored[Concatenate[Any, P2], R_co], instance: object, owner: Any, /
    ) -> Monitored[P2, R_co]: ...

    def rows(self) -> Rows: ...


class _Decorator(Protocol):
    @overload
    def __call__(  # type: ignore[overload-overlap] # a staticmethod is callable too
        self, function: staticmethod[P, R], /
    ) -> staticmethod[P, R]: ...
    @overload
    def __call__(self, function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Monitored[P, R]: ...


class _Recording(Protocol):
    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits is meant
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Monitored[P, Coroutine[Any, Any, MonitorRecord[T]]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Monitored[P, MonitorRecord[R]]: ...


@overload
def monitor(stream_name: Callable[P, R], /) -> Monitored[P, R]: ...
@overload
def monitor(
    stream_name: str | None = None,
    project_name: str | None = None,
    entity_name: str | None = None,
    input_preprocessor: Callable[[dict[str, Any]], Any] | None = None,
    output_postprocessor: Callable[[Any], Any] | None = None,
    *,
    auto_log: Literal[False],
    raise_on_error: bool = True,
) -> _Recording: ...
@overload
def monitor(
    stream_name: str | None = None,
    project_name: str | None = None,
    entity_name: str | None = None,
    input_preprocessor: Callable[[dict[str, Any]], Any] | None = None,
    output_postprocessor: Callable[[Any], Any] | None = None,
    auto_log: bool = True,
    *,
    raise_on_error: Literal[False],
) -> _Recording: ...
@overload
def monitor(
    stream_name: str | None = None,
    project_name: str | None = None,
    entity_name: str | None = None,
    input_preprocessor: Callable[[dict[str, Any]], Any] | None = None,
    output_postprocessor: Callable[[Any], Any] | None = None,
    auto_log: Literal[True] = True,
    raise_on_error: Literal[True] = True,
) -> _Decorator: ...
def monitor(
    stream_name: Any = None,
    project_name: str | None = None,
    entity_name: str | None = None,
    input_preprocessor: Callable[[dict[str, Any]], Any] | None = None,
    output_postprocessor: Callable[[Any], Any] | None = None,
    auto_log: bool = True,
    raise_on_error: bool = True,
) -> Any:
    """Log each call of a function: inputs, output, latency, exception. The table is `<file>-<function>` unless named.

    auto_log: False makes the call return a `MonitorRecord`, which is logged by its `finalize()`, or at exit.
    raise_on_error: False makes the call return a `MonitorRecord`, which holds the exception of one that failed.
    """

    def decorate(function: Any) -> Any:
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(decorate(function.__func__))
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"@monitor() decorates functions and callables, not {function!r}")
        table = TableInUse(stream_name or _table_for(function), project_name, entity_name)
        flavour = flavour_of(function)
        plan = Plan(function, Options(), flavour)

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> MonitorRecord[Any]:
            record: MonitorRecord[Any] = MonitorRecord(
                plan,
                table.get_or_none(),
                postprocess=output_postprocessor,
                auto_log=auto_log,
                raise_on_error=raise_on_error,
            )
            record.take_inputs(plan, args, kwargs, input_preprocessor)
            return record

        wrapper: Any = around(function, flavour, begin)
        wrapper.rows = lambda: table.get().rows()
        return wrapper

    if callable(stream_name):  # `@monitor` without its brackets
        function, stream_name = stream_name, None
        return decorate(function)
    return decorate


def _table_for(function: Any) -> str:
    """`<file>-<function>`, as a name that every file system can hold."""
    inner = inspect.unwrap(getattr(function, "func", function))  # of a partial, what it calls
    code = getattr(inner, "__code__", None)
    file = code.co_filename if code is not None else inspect.getmodule(inner).__name__  # type: ignore[union-attr]
    name = getattr(inner, "__qualname__", type(inner).__name__).rsplit(".<locals>.")[-1]
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{_stem(file)}-{name}")
    return text.strip("-._")[:MAX_LENGTH].rstrip(".")


def _stem(file: str) -> str:
    """A notebook's cells have file names that change each time they are run."""
    if "ipykernel" in file or file.startswith("<ipython"):
        return "notebook"
    return Path(file).stem.strip("<>") or "python"
