"""`init_monitor`: nested spans of a pipeline, as rows of one StreamTable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, overload

from llmwatch import faults
from llmwatch.errors import LlmwatchError
from llmwatch.monitoring.decorator import Monitored
from llmwatch.monitoring.measured import Measured, Step, of_output, redacted, redacted_fields
from llmwatch.monitoring.running import around
from llmwatch.monitoring.table import StreamTable, TableInUse, time_of
from llmwatch.stream.rows import Rows
from llmwatch.tracing import writing
from llmwatch.tracing.options import Options
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.wrappers import flavour_of

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("llmwatch")

_current: ContextVar[Span | None] = ContextVar("llmwatch_monitoring_span", default=None)
_attributes: ContextVar[dict[str, Any]] = ContextVar("llmwatch_monitoring_attributes")


class Span(Measured):
    """One step: set `inputs`, `output`, and keys of `attributes` and `summary` while it runs."""

    def __init__(self, name: str, table: StreamTable | None, postprocess: Step = None) -> None:
        parent = _current.get()
        self.inputs: Any = None
        self.output: Any = None
        self.attributes: dict[str, Any] = dict(_attributes.get({}))
        self.summary: dict[str, Any] = {}
        self.name, self.status_code = name, "UNSET"
        self._postprocess = postprocess
        super().__init__(name, table)
        self.span_id = self.id
        self.parent_id = parent.id if parent is not None else None
        self.trace_id: str = parent.trace_id if parent is not None else self.id

    def __repr__(self) -> str:
        return f"Span({self.name!r}, id={self.id!r}, {self.status_code})"

    @property
    def exception(self) -> BaseException | None:
        return self._error

    # --- what `running` asks for -------------------------------------------------------

    def here(self) -> AbstractContextManager[Any]:
        return _Here(self)

    def end(self, output: Any, how: dict[str, str] | None = None) -> None:
        if not self.stop():
            return
        self.output = output
        if how is None:
            self.status_code = "SUCCESS"
        else:
            self.attributes["stream"] = how
        self._log()

    def fail(self, error: BaseException) -> None:
        if not self.stop():
            return
        self._error, self.status_code = error, "ERROR"
        self._log()

    # --- logging -----------------------------------------------------------------------

    def _log(self) -> None:
        table = self._table
        if table is None:
            return
        with faults.contained(f"a span of {self.name} could not be recorded", lost=1):
            output = self.output
            if self._postprocess is not None and self._error is None:
                output = writing.processed(self, output, self._postprocess)  # type: ignore[arg-type] # its name
            known = of_output(output)
            summary = self._summed_up(known)
            parts = {
                "inputs": self._inputs_json or redacted(table, self.inputs),
                "output": redacted(table, output),
                "attributes": redacted_fields(table, self.attributes),
                "summary": redacted_fields(table, summary),
            }
            columns = {**self.columns(), **known, **self._of_summary(summary)}
            table.add_call(columns, parts, redacted_fields(table, self._fields(table)))

    def _summed_up(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The person's figures, and what is known without them."""
        used = {n: known[n] for n in ("prompt_tokens", "completion_tokens") if n in known}
        summary = {"latency_s": self._latency_ms / 1000, **used, **self.summary}
        prompt, completion = summary.get("prompt_tokens"), summary.get("completion_tokens")
        if isinstance(prompt, (int, float)) and isinstance(completion, (int, float)):
            summary.setdefault("total_tokens", prompt + completion)
        return summary

    def _of_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        names = {"prompt_tokens": "prompt_tokens", "completion_tokens": "completion_tokens"}
        names["cost_usd"] = "cost"
        found = {column: summary.get(name) for column, name in names.items()}
        columns = {name: value for name, value in found.items() if _is_number(value)}
        model = self.attributes.get("model")
        if isinstance(model, str):
            columns["model"] = model
        return {"trace_id": self.trace_id, "parent_id": self.parent_id, **columns}

    def _fields(self, table: StreamTable) -> dict[str, Any]:
        assert self._ended_us is not None
        return {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_id": self.parent_id,
            "name": self.name,
            "status_code": self.status_code,
            "start_time_s": self._started_us / 1e6,
            "end_time_s": self._ended_us / 1e6,
            "exception": self._exception_text,
            "timestamp": time_of(self._started_us),
            "_client_id": table.client_id,
        }


class _Here:
    """The span as the parent of what begins inside; a generator is resumed under whoever asks for the next item."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        self._before = _current.get()
        _current.set(self._span)

    def __exit__(self, *_: object) -> None:
        _current.set(self._before)


class Monitor:
    """Makes spans. The one that `default_monitor()` gives records where `init_monitor` said last, if anywhere."""

    def __init__(self, table: TableInUse | None = None) -> None:
        self._own = table

    @overload
    def trace(self, function: Callable[P, R], /) -> Monitored[P, R]: ...
    @overload
    def trace(
        self, function: None = None, /, *, preprocess: Step = None, postprocess: Step = None
    ) -> Callable[[Callable[P, R]], Monitored[P, R]]: ...
    def trace(
        self, function: Any = None, /, *, preprocess: Step = None, postprocess: Step = None
    ) -> Any:
        """Each call of the function is a span: `@m.trace()`."""

        def decorate(function: Any) -> Any:
            if isinstance(function, (staticmethod, classmethod)):
                return type(function)(decorate(function.__func__))
            flavour = flavour_of(function)
            plan = Plan(function, Options(), flavour)

            def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
                span = Span(plan.name, self._table(), postprocess)
                span.take_inputs(plan, args, kwargs, preprocess)
                return span

            wrapper: Any = around(function, flavour, begin)
            wrapper.rows = self.rows
            return wrapper

        return decorate if function is None else decorate(function)

    @contextmanager
    def span(self, name: str) -> Iterator[Span]:
        """`with m.span("retrieve") as s: s.inputs = ...; s.output = ...`"""
        span = Span(name, self._table())
        try:
            with span.here():
                yield span
        except BaseException as error:
            span.fail(error)
            raise
        span.end(span.output)

    @contextmanager
    def attributes(self, attributes: Mapping[str, Any]) -> Iterator[None]:
        """All spans that begin inside the block carry these."""
        before = _attributes.get({})
        _attributes.set({**before, **attributes})
        try:
            yield
        finally:
            _attributes.set(before)

    def rows(self) -> Rows:
        """The spans, each a row, in the order they ended."""
        source = self._source
        if source is None:
            raise LlmwatchError("there is no monitor: call init_monitor('project/stream') first")
        return source.get().rows()

    def finish(self) -> None:
        """Wait until all spans are stored."""
        if self._source is not None:
            self._source.get().finish()

    @property
    def _source(self) -> TableInUse | None:
        return self._own or _inited

    def _table(self) -> StreamTable | None:
        source = self._source
        if source is None:
            _hint()
            return None
        return source.get_or_none()


_inited: TableInUse | None = None
_hinted = False


def init_monitor(stream: str) -> Monitor:
    """Record spans to the table `"entity/project/stream"` (or `"project/stream"`, or `"stream"`)."""
    global _inited
    _inited = TableInUse(stream)
    return Monitor(_inited)


def default_monitor() -> Monitor:
    """The monitor of `init_monitor`, whenever that is called; until then its spans are not recorded."""
    return Monitor()


def deinit_monitor() -> None:
    """`default_monitor()` records no more."""
    global _inited
    _inited = None


def _hint() -> None:
    global _hinted
    if not _hinted:
        _hinted = True
        logger.warning("a span began before init_monitor(): it is not recorded")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
