"""What a dataset's rows are given to: a function, sync or async, an op or a `weave.Model`, called by the names of its inputs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from llmwatch.datasets.records import OWN
from llmwatch.errors import SettingsError

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)  # fmt: skip


class Target:
    """A callable with a name. `against` is it itself, or where it is: `module:name`."""

    def __init__(self, against: Any) -> None:
        found = _imported(against) if isinstance(against, str) else against
        self._call = _method_of(found)
        self.name = against if isinstance(against, str) else _name_of(found)
        plain = getattr(self._call, "__func__", self._call)
        plain = getattr(plain, "resolve_fn", None) or getattr(plain, "__wrapped__", plain)
        self.is_async = inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(
            self._call
        )
        self._signature = _signature_of(self._call)

    def check(self, inputs: Iterable[Mapping[str, Any]]) -> None:
        """`SettingsError` when it asks for something that no row has."""
        known = set().union(*inputs)
        wanted = [
            name
            for name, p in self._signature.parameters.items()
            if p.kind in _NAMED and p.default is p.empty
        ]
        if missing := [name for name in wanted if name not in known]:
            raise SettingsError(
                f"{self.name} asks for {', '.join(missing)}, which no row of the dataset has; they have "
                f"{', '.join(sorted(known)) or 'nothing'}"
            )

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        """Call it with those of the inputs that it asks for."""
        bound = inspect.BoundArguments(self._signature, {})
        taken = set()
        for name, parameter in self._signature.parameters.items():
            if name in inputs:
                value = inputs[name]
                given = tuple(value) if parameter.kind is parameter.VAR_POSITIONAL else value
                bound.arguments[name] = given
                taken.add(name)
            elif parameter.kind is parameter.VAR_KEYWORD:
                bound.arguments[name] = {k: v for k, v in inputs.items() if k not in taken}
            elif parameter.kind in _NAMED and parameter.default is not parameter.empty:
                bound.arguments[name] = parameter.default
            elif parameter.kind in _NAMED:
                raise TypeError(f"{self.name} asks for {name}, which this row has not")
        return self._call(*bound.args, **bound.kwargs)


def inputs_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs in a record of a dataset, under the names that they had."""
    found = {}
    for name, value in record.items():
        if name in OWN:
            continue
        plain = name.removesuffix("_")
        found[plain if plain in OWN else name] = value
    return found


def _imported(against: str) -> Any:
    module, colon, name = against.partition(":")
    if not (module and colon and name):
        raise SettingsError(f"write what is called as module:function, not {against!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module of theirs may raise anything
        raise SettingsError(f"{against} cannot be had: {type(error).__name__}: {error}") from error
    return found


def _method_of(found: Any) -> Callable[..., Any]:
    if isinstance(found, type) and hasattr(found, "get_infer_method"):
        found = found()  # the class of a weave.Model
    if hasattr(found, "get_infer_method"):
        found = found.get_infer_method()
    if not callable(found) or isinstance(found, type):
        raise SettingsError(f"{found!r:.80} is no function, op or weave.Model")
    call: Callable[..., Any] = found
    return call


def _signature_of(call: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(call)
    except (TypeError, ValueError):
        raise SettingsError(
            f"{call!r:.80} does not tell what it takes: put a function around it"
        ) from None


def _name_of(found: Any) -> str:
    named = getattr(found, "__qualname__", None) or getattr(found, "name", None)
    return str(named or type(found).__name__)
