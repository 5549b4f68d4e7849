"""A judged signal as a line of the report, with the means that people ask for."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmwatch.drift.assembly import CHARACTERS_A_TOKEN, Assembled
from llmwatch.drift.report import Line
from llmwatch.drift.sides import Side
from llmwatch.drift.signals import Judged
from llmwatch.drift.sources import LENGTHS


def line(made: Assembled, judged: Judged, reference: Side, window: Side) -> Line:
    """The line of one signal."""
    del reference, window
    signal = made.signal
    found = Line(judged, signal.kind, made.unit, made.blocks)
    if signal.kind != "number":
        return found
    means = _of(signal.reference, np.mean), _of(signal.window, np.mean)
    spreads = _of(signal.reference, np.std), _of(signal.window, np.std)
    tokens: Any = (None, None)
    if signal.name in LENGTHS and made.unit == "characters":
        tokens = tuple(None if mean is None else mean / CHARACTERS_A_TOKEN for mean in means)
    return Line(judged, signal.kind, made.unit, made.blocks, means, spreads, tokens)


def _of(values: Any, what: Any) -> float | None:
    finite = values[np.isfinite(values)]
    return float(what(finite)) if len(finite) else None
