"""The two sides of a run: the window, and the baseline that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmwatch.drift import baselines, windows
from llmwatch.drift.frames import Frame, together
from llmwatch.drift.reading import Count, Rows
from llmwatch.drift.windows import Window
from llmwatch.errors import LlmwatchError

MOST_PROMPTS = 10_000
"""Prompts of a side that are read and embedded; of the numbers every row counts."""
Embed = Callable[[Frame], Frame]


@dataclass(frozen=True)
class Side:
    """One side: every row with its numbers, and the prompts of a sample of them."""

    label: str
    rows: int
    whole: Frame
    sample: Frame | None = None
    parts: Sequence[Side] = ()
    """The windows that a baseline is made of."""
    windows: Sequence[Window] = ()
    share: float = 1.0
    """Of the rows, those whose prompts were read."""
    given: Mapping[str, Mapping[str, Any]] | None = None
    """Of a baseline that has no rows: mean and standard deviation of its signals."""


@dataclass(frozen=True)
class Reading:
    """How sides are read: from which rows, with or without their prompts, embedded or not."""

    rows: Rows
    prompts: bool
    embed: Embed
    most: int = MOST_PROMPTS

    def window(self, window: Window) -> Side:
        return self._side(str(window), [window])

    def past(self, label: str, past: Sequence[Window]) -> Side:
        """Several earlier windows as one side; those without a row are left out."""
        return self._side(label, past)

    def _side(self, label: str, asked: Sequence[Window]) -> Side:
        counted = {window: self.rows.count(window) for window in asked}
        used = [window for window in asked if counted[window].rows] or list(asked[:1])
        total = sum(counted[window].rows for window in used)
        count = _common([counted[window] for window in used])
        share = min(1.0, self.most / total) if total else 1.0
        parts = [self._part(window, count, share) for window in used]
        return Side(
            label,
            total,
            together([part.whole for part in parts]),
            together([part.sample for part in parts if part.sample]) if self.prompts else None,
            parts=parts if len(parts) > 1 else (),
            windows=used,
            share=share,
        )

    def _part(self, window: Window, count: Count, share: float) -> Side:
        whole = self.rows.whole(window, count)
        sample = self.embed(self.rows.sample(window, count, share)) if self.prompts else None
        return Side(str(window), whole.rows, whole, sample, windows=(window,), share=share)


def _common(counts: Sequence[Count]) -> Count:
    """Sessions only where every window has them: rows are put together the same way on all sides."""
    sessions = min((count.sessions for count in counts), default=0)
    users = min((count.users for count in counts), default=0)
    return Count(sum(count.rows for count in counts), sessions, users)


def reference(
    reading: Reading, asked: str | None, current: Window, load: Callable[[str], Side]
) -> Side:
    """The side that a baseline's name stands for: `weeks` (the default), `previous`, or a saved one."""
    if asked in {None, "weeks"}:
        past = windows.same_hours(current)
        return reading.past(f"the same hours of {len(past)} earlier weeks", past)
    if asked == "previous":
        past = windows.before(current)
        return reading.past(f"the {len(past)} windows before", past)
    assert asked is not None
    return load(asked)


def saved(baseline: baselines.Baseline, frame: Frame, embed: Embed, *, prompts: bool) -> Side:
    """A saved baseline as a side. Prompts that were saved without a vector are embedded now."""
    if baseline.summary is not None:
        return Side(f"statistics {baseline.label}", 0, frame, given=baseline.summary)
    sample = None
    if prompts:
        sample = frame if frame.vectors is not None else embed(frame)
    lost = baseline.saved_rows - baseline.rows
    gone = f" ({lost:,} of its {baseline.saved_rows:,} rows were erased since)" if lost else ""
    return Side(f"baseline {baseline.label}{gone}", frame.rows, frame, sample)


def check_sizes(reference_: Side, window: Side) -> None:
    """Vectors that rows carry may be of any embedder: of one size on both sides, at least."""
    sizes = [
        side.sample.vectors.shape[1]
        for side in (reference_, window)
        if side.sample is not None and side.sample.vectors is not None and side.sample.rows
    ]
    if len(set(sizes)) > 1 and 0 not in sizes:
        raise LlmwatchError(
            f"the reference has vectors of {sizes[0]} numbers and the window of {sizes[1]}: they come from "
            "different embedders and cannot be compared"
        )


def only(side: Side, level: Any) -> Side:
    """The rows of a side that are in one slice."""
    whole = _only(side.whole, level)
    sample = None if side.sample is None else _only(side.sample, level)
    return replace(side, rows=whole.rows, whole=whole, sample=sample, parts=())


def _only(frame: Frame, level: Any) -> Frame:
    return frame.take([n for n, value in enumerate(frame.slices or ()) if value == level])
