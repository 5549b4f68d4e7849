"""What a function traced with `auto_log=False` returns: its output, and its row to finish by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from llmwatch.tracing.row import Row

R = TypeVar("R")


class Record(Generic[R]):
    """`get()` is the output; `add_data({...})` adds to the row; `finalize()` writes it (as the exit does)."""

    def __init__(self, output: R, row: Row | None) -> None:
        self._output, self.row = output, row

    def get(self) -> R:
        return self._output

    @property
    def id(self) -> str | None:
        """The row's id; None when the call is not recorded."""
        return None if self.row is None else self.row.id

    def add_data(self, data: Mapping[str, Any]) -> None:
        if self.row is not None:
            self.row.add_data(data)

    def finalize(self) -> None:
        """Write the row; one whose stream is still open is written when that ends. Again: nothing."""
        row = self.row
        if row is None or not row._held:
            return
        row._held = False
        if row._release is not None:
            row._release()

    def __repr__(self) -> str:
        return f"Record({self._output!r}, id={self.id!r})"
