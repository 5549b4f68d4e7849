"""A monitored call, and what it returns with `auto_log=False` or `raise_on_error=False`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

from llmwatch import faults
from llmwatch.monitoring.measured import Measured, Step, of_output, redacted, redacted_fields
from llmwatch.monitoring.table import StreamTable, time_of
from llmwatch.tracing import unfinished, writing
from llmwatch.tracing.plan import Plan

R = TypeVar("R")


class MonitorRecord(Measured, Generic[R]):
    """`get()` is the output; `add_data({...})` adds columns; `finalize()` logs it, as the exit does.

    What is added once it is logged becomes feedback of its row.
    """

    def __init__(
        self,
        plan: Plan,
        table: StreamTable | None,
        *,
        postprocess: Step,
        auto_log: bool,
        raise_on_error: bool,
    ) -> None:
        super().__init__(plan.name, table)
        self._plan, self._postprocess = plan, postprocess
        self._bare = auto_log and raise_on_error
        self._released, self._quiet = auto_log, not raise_on_error
        self._output: Any = None
        self._columns: dict[str, Any] = {}
        self._output_json = b"null"
        self._added: dict[str, Any] = {}
        self._logged = False
        if not auto_log:
            unfinished.add(self, self.finalize)

    def get(self) -> R:
        """The output; None when the call raised (`exception` says what)."""
        output: R = self._output
        return output

    @property
    def exception(self) -> BaseException | None:
        """What the call raised."""
        return self._error

    def add_data(self, data: Mapping[str, Any]) -> None:
        """Add columns to the row; once it is logged, feedback."""
        if not self._logged:
            self._added.update(data)
            return
        if self._table is not None:
            for name, value in data.items():
                self._table.say("feedback", name, value, row_id=self.id)

    def finalize(self) -> None:
        """Log the call; one whose stream is still open is logged when that ends. Again: nothing."""
        self._released = True
        unfinished.remove(self)
        self._log_once()

    def __repr__(self) -> str:
        what = repr(self._error) if self._error is not None else repr(self._output)
        return f"MonitorRecord({what}, id={self.id!r})"

    # --- what `running` asks for -------------------------------------------------------

    def here(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def end(self, output: Any, how: dict[str, str] | None = None) -> None:
        if not self.stop():
            return
        if how is not None:
            self._added["stream"] = how
        with faults.contained(f"the output of {self._name} could not be recorded"):
            self._take_output(output)
        self._log_once()

    def fail(self, error: BaseException) -> None:
        if not self.stop():
            return
        self._error = error
        if not self._quiet or not isinstance(error, Exception):
            self._released = True  # the caller gets the error, and no record to finalise
            unfinished.remove(self)
        self._log_once()

    def swallows(self, error: BaseException) -> bool:
        return self._quiet and isinstance(error, Exception)

    def given(self, output: Any) -> Any:
        if self._bare:
            return output
        self._output = output
        return self

    # --- logging -----------------------------------------------------------------------

    def _take_output(self, output: Any) -> None:
        if self._table is None:
            return
        output = writing.processed(self._plan, output, self._postprocess)
        self._columns = of_output(output)
        self._output_json = redacted(self._table, output)

    def _log_once(self) -> None:
        if self._logged or not self._released or self._ended_us is None:
            return
        self._logged = True
        table = self._table
        if table is not None:
            with faults.contained(f"a call of {self._name} could not be recorded", lost=1):
                parts = {"inputs": self._inputs_json or b"{}", "output": self._output_json}
                data = redacted_fields(table, self._fields(self._ended_us))
                table.add_call({**self.columns(), **self._columns}, parts, data)

    def _fields(self, ended_us: int) -> dict[str, Any]:
        return {
            "result_id": self.id,
            "start_datetime": time_of(self._started_us),
            "end_datetime": time_of(ended_us),
            "latency_ms": self._latency_ms,
            "exception": self._exception_text,
            "timestamp": time_of(self._started_us),
            "_client_id": self._table.client_id if self._table else None,
            **self._added,
        }
