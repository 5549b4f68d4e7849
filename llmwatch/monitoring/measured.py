"""A call or span while it is measured: when it began, what went in, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from time import perf_counter_ns
from typing import Any

import orjson

from llmwatch import clock, faults
from llmwatch.monitoring.table import StreamTable
from llmwatch.tracing import failures, usage, writing
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.redact import REDACTED, Redactor

Step = Callable[[Any], Any] | None


class Measured:
    """What a monitored call and a span have in common; `table` is None when nothing is recorded."""

    def __init__(self, name: str, table: StreamTable | None) -> None:
        self.id = clock.new_id()
        self._name, self._table = name, table
        self._inputs_json: bytes | None = None
        self._prompt_chars: int | None = None
        self._latency_ms = 0.0
        self._ended_us: int | None = None
        self._error: BaseException | None = None
        self._started_us = clock.now_us()
        self._clock_ns = perf_counter_ns()

    # --- what `running` asks for -------------------------------------------------------

    def here(self) -> AbstractContextManager[Any]:
        """Around every step of the function."""
        raise NotImplementedError

    def end(self, output: Any, how: dict[str, str] | None = None) -> None:
        """It returned, or its stream ended; `how` when not by itself."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        raise NotImplementedError

    def swallows(self, error: BaseException) -> bool:  # noqa: ARG002 - a monitor that does overrides it
        return False

    def given(self, output: Any) -> Any:
        """What the caller gets."""
        return output

    @property
    def _redactor(self) -> Redactor:
        return Redactor() if self._table is None else self._table.redactor

    # --- measuring ---------------------------------------------------------------------

    def take_inputs(
        self, plan: Plan, args: tuple[Any, ...], kwargs: Mapping[str, Any], step: Step
    ) -> None:
        """The arguments as they are now, whatever the function does to them."""
        if self._table is None:
            return
        with faults.contained(f"the inputs of {plan.name} could not be recorded"):
            bound = plan.binder(args, kwargs)
            for name in plan.secret:
                if name in bound:
                    bound[name] = REDACTED
            bound = writing.processed(plan, bound, step)
            self._inputs_json = redacted_fields(self._table, bound)
            self._prompt_chars = sum(len(text) for text in bound.values() if type(text) is str)
        self._clock_ns = perf_counter_ns()

    def stop(self) -> bool:
        """Stop the clock; False when it was stopped before."""
        if self._ended_us is not None:
            return False
        passed = perf_counter_ns() - self._clock_ns
        if clock._replaced_now is None:  # the wall clock may be set while a call runs
            self._ended_us = self._started_us + passed // 1000
        else:
            self._ended_us = clock.now_us()
            passed = (self._ended_us - self._started_us) * 1000
        self._latency_ms = round(passed / 1e6, 3)
        return True

    def columns(self) -> dict[str, Any]:
        """The columns that a traced call has too: boards, scorers and searches know these."""
        kind, text = (None, None)
        if self._error is not None:
            kind, text = failures.describe(self._error, self._redactor)
        return {
            "id": self.id,
            "trace_id": self.id,
            "op_name": self._name,
            "status": "success" if self._error is None else "error",
            "started_at": self._started_us,
            "ended_at": self._ended_us,
            "latency_ms": self._latency_ms,
            "prompt_chars": self._prompt_chars,
            "exception_type": kind,
            "exception": text,
        }

    @property
    def _exception_text(self) -> str | None:
        """`Type: message`."""
        error = self._error
        if error is None:
            return None
        try:
            text = str(error)
        except Exception as broken:  # noqa: BLE001 - the user's `__str__`
            text = f"(its text could not be made: {type(broken).__name__})"
        return self._redactor.text(f"{type(error).__name__}: {text}")


def of_output(output: Any) -> dict[str, Any]:
    """The columns that an output which looks like a model's answer tells."""
    model, used, text = usage.read(output)
    used = used or {}
    text = output if type(output) is str else text
    found = {
        "model": model if isinstance(model, str) else None,
        "prompt_tokens": used.get("prompt_tokens", used.get("input_tokens")),
        "completion_tokens": used.get("completion_tokens", used.get("output_tokens")),
        "output_chars": len(text) if text else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def redacted(table: StreamTable, value: Any) -> bytes:
    return table.redactor.json(table.encode(value))


def redacted_fields(table: StreamTable, fields: Mapping[str, Any]) -> bytes:
    found = table.redactor.json(table.encode_fields(fields))
    return found if found.startswith(b"{") else orjson.dumps({"error": orjson.loads(found)})
