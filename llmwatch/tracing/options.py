"""What `@traced(...)` was given, checked once at decoration."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from llmwatch.names import check_name

Kind = Literal[
    "retrieval", "generation", "response", "tool", "agent", "chain", "embedding", "rerank",
    "search", "llm", "guardrail", "scorer", "request", "event",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
WEAVE_KINDS = {"retrieval": "search", "rerank": "search", "generation": "llm", "embedding": "llm"}
"""Kinds that Weave knows under another name; `response` and `chain` it does not know."""
_KNOWN_TO_WEAVE = frozenset({"agent", "llm", "tool", "search", "guardrail", "scorer"})

Redact = str | re.Pattern[str] | Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The keywords of `weave.op` under Weave's names, and ours."""

    name: str | None = None
    call_display_name: str | Callable[[Any], str] | None = None
    postprocess_inputs: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    postprocess_output: Callable[..., Any] | None = None
    tracing_sample_rate: float = 1.0
    enable_code_capture: bool = True
    accumulator: Callable[[Any, Any], Any] | None = None
    kind: str | None = None
    color: str | None = None
    attributes: dict[str, Any] | None = None
    eager_call_start: bool = False
    table: str | None = None
    redact: Redact | Sequence[Redact] = ()
    scorers: Sequence[Any] = ()
    guardrails: Sequence[Any] = ()
    auto_log: bool = True

    def __post_init__(self) -> None:
        rate = self.tracing_sample_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise TypeError("tracing_sample_rate must be a number from 0 to 1")
        if not 0 <= rate <= 1:
            raise ValueError(f"tracing_sample_rate must be from 0 to 1, not {rate}")
        if self.kind is not None and self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.attributes is not None and "weave" in self.attributes:
            raise ValueError("attributes cannot set the key 'weave', which belongs to Weave")
        if self.table is not None:
            check_name(self.table, "table")

    @property
    def weave_kind(self) -> str | None:
        kind = WEAVE_KINDS.get(self.kind or "", self.kind)
        return kind if kind in _KNOWN_TO_WEAVE else None
