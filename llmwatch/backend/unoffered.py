"""Methods of Weave's trace server that the local backend has not got."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from llmwatch.errors import LlmwatchError


class NotOffered(LlmwatchError):
    """The local backend has no such method."""


def method(name: str) -> Callable[..., NoReturn]:
    """A method that says it is not available; AttributeError for what no trace server has.

    Weave looks for optional parts of a server with `hasattr`, which must stay false.
    """
    if name not in _interface():
        raise AttributeError(f"the local backend has no {name!r}")

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise NotOffered(f"{name} is not available on the local backend")

    refuse.__name__ = name
    return refuse


@cache
def _interface() -> frozenset[str]:
    from weave.trace_server_bindings.client_interface import TraceServerClientInterface

    return frozenset(name for name in vars(TraceServerClientInterface) if not name.startswith("_"))
