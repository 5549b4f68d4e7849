"""`llmwatch.breaker`: a decorator and a context manager around calls that may fail."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from llmwatch import faults
from llmwatch.circuit import history
from llmwatch.circuit.alerted import Lookout
from llmwatch.circuit.limits import Limits
from llmwatch.circuit.states import Circuit, State, Ticket, now
from llmwatch.errors import BreakerOpen, SettingsError
from llmwatch.tracing.wrappers import flavour_of

if TYPE_CHECKING:
    from typing_extensions import Self

P = ParamSpec("P")
R = TypeVar("R")
_NONE: Any = object()
_breakers: dict[str, Breaker] = {}
_lock = threading.Lock()
# The calls that this task or thread is in by `with`, of any breaker, the innermost last.
_entered: ContextVar[tuple[tuple[Breaker, Ticket], ...]] = ContextVar(
    "llmwatch_breakers", default=()
)


def breaker(name: str, /, *, fallback: Any = _NONE, **limits: Any) -> Breaker:
    """Stop making calls that fail, for a while; a fallback answers instead.

    As a decorator (of functions, methods, async functions, generators) and as `with llmwatch.breaker("model"):`, which
    raises `BreakerOpen` when the call is not to be made. A name is one breaker in a process: what it is given counts
    the first time, later `breaker("model")` is the same.

    fallback: what answers instead: a function of the same arguments, or a value. Without it, `BreakerOpen` is raised.
    error_rate: the share of calls that fail at which it opens (.5; None: never).
    slow_ms, slow_rate: it opens when this share (.5) of calls takes this long or longer.
    alert: it opens when an alert of the rule with this name (or pattern) fires.
    min_calls: shares count from this many calls on (20), of the last `window_s` seconds (60).
    rest_s: how long it stays open (30) before probes are made; `probes`: how many have to go well (3).
    ignore: types of exceptions that are not the callee's fault, such as ValueError.

    >>> @breaker("docs", fallback="try again later", min_calls=1)
    ... def ask(question: str) -> str:
    ...     raise TimeoutError
    >>> try:
    ...     ask("why?")
    ... except TimeoutError:
    ...     ask("why?")
    'try again later'
    """
    if not isinstance(name, str) or not name:
        raise SettingsError(f"a breaker has a name, which is text; not {name!r}")
    with _lock:
        found = _breakers.get(name)
        if found is None:
            found = _breakers[name] = Breaker(name, _checked(name, limits), fallback)
            return found
    if limits and _checked(name, limits) != found.limits:
        raise SettingsError(f"there is a breaker {name!r} already, with other limits")
    if fallback is not _NONE and fallback is not found.fallback:
        return Breaker(name, found.limits, fallback, found)
    return found


def _checked(name: str, limits: dict[str, Any]) -> Limits:
    try:
        return Limits(**limits)
    except TypeError as error:
        known = ", ".join(("fallback", *Limits.__slots__))
        raise SettingsError(f"breaker {name!r}: {error}; a breaker takes {known}") from error
    except SettingsError as error:
        raise SettingsError(f"breaker {name!r}: {error}") from error


class Breaker:
    """Made by `llmwatch.breaker`. `state` is `closed`, `open` or `half_open`."""

    def __init__(
        self, name: str, limits: Limits, fallback: Any, same: Breaker | None = None
    ) -> None:
        self.name, self.limits, self.fallback = name, limits, fallback
        self._circuit: Circuit = Circuit(limits) if same is None else same._circuit
        self._lookout: Lookout | None = None
        if same is not None:
            self._lookout = same._lookout
        elif limits.alert is not None:
            self._lookout = Lookout(limits.alert, self._alerted)

    def __repr__(self) -> str:
        return f"<breaker {self.name!r}, {self.state}>"

    @property
    def state(self) -> State:
        return self._circuit.state

    def trip(self, why: str = "opened by hand") -> None:
        """Open it now."""
        self._circuit.trip("by hand", why)
        self._record()

    def reset(self) -> None:
        """Close it now."""
        self._circuit.reset()
        self._record()

    # --- around a function -------------------------------------------------------------

    @overload
    def __call__(self, function: staticmethod[P, R], /) -> staticmethod[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...
    def __call__(self, function: Any, /) -> Any:
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(self(function.__func__))
        if not callable(function) or isinstance(function, type):
            raise TypeError(f"a breaker decorates functions, not {function!r}")
        wrapper = _MAKERS[flavour_of(function)](self, function)
        # Not its attributes: those of a traced function would lead around the breaker.
        functools.update_wrapper(wrapper, function, updated=())
        wrapper.breaker = self
        return wrapper

    # --- around a block ----------------------------------------------------------------

    def __enter__(self) -> Self:
        ticket = self._admit()
        if ticket is None:
            raise self._refusal()
        _entered.set((*_entered.get(), (self, ticket)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, trace
        entered = _entered.get()
        for place in reversed(range(len(entered))):
            if entered[place][0] is self:
                _entered.set((*entered[:place], *entered[place + 1 :]))
                self._done(entered[place][1], error)
                return

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    # --- what both do ------------------------------------------------------------------

    def _admit(self) -> Ticket | None:
        if self._lookout is not None:
            self._lookout.glance()
        ticket = self._circuit.admit()
        self._record()
        return ticket

    def _done(
        self, ticket: Ticket, error: BaseException | None, took_s: float | None = None
    ) -> None:
        took = now() - ticket.began if took_s is None else took_s
        self._circuit.done(ticket, self._circuit.outcome(error, took))
        self._record()

    def _answers_for(self, ticket: Ticket, error: BaseException) -> bool:
        """Whether the fallback answers for a probe that failed: had it not been made, nobody had seen the error."""
        return ticket.probe and self._circuit.is_failure(error) and self.fallback is not _NONE

    def _instead(self, args: Any, kwargs: Any) -> Any:
        """What the fallback says."""
        if self.fallback is _NONE:
            raise self._refusal()
        self._note()
        return self.fallback(*args, **kwargs) if callable(self.fallback) else self.fallback

    def _refusal(self) -> BreakerOpen:
        return BreakerOpen(self.name, self._circuit.retry_after_s())

    def _note(self) -> None:
        """The row around the call says that the fallback answered."""
        with faults.contained("a row could not say that a fallback answered"):
            from llmwatch.tracing.recorder import current_row

            row = current_row()
            if row is not None and not row._ended_us:
                row.add_data({"breaker": {"name": self.name, "state": self.state}})

    def _record(self) -> None:
        if self._circuit.changes:
            history.record(self.name, self._circuit.taken())

    def _alerted(self, reason: str, said: str) -> None:
        self._circuit.trip(reason, said)
        self._record()


def _sync(self: Breaker, function: Any) -> Any:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        ticket = self._admit()
        if ticket is None:
            return self._instead(args, kwargs)
        try:
            output = function(*args, **kwargs)
        except BaseException as error:
            self._done(ticket, error)
            if not self._answers_for(ticket, error):
                raise
        else:
            self._done(ticket, None)
            return output
        return self._instead(args, kwargs)

    return guarded


def _async(self: Breaker, function: Any) -> Any:
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        ticket = self._admit()
        if ticket is None:
            return await _awaited(self._instead(args, kwargs))
        try:
            output = await function(*args, **kwargs)
        except BaseException as error:
            self._done(ticket, error)
            if not self._answers_for(ticket, error):
                raise
        else:
            self._done(ticket, None)
            return output
        return await _awaited(self._instead(args, kwargs))

    return guarded


async def _awaited(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


class _Streamed:
    """Around a stream: how long the first chunk takes is the callee's doing, how long the rest does may be the reader's."""

    def __init__(self, breaker: Breaker, ticket: Ticket) -> None:
        self._breaker, self._ticket = breaker, ticket
        self._first_s: float | None = None

    def came(self) -> None:
        """A chunk came."""
        if self._first_s is None:
            self._first_s = now() - self._ticket.began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Stops the error of a probe for which the fallback answers: before anything came, that is."""
        begun = self._first_s is not None
        left = begun and isinstance(error, GeneratorExit)  # its reader had enough: no failure
        self._breaker._done(self._ticket, None if left else error, self._first_s)
        return error is not None and not begun and self._breaker._answers_for(self._ticket, error)


def _generator(self: Breaker, function: Any) -> Any:
    def guarded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        ticket = self._admit()
        if ticket is not None:
            with _Streamed(self, ticket) as call:
                return (yield from _timed(function(*args, **kwargs), call))
        return (yield from _chunks(self._instead(args, kwargs)))

    return guarded


def _timed(generator: Generator[Any, Any, Any], call: _Streamed) -> Generator[Any, Any, Any]:
    try:
        chunk = next(generator)
    except StopIteration as stop:
        return stop.value
    call.came()
    return (yield from _resumed(chunk, generator))


def _resumed(chunk: Any, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The generator from a chunk on that was taken already."""
    while True:
        try:
            sent = yield chunk
        except GeneratorExit:
            generator.close()
            raise
        except BaseException as error:  # noqa: BLE001 - handed on to the generator
            step = functools.partial(generator.throw, error)
        else:
            step = functools.partial(generator.send, sent)
        try:
            chunk = step()
        except StopIteration as stop:
            return stop.value


def _chunks(answer: Any) -> Generator[Any, Any, Any]:
    """A fallback of a stream is a stream, or the one chunk of it."""
    if isinstance(answer, (str, bytes, dict)) or not hasattr(answer, "__iter__"):
        yield answer
        return None
    return (yield from answer)


def _async_generator(self: Breaker, function: Any) -> Any:
    async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        ticket = self._admit()
        if ticket is not None:
            with _Streamed(self, ticket) as call:
                async with aclosing(function(*args, **kwargs)) as stream:
                    async for chunk in stream:
                        call.came()
                        yield chunk
                return
        async for chunk in _chunks_async(await _awaited(self._instead(args, kwargs))):
            yield chunk

    return guarded


async def _chunks_async(answer: Any) -> AsyncGenerator[Any, None]:
    if hasattr(answer, "__aiter__"):
        async for chunk in answer:
            yield chunk
    else:
        for chunk in _chunks(answer):
            yield chunk


_MAKERS: dict[str, Callable[[Breaker, Any], Any]] = {
    "function": _sync,
    "async_function": _async,
    "generator": _generator,
    "async_generator": _async_generator,
}


def forget() -> None:
    """Forget every breaker of this process, for tests."""
    with _lock:
        _breakers.clear()


def _fresh_in_child() -> None:
    global _lock
    _lock = threading.Lock()
    for each in _breakers.values():
        each._circuit.fresh_lock()
        if each._lookout is not None:
            each._lookout.fresh_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_in_child)
