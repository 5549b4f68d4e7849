"""`@traced`: the decorator, and how type checkers see what it makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from llmwatch.tracing import wrappers
from llmwatch.tracing.op import make_op
from llmwatch.tracing.options import Kind, Options, Redact
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.record import Record
from llmwatch.tracing.row import Row

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Traced(Protocol[P, R_co]):
    """A traced function: called as before, and a Weave op as well."""

    name: str
    ref: Any
    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __get__(self, instance: None, owner: Any, /) -> Traced[P, R_co]: ...
    @overload
    def __get__(
        self: Traced[Concatenate[Any, P2], R_co], instance: object, owner: Any, /
    ) -> Traced[P2, R_co]: ...

    @overload
    def call(
        self: Traced[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, tuple[T, Row]]: ...
    @overload
    def call(self, *args: Any, **kwargs: Any) -> tuple[R_co, Row]: ...

    def calls(self, *args: Any, **kwargs: Any) -> Any: ...


class _Decorator(Protocol):
    @overload
    def __call__(  # type: ignore[overload-overlap] # a staticmethod is callable too
        self, function: staticmethod[P, R], /
    ) -> staticmethod[P, R]: ...
    @overload
    def __call__(self, function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Traced[P, R]: ...


class _Recording(Protocol):
    @overload
    def __call__(  # type: ignore[overload-overlap] # the first that fits is meant
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Traced[P, Coroutine[Any, Any, Record[T]]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Traced[P, Record[R]]: ...


@overload
def traced(  # type: ignore[overload-overlap] # a staticmethod is callable too
    function: staticmethod[P, R], /
) -> staticmethod[P, R]: ...
@overload
def traced(function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
@overload
def traced(function: Callable[P, R], /) -> Traced[P, R]: ...
@overload
def traced(*, auto_log: Literal[False], **options: Any) -> _Recording: ...
@overload
def traced(
    *,
    name: str | None = None,
    call_display_name: str | Callable[[Any], str] | None = None,
    postprocess_inputs: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    postprocess_output: Callable[..., Any] | None = None,
    tracing_sample_rate: float = 1.0,
    enable_code_capture: bool = True,
    accumulator: Callable[[Any, Any], Any] | None = None,
    kind: Kind | None = None,
    color: str | None = None,
    attributes: dict[str, Any] | None = None,
    eager_call_start: bool = False,
    eager: bool = False,
    table: str | None = None,
    redact: Redact | Sequence[Redact] = (),
    scorers: Sequence[Any] = (),
    guardrails: Sequence[Any] = (),
    auto_log: Literal[True] = True,
) -> _Decorator: ...
def traced(function: Any = None, /, *, eager: bool = False, **options: Any) -> Any:
    """Record each call of a function: inputs, output, timing, errors, and which call it was made in.

    Bare or with arguments; on functions, methods, classmethods, staticmethods, async functions, generators,
    callables and partials. Calls made before `llmwatch.init()` run untraced. Takes every keyword of `weave.op`
    under Weave's name, and of our own:

    kind: retrieval, generation, response, tool, agent, chain, ...
    table: where root calls go instead of `traces`; what they call goes with them.
    redact: names, compiled regular expressions or functions from text to text: taken out before anything is written.
    scorers: run on the rows later, in the background.
    guardrails: `Guardrail`s, or checks that block: asked before the answer is returned, recorded or not.
    auto_log: False makes the call return a `Record`, which is written by its `finalize()`.
    eager: write the row's start when the call starts, so that a long one shows as running.

    >>> @traced(kind="generation")
    ... def answer(question: str) -> str:
    ...     return question.upper()
    >>> answer("why?")
    'WHY?'
    """
    if eager:
        options["eager_call_start"] = True
    checked = Options(**options)
    if function is None:
        return functools.partial(_decorate, options=checked)
    return _decorate(function, options=checked)


def _decorate(function: Any, *, options: Options) -> Any:
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_decorate(function.__func__, options=options))
    if isinstance(function, property):
        getter = _decorate(function.fget, options=options)
        return property(getter, function.fset, function.fdel, function.__doc__)
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"@traced decorates functions and callables, not {function!r}")
    flavour = wrappers.flavour_of(function)
    plan = Plan(function, options, flavour)
    if options.guardrails:
        from llmwatch.tracing.guarded import guarded

        plan.function = guarded(plan, flavour)
    wrapper = (
        wrappers.wrapper_for(plan, flavour) if options.auto_log else wrappers.held(plan, flavour)
    )
    _dress(wrapper, function, plan)
    make_op(wrapper, plan, flavour)
    plan.op["resolve_fn"] = function  # without its guardrails: the code that Weave keeps
    return wrapper


def _dress(wrapper: Any, function: Any, plan: Plan) -> None:
    """The name, docstring and annotations of the function; not the attributes of a callable object."""
    if hasattr(function, "__name__"):
        functools.update_wrapper(wrapper, function)
    else:
        updated = ("__module__", "__doc__")
        functools.update_wrapper(wrapper, function, assigned=updated, updated=())
        wrapper.__name__ = wrapper.__qualname__ = plan.name
