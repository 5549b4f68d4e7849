"""Baselines of which only a mean and a standard deviation are known: how far the window is from them, and no p-value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from llmwatch.drift import assembly, blocks
from llmwatch.drift.blocks import Groups
from llmwatch.drift.finding import MINIMUM_BLOCKS, MINIMUM_ROWS, Finding, insufficient, lacking
from llmwatch.drift.gates import Gates, passed
from llmwatch.drift.report import Line
from llmwatch.drift.sides import Side
from llmwatch.drift.signals import Judged
from llmwatch.drift.sources import LENGTHS
from llmwatch.drift.usable import finite
from llmwatch.errors import LlmwatchError, SettingsError

METHOD = "distance from the given mean"
_SURE = 2.58  # standard errors: 99%
Summary = Mapping[str, Any]


def checked(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Statistics by signal: `{"prompt_length": {"mean": 54, "std": 29, "unit": "characters"}}`."""
    if not isinstance(given, Mapping) or not given:
        raise SettingsError("statistics are a mapping of signals, each with its mean and std")
    return {str(name): _checked(str(name), one) for name, one in given.items()}


def _checked(name: str, given: Any) -> dict[str, Any]:
    try:
        mean, std = float(given["mean"]), float(given["std"])
    except (KeyError, TypeError, ValueError):
        raise SettingsError(f"give {name} a mean and a std, both numbers") from None
    if not math.isfinite(mean) or not (math.isfinite(std) and std > 0):
        raise SettingsError(f"{name}: the mean is a number, and the std one over 0")
    unit = str(given.get("unit", ""))
    if name in LENGTHS and unit not in {"tokens", "characters"}:
        raise SettingsError(f"say whether {name} is in tokens or characters: give it a unit")
    return {"mean": mean, "std": std, "unit": unit}


def compare(window: Any, summary: Summary, groups: Groups = None) -> Finding:
    """How many of its standard deviations the mean moved, and how many it moved at least.

    The window's own chance (99%, by blocks) is taken off; that of the given figures is unknown, so there is no p-value.

    >>> found = compare([8.0, 12.0] * 150, {"mean": 5.0, "std": 2.0})
    >>> found.effect, found.p
    (2.5, None)
    """
    values, used = finite(window, groups)
    n = len(values)
    code = blocks.codes(used, n)
    n_blocks = int(code.max()) + 1 if n else 0
    said: dict[str, Any] = {"left_out": len(window) - n, "blocks_window": n_blocks}
    if missing := lacking((MINIMUM_ROWS, n), (MINIMUM_BLOCKS, n_blocks)):
        return insufficient(METHOD, 0, n, missing, **said)
    totals = np.bincount(code, values - values.mean())
    error = math.sqrt(float((totals**2).sum()) * n_blocks / (n_blocks - 1)) / n
    shift = (float(values.mean()) - summary["mean"]) / summary["std"]
    least = math.copysign(max(0.0, abs(shift) - _SURE * error / summary["std"]), shift)
    effects = {"mean_shift": least, "std_ratio": float(values.std()) / summary["std"]}
    return Finding(
        METHOD, 0, n, effect=shift, effect_name="standard deviations from the given mean",
        effects=effects, **said,
    )  # fmt: skip


def lines(
    signals: list[str], reference: Side, window: Side, gates: Gates, by: str | None
) -> list[Line]:
    """The lines of a report against given statistics."""
    given = reference.given or {}
    if missing := [name for name in signals if name not in given]:
        raise LlmwatchError(
            f"{reference.label} holds statistics of {', '.join(given)} and nothing of {', '.join(missing)}: "
            f"ask for the signals it holds (--signal {next(iter(given))})"
        )
    (_, groups), word = assembly.groups_of(window.whole, window.whole, by)
    return [_line(name, given[name], window, groups, word, gates) for name in signals]


def _line(name: str, given: Summary, window: Side, groups: Groups, word: str, gates: Gates) -> Line:
    found = window.whole.columns.get((name, given["unit"])) or next(
        (one for (signal, _), one in window.whole.columns.items() if signal == name), None
    )
    if found is None or found.kind != "number":
        raise LlmwatchError(f"{name} is no column of numbers, of which a mean could be compared")
    if name in LENGTHS and found.unit != given["unit"]:
        raise LlmwatchError(f"{name} is not known in {given['unit']} here")
    finding = compare(found.values, given, groups)
    large = passed(finding, gates)
    verdict = "insufficient data" if finding.lacking else "drift" if large else "no drift"
    numbers = found.values[np.isfinite(found.values)]
    means = (given["mean"], float(numbers.mean()) if len(numbers) else None)
    spreads = (given["std"], float(numbers.std()) if len(numbers) else None)
    judged = Judged(name, finding, None, large, verdict)  # type: ignore[arg-type]
    return Line(judged, "number", given["unit"] or found.unit, word, means, spreads)
