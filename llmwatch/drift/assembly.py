"""Signals out of two sides: the same column of both, in the unit that both have, with what rows belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmwatch.drift import blocks, languages, topics
from llmwatch.drift.frames import Column, Frame, as_levels
from llmwatch.drift.sides import Side
from llmwatch.drift.signals import Signal
from llmwatch.drift.sources import LENGTHS, TEXT_SIGNALS
from llmwatch.errors import LlmwatchError

CHARACTERS_A_TOKEN = 4
"""For an estimate of tokens, which is always marked as one: it is off by up to a half."""
_MOST_HAVE = 0.9  # a unit is used when so many rows of both sides have it


@dataclass(frozen=True)
class Assembled:
    """A signal, and in which unit its numbers are."""

    signal: Signal
    unit: str = ""
    blocks: str = "rows"


def assemble(
    names: Sequence[str], reference: Side, window: Side, *, by: str | None = None, seed: int = 0
) -> list[Assembled]:
    """The signals of these names."""
    made = Making(reference, window, by, seed)
    return [made.one(name) for name in names]


class Making:
    """Makes signals of two sides."""

    def __init__(self, reference: Side, window: Side, by: str | None, seed: int) -> None:
        self._reference, self._window, self._by, self._seed = reference, window, by, seed

    def one(self, name: str) -> Assembled:
        has = {signal for signal, _ in self._window.whole.columns}
        if name == "embedding":
            return self._embedding()
        if name == "language" and name not in has:
            return self._language()
        if name == "topic" and name not in has:
            return self._topic()
        return self._column(name)

    def _column(self, name: str) -> Assembled:
        unit = self._unit(name)
        before, now = (self._of(side, name, unit) for side in (self._reference, self._window))
        frames = self._reference.whole, self._window.whole
        if before.kind == now.kind == "number":
            return self._made(name, "number", before.values, now.values, *frames, unit=unit)
        return self._made(name, "category", as_levels(before), as_levels(now), *frames)

    def _of(self, side: Side, name: str, unit: str) -> Column:
        found = side.whole.columns.get((name, unit))
        if found is None:
            held = (
                ", ".join(dict.fromkeys(signal for signal, _ in side.whole.columns)) or "no columns"
            )
            raise LlmwatchError(f"{side.label} holds no {name}; it holds {held}")
        return found

    def _unit(self, name: str) -> str:
        """Of a length: tokens when nearly all rows of both sides have them, else characters."""
        if name not in LENGTHS:
            units = [unit for signal, unit in self._window.whole.columns if signal == name]
            return units[0] if units else ""
        return (
            "tokens"
            if all(_has(side.whole, name, "tokens") for side in (self._reference, self._window))
            else "characters"
        )

    def _embedding(self) -> Assembled:
        before, now = self._sampled()
        return self._made("embedding", "embedding", before.vectors, now.vectors, before, now)

    def _language(self) -> Assembled:
        before, now = self._sampled()
        was, is_now = (languages.guessed(frame.texts or ()) for frame in (before, now))
        return self._made("language", "category", was, is_now, before, now, unit="guessed")

    def _topic(self) -> Assembled:
        before, now = self._sampled()
        found = topics.assigned(before, now, seed=self._seed)
        rest, was, is_now = found or (
            np.arange(before.rows),
            [None] * before.rows,
            [None] * now.rows,
        )
        return self._made("topic", "category", was, is_now, before.take(rest), now, unit="found")

    def _sampled(self) -> tuple[Frame, Frame]:
        assert self._reference.sample is not None
        assert self._window.sample is not None
        return self._reference.sample, self._window.sample

    def _made(
        self, name: str, kind: Any, before: Any, now: Any, ref: Frame, win: Frame, *, unit: str = ""
    ) -> Assembled:
        groups, word = groups_of(ref, win, self._by)
        return Assembled(Signal(name, kind, before, now, *groups), unit, word)


def present(names: Sequence[str], reference: Side, window: Side) -> list[str]:
    """Of all signals that a table could have, those with something in them on both sides."""
    prompts = window.sample is not None and any(window.sample.texts or ())
    return [
        name
        for name in names
        if (name in TEXT_SIGNALS and prompts)
        or any(_has_some(reference, window, key) for key in window.whole.columns if key[0] == name)
    ]


def _has_some(reference: Side, window: Side, key: tuple[str, str]) -> bool:
    return all(
        key in side.whole.columns and side.whole.columns[key].known for side in (reference, window)
    )


def _has(frame: Frame, name: str, unit: str) -> bool:
    column = frame.columns.get((name, unit))
    return column is not None and frame.rows > 0 and column.known >= _MOST_HAVE * frame.rows


def groups_of(reference: Frame, window: Frame, by: str | None) -> tuple[tuple[Any, Any], str]:
    """What the rows of both sides belong to, by the same name on both, and that name."""
    if by == "rows":
        return (None, None), "rows"
    if (
        reference.times is None
    ):  # a golden dataset: its records are taken one by one, the window's rows are not
        for names in ("sessions", "users"):
            if by in {None, names} and (known := getattr(window, names)) and any(known):
                return (getattr(reference, names), known), names
    sessions, users = (
        (getattr(reference, names), getattr(window, names)) if by in {None, names} else None
        for names in ("sessions", "users")
    )
    return blocks.chosen(sessions, users, (reference.times, window.times))


def needs_prompts(names: Iterable[str], logged: Iterable[str]) -> bool:
    """Whether a signal is made from the prompts themselves."""
    return any(name in TEXT_SIGNALS and name not in set(logged) for name in names)
