"""Quality: predictions against labels, which come later."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from llmwatch.errors import SettingsError
from llmwatch.watch import names, parts
from llmwatch.watch.families.measure import Facts, Plain, State, Usual, Values, share
from llmwatch.watch.reading import texts
from llmwatch.watch.said import Joined, Said, category_said, number_said, said_in

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame
    from llmwatch.watch.sets import Quality

logger = logging.getLogger("llmwatch")
_LOWER_IS_BETTER = frozenset({"performance/mae", "performance/rmse", "performance/mean_error"})
_BETWEEN = "\t"


class QualityMeasure(Plain):
    """State: predictions, labelled ones, right ones, counts of (label, prediction) hashed, moments of what regression
    needs, sums of losses, moments of the proxy."""

    def __init__(self, told: Quality) -> None:
        self._told = told
        self.baseline = told.baseline
        self._label: Said | Joined = Said("label", told.label)
        if told.label_table is not None:
            if told.key is None:
                raise SettingsError("labels in a table of their own need a key to be joined by")
            self._label = Joined(told.label_table, told.key, told.label)
        self._proxy = said_in(told.proxy) if told.proxy else None
        self._losses: dict[str, Callable[[Any, Any], float]] | None = None

    def columns(self, columns: Columns) -> dict[str, str]:
        told = self._told
        found = {f"text {told.prediction}": columns.text(told.prediction)}
        if told.task != "classification":
            found[f"number {told.prediction}"] = columns.number(told.prediction)
        if told.key is not None:
            found[f"text {told.key}"] = columns.text(told.key)
        if told.proxy and self._proxy is None:
            found[f"number {told.proxy}"] = columns.number(told.proxy)
        return found

    def said(self) -> Sequence[Said | Joined]:
        return (self._label,) if self._proxy is None else (self._label, self._proxy)

    def part(self, frame: Frame) -> State:
        predictions, labels = (
            texts(frame[f"text {self._told.prediction}"]),
            frame[self._label.alias],
        )
        both = [
            (prediction, label)
            for prediction, label in zip(predictions, labels, strict=True)
            if prediction is not None and label is not None
        ]
        state: dict[str, Any] = {
            "n": sum(prediction is not None for prediction in predictions),
            "labelled": len(both),
            "proxy": parts.moments(self._proxies(frame)),
        }
        if self._told.task == "classification":
            state.update(_classified(both))
        if self._told.task == "regression":
            state["r"] = _regressed(frame[f"number {self._told.prediction}"], labels)
        if self._told.losses:
            state["loss"] = self._lost(both)
        return state

    def merge(self, states: Sequence[State]) -> State:
        first = states[0] if states else {}
        state = {
            name: sum(s[name] for s in states)
            for name in ("n", "labelled", "right")
            if name in first
        }
        state["proxy"] = parts.merge_moments(s["proxy"] for s in states)
        if "pairs" in first:
            state["pairs"] = parts.merge_tallies(s["pairs"] for s in states)
        for key in ("r", "loss"):
            if key in first:
                state[key] = {n: parts.merge_moments(s[key][n] for s in states) for n in first[key]}
        return state

    def values(self, state: State, facts: Facts) -> Values:
        found: Values = {}
        if "pairs" in state:
            found.update(_classification(state, self._told.positive))
        if "r" in state:
            found.update(_regression(state["r"]))
        for name, moments in state.get("loss", {}).items():
            found[f"performance/{name}"] = parts.mean(moments)
        compared = [name for name in found if name.startswith("performance/")]
        found["performance/labelled_count"] = state["labelled"]
        found["performance/labelled_share"] = share(state["labelled"], state["n"])
        found["performance/proxy"] = parts.mean(state["proxy"])
        if facts.usual is not None:
            found.update(self._compared(found, compared, facts.usual))
        return found

    def _proxies(self, frame: Frame) -> Any:
        if self._proxy is not None:
            return np.array([number_said(value) for value in frame[self._proxy.alias]], np.float64)
        return frame[f"number {self._told.proxy}"] if self._told.proxy else np.zeros(0)

    def _lost(self, both: Sequence[tuple[str, Any]]) -> dict[str, parts.Moments]:
        if self._losses is None:
            self._losses = {name: _function(where) for name, where in self._told.losses.items()}
        return {
            name: parts.moments([_loss(name, loss, *each) for each in both])
            for name, loss in self._losses.items()
        }

    def _compared(self, found: Values, measures: Sequence[str], usual: Usual) -> Values:
        lost = {name: self._lost_share(name, found[name], usual.values) for name in measures}
        known = [value for value in lost.values() if value is not None]
        told: Values = {names.degradation(name): value for name, value in lost.items()}
        told[names.DEGRADATION] = (
            int(any(value > self._told.degradation for value in known)) if known else None
        )
        return told

    def _lost_share(
        self, name: str, now: float | None, usual: Mapping[str, float | None]
    ) -> float | None:
        """How much worse it is, as a share of what is usual; below 0 where it is better."""
        short = name.removeprefix("performance/")
        before = usual.get(name, usual.get(short))
        if now is None or not before:
            return None
        if name == "performance/mean_error":
            return (abs(now) - abs(before)) / abs(before)
        lower_is_better = name in _LOWER_IS_BETTER or short in self._told.losses
        return (now - before if lower_is_better else before - now) / abs(before)


def _loss(name: str, loss: Callable[[Any, Any], float], prediction: str, label: Any) -> float:
    """What a person's own function says of a row; not a number where it fails, which must not take the other rows along."""
    try:
        return float(loss(prediction, label))
    except Exception as error:  # noqa: BLE001 - it is not ours, and may raise anything
        logger.warning("performance/%s of a row could not be worked out: %r", name, error)
        return float("nan")


# --- classes -----------------------------------------------------------------------------


def _classified(both: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    pairs = [(category_said(label), _plain(prediction)) for prediction, label in both]
    told = (f"{parts.hashed(str(label))}{_BETWEEN}{parts.hashed(said)}" for label, said in pairs)
    return {"right": sum(label == said for label, said in pairs), "pairs": parts.tally(told)}


def _plain(prediction: str) -> str:
    """As a label of the same value is written: `1.0` is `1`."""
    whole, _, rest = prediction.partition(".")
    return whole if rest and not rest.strip("0") and whole.lstrip("-").isdigit() else prediction


def _classification(state: State, positive: str | None) -> Values:
    found: Values = {"performance/accuracy": share(state["right"], state["labelled"])}
    measures: list[float | None] = [None, None, None]
    if state["labelled"] and parts.OTHER not in state["pairs"]:
        measures = _scores(state["pairs"], positive)
    found.update(zip(names.CLASSIFICATION[1:], measures, strict=True))
    return found


def _scores(pairs: Mapping[str, int], positive: str | None) -> list[float | None]:
    """Precision, recall and F1: of the positive class, or their means over classes; 0 where nothing was predicted."""
    split = ((key.partition(_BETWEEN), count) for key, count in pairs.items())
    counts = [(label, said, count) for (label, _, said), count in split]
    if positive is not None:
        return list(_of_class(counts, parts.hashed(_plain(positive))))
    classes = sorted({one for label, said, _ in counts for one in (label, said)})
    found = [_of_class(counts, one) for one in classes]
    return [sum(column) / len(classes) for column in zip(*found, strict=True)]


def _of_class(counts: Sequence[tuple[str, str, int]], one: str) -> tuple[float, float, float]:
    right = sum(count for label, said, count in counts if label == said == one)
    said = sum(count for _, told, count in counts if told == one)
    there = sum(count for label, _, count in counts if label == one)
    precision, recall = right / said if said else 0.0, right / there if there else 0.0
    return precision, recall, 2 * right / (said + there) if said + there else 0.0


# --- numbers -----------------------------------------------------------------------------


def _regressed(predictions: Any, labels: Any) -> dict[str, parts.Moments]:
    said = np.ma.filled(np.ma.asarray(predictions, dtype=np.float64), np.nan)
    actual = np.array([number_said(label) for label in labels], np.float64)
    known = np.isfinite(said) & np.isfinite(actual)
    said, actual = said[known], actual[known]
    error = said - actual
    return {
        "error": parts.moments(error),
        "absolute": parts.moments(np.abs(error)),
        "squared": parts.moments(np.square(error)),
        "said": parts.moments(said),
        "actual": parts.moments(actual),
    }


def _regression(state: Mapping[str, parts.Moments]) -> Values:
    squared, actual = parts.mean(state["squared"]), state["actual"]
    spread = actual[2] if actual[0] > 1 else None
    return {
        "performance/mae": parts.mean(state["absolute"]),
        "performance/rmse": None if squared is None else squared**0.5,
        "performance/mean_error": parts.mean(state["error"]),
        "performance/r2": None
        if squared is None or not spread
        else 1 - squared * actual[0] / spread,
        "prediction/mean": parts.mean(state["said"]),
        "prediction/std": parts.std(state["said"]),
        "actual/mean": parts.mean(actual),
        "actual/std": parts.std(actual),
    }


def _function(where: str) -> Callable[[Any, Any], float]:
    module, _, name = where.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"there is no loss at {where!r} (module:function): {error}") from error
    if not callable(found):
        raise SettingsError(f"{where!r} is no function of (prediction, label)")
    return found  # type: ignore[no-any-return]
