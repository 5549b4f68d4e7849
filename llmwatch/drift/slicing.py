"""Slices: each level of a column compared by itself, and how its share of the rows moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.drift import assembly, sides
from llmwatch.drift import compare as comparing
from llmwatch.drift.lines import line
from llmwatch.drift.report import Slice
from llmwatch.drift.sides import Side
from llmwatch.errors import LlmwatchError

if TYPE_CHECKING:
    from llmwatch.drift.job import Options

MOST = 20
"""Levels that are compared, those with the most rows in the window."""


def compared(
    signals: Sequence[str], reference: Side, window: Side, options: Options
) -> tuple[Slice, ...]:
    """The most frequent levels, those that moved most first."""
    if reference.whole.slices is None:
        raise LlmwatchError(
            f"{reference.label} was saved without slices; compare with earlier windows"
        )
    counts = [Counter(side.whole.slices or ()) for side in (reference, window)]
    levels = [level for level, _ in counts[1].most_common() if level is not None][:MOST]
    pairs = {level: (sides.only(reference, level), sides.only(window, level)) for level in levels}
    made = {
        level: assembly.assemble(signals, *pair, by=options.by, seed=options.seed)
        for level, pair in pairs.items()
    }
    judged = comparing.compare_slices(
        {level: [one.signal for one in each] for level, each in made.items()},
        alpha=options.alpha,
        gates=options.gates,
        seed=options.seed,
    )
    found = [
        Slice(
            str(level),
            (_share(counts[0], level), _share(counts[1], level)),
            tuple(line(one, said) for one, said in zip(made[level], judged[level], strict=True)),
        )
        for level in levels
    ]
    return tuple(sorted(found, key=_how_much))


def _share(counted: Counter[Any], level: Any) -> float:
    return counted[level] / max(1, counted.total())


def _how_much(one: Slice) -> tuple[bool, float]:
    """Drift first, then by the smallest p-value."""
    known = [line.judged.p_adjusted for line in one.lines if line.judged.p_adjusted is not None]
    return one.verdict != "drift", min(known, default=2.0)
