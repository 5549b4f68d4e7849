"""Binding a call's arguments to names without `inspect.signature` on the call's path."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Binder:
    """Gives `{name: value}` of a call, with the defaults that were used, as Weave records them.

    A call that Python will refuse is bound as far as it goes: it is recorded with the error.

    >>> def ask(question, *more, k=3, **rest): ...
    >>> Binder(ask)(("why?", 1), {"user": "u1"})
    {'question': 'why?', 'more': (1,), 'k': 3, 'rest': {'user': 'u1'}}
    """

    __slots__ = ("all_names", "defaults", "names", "owner", "signature", "simple", "takes_more", "takes_rest")

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            self.signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # a builtin that does not tell
            self.signature = None
        parameters = list(self.signature.parameters.values()) if self.signature else []
        self.names = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self.all_names = tuple(p.name for p in parameters)
        self.owner = bool(self.names) and self.names[0] in ("self", "cls")
        self.takes_more = _name_of(parameters, inspect.Parameter.VAR_POSITIONAL)
        self.takes_rest = _name_of(parameters, inspect.Parameter.VAR_KEYWORD)
        if self.signature is None:
            self.takes_more, self.takes_rest = "args", "kwargs"
        keywords = any(p.kind is p.KEYWORD_ONLY for p in parameters)
        self.simple = not (self.owner or self.takes_more or self.takes_rest or keywords)
        # None and ... stand for "not given": Weave leaves them out, and so do we.
        self.defaults = tuple(
            (p.name, p.default)
            for p in parameters
            if p.default is not p.empty and p.default is not None and p.default is not ...
        )

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        names = self.names
        if self.simple and not kwargs and len(args) == len(names):
            return dict(zip(names, args))  # noqa: B905
        bound: dict[str, Any] = dict(zip(names, args))  # noqa: B905 - fewer arguments than names is usual
        if self.owner and args:
            bound[names[0]] = _owner(args[0])
        if self.takes_more is not None:
            bound[self.takes_more] = args[len(names) :]
        if self.takes_rest is not None:
            self._add_rest(bound, kwargs)
        elif kwargs:
            bound.update(kwargs)
        for name, default in self.defaults:
            if name not in bound:
                bound[name] = default
        return bound

    def quickest(self) -> Callable[[tuple[Any, ...], Mapping[str, Any]], dict[str, Any]]:
        """What does the same, and a call with one argument, which most are, in half the time."""
        bind = self.__call__  # a bound method is called in half the time of an object
        if not self.simple or len(self.names) != 1:
            return bind
        (name,) = self.names
        return lambda args, kwargs: (
            {name: args[0]} if len(args) == 1 and not kwargs else bind(args, kwargs)
        )

    def _add_rest(self, bound: dict[str, Any], kwargs: Mapping[str, Any]) -> None:
        assert self.takes_rest is not None
        known = self.signature.parameters if self.signature else {}
        rest = {}
        for name, value in kwargs.items():
            if name in known and name != self.takes_rest:
                bound[name] = value
            else:
                rest[name] = value
        for name, default in self.defaults:
            bound.setdefault(name, default)
        bound[self.takes_rest] = rest


def _name_of(parameters: list[inspect.Parameter], kind: Any) -> str | None:
    return next((p.name for p in parameters if p.kind is kind), None)


def _owner(value: Any) -> str:
    """What is recorded of `self`: its published ref when it has one, else only what it is.

    The object itself may hold anything (clients, keys, models), and is the same in every call.
    """
    cls = value if isinstance(value, type) else type(value)
    uri = getattr(getattr(value, "__dict__", {}).get("ref"), "uri", None)
    return uri if isinstance(uri, str) else f"{cls.__module__}.{cls.__qualname__}"
