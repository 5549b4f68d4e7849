"""Names and labels as Prometheus takes them, and a bound on how many there are."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping

OTHER = "(other)"
"""What stands for every label value beyond the bound."""
LONGEST = 200
"""Characters of a label's value; a longer one is cut."""
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


def metric_name(name: str) -> str:
    """A metric's name as Prometheus takes it.

    >>> (
    ...     metric_name("latency/p95_ms"),
    ...     metric_name("errors/5xx_count"),
    ...     metric_name("features/a-b_mean"),
    ... )
    ('latency_p95_ms', 'errors_5xx_count', 'features_a_b_mean')
    """
    plain = _NOT_IN_A_NAME.sub("_", name)
    return f"_{plain}" if plain[:1].isdigit() or not plain else plain


def label_value(text: str | None) -> str:
    """A value that every scraper can read: no lone surrogates, not too long."""
    cut = (text or "")[:LONGEST]
    return cut.encode("utf-8", "replace").decode()


def group_labels(group: Mapping[str, str], taken: Mapping[str, str]) -> dict[str, str]:
    """A group's dimensions as labels; one that has the name of a label of ours is `group_<name>`."""
    found = dict(taken)
    for name, value in group.items():
        plain = metric_name(name)
        if plain in found or plain.startswith("__") or plain in {"le", "quantile"}:
            plain = f"group_{plain.lstrip('_')}"
        found[plain] = label_value(value)
    return found


class Bounded:
    """Lets so many different things through, and counts how often others came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[Hashable] = set()
        self.refused = 0

    def lets(self, thing: Hashable) -> bool:
        if thing in self._known:
            return True
        if len(self._known) >= self._most:
            self.refused += 1
            return False
        self._known.add(thing)
        return True
