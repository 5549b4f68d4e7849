"""What is known about a traced function before it is called, worked out once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from orjson import Fragment

from llmwatch import capture
from llmwatch.capture.keys import escape_key
from llmwatch.tracing.arguments import Binder
from llmwatch.tracing.guardrails import name_of
from llmwatch.tracing.options import Options
from llmwatch.tracing.redact import Redactor


class Plan:
    """One traced function: its options, and what of its rows never changes."""

    __slots__ = (
        "_own_redactor",
        "attributes",
        "bind",
        "binder",
        "columns",
        "function",
        "known",
        "name",
        "op",
        "options",
        "recorder",
        "redactor",
        "rendered_attributes",
        "secret",
        "short_columns",
        "shows_texts",
        "table",
        "waiting",
        "writer",
    )

    def __init__(self, function: Callable[..., Any], options: Options, flavour: str) -> None:
        self.function, self.options = function, options
        self.binder = Binder(function)
        self.bind = self.binder.quickest()
        self.redactor = self._own_redactor = Redactor(options.redact)
        self.name = options.name or _name(function, method=self.binder.owner)
        self.table = options.table or "traces"
        self._note_rules()
        self.known = (
            frozenset(self.binder.all_names) if self.binder.takes_rest is None else frozenset()
        )
        self.attributes = _attributes(options, flavour)
        self.rendered_attributes = Fragment(capture.encode(self.attributes))
        self.columns = self.short_columns = self.columns_for(self.name)
        self.recorder: Any = None  # the one that `columns` and `writer` are right for
        self.writer: Any = None
        self.waiting: list[Any] | None = None  # rows written while the op's ref was being made
        self.op: dict[str, Any] = {}  # the traced function's own attributes, which Weave may set

    def redact_also(self, rules: Sequence[str]) -> None:
        """From now on redact these besides what the op itself says."""
        self.redactor = self._own_redactor.with_rules(rules)
        self._note_rules()

    def _note_rules(self) -> None:
        names = self.binder.all_names
        self.secret = self.redactor.named(names)
        # Whether its arguments, where they are texts, may be written as they are when no secret is in them.
        self.shows_texts = not self.redactor.always and all(n == escape_key(n) for n in names)

    def columns_for(self, op_name: str) -> dict[str, str]:
        kind = self.options.kind
        return {"op_name": op_name} if kind is None else {"op_name": op_name, "kind": kind}


def _name(function: Any, *, method: bool) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__name__"):
        return type(function).__name__
    name: str = function.__qualname__ if method else function.__name__
    return name.rsplit(".<locals>.", maxsplit=1)[-1]


def _attributes(options: Options, flavour: str) -> dict[str, Any]:
    of_weave: dict[str, Any] = {"python": {"type": flavour}}
    if options.weave_kind:
        of_weave["kind"] = options.weave_kind
    if options.color:
        of_weave["color"] = options.color
    ours: dict[str, Any] = {}
    if options.scorers:
        ours["scorers"] = [name_of(scorer) for scorer in options.scorers]
    if options.guardrails:
        ours["guardrails"] = [name_of(guardrail) for guardrail in options.guardrails]
    return {
        **(options.attributes or {}),
        "weave": of_weave,
        **({"llmwatch": ours} if ours else {}),
    }
