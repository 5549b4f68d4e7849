"""Following a stream to its end: time to the first chunk, what came, how it ended."""

from __future__ import annotations

import weakref
from time import perf_counter_ns
from typing import Any

from llmwatch import faults
from llmwatch.tracing import calls, unfinished
from llmwatch.tracing.accumulate import Chunks
from llmwatch.tracing.row import Row

CLOSED_EARLY = {"ended": "closed early"}
LEFT_OPEN = {"ended": "left open"}
NEVER_STARTED = {"ended": "never started"}


class Watch:
    """Knows one stream and its row; ends the row once, however the stream ends."""

    __slots__ = ("__weakref__", "_ref", "chunks", "row", "started")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.chunks = Chunks(row.plan.op["_accumulator"])
        self.started = False
        self._ref: Any = None

    def follow(self, stream: Any, *, closes_itself: bool = False) -> None:
        """Notice when `stream` is gone without having ended, or is still there when the process exits.

        A started generator `closes_itself` when it is collected, and may raise there: that says more.
        """
        unfinished.add(self.row, lambda: self.end(LEFT_OPEN))
        self._ref = weakref.ref(stream, lambda _: self._gone(closes_itself))

    def _gone(self, closes_itself: bool) -> None:
        if not self.started:
            self.end(NEVER_STARTED)
        elif not closes_itself:
            self.end(CLOSED_EARLY)

    def chunk(self, chunk: Any) -> None:
        try:
            if not self.row._first_ns:
                self.row._first_ns = perf_counter_ns()
            self.chunks.add(chunk)
        except Exception as error:  # noqa: BLE001 - our faults stop here: the stream goes on
            faults.report("a chunk of a stream could not be recorded", error)

    def end(self, how: dict[str, str] | None = None) -> None:
        """The stream ended; `how` when not by itself."""
        if self.row._ended_us:
            return
        if how is not None:
            self.row._added = {**(self.row._added or {}), "stream": how}
        self._finish(None)

    def fail(self, error: BaseException) -> None:
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        if self.row._ended_us:
            return
        output = None
        with faults.contained("the chunks of a stream could not be put together"):
            output = self._processed(self.chunks.output())
        unfinished.remove(self.row)
        calls.finish(self.row, output, error)

    def _processed(self, output: Any) -> Any:
        process = self.row.plan.op.get("_on_finish_post_processor")
        return process(output) if process is not None else output
