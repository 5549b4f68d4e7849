"""Pieces of SQL that carry their parameters, so that no value of a request is ever part of the text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fragment:
    """SQL text with `?` marks, and what they stand for, in order."""

    text: str
    params: tuple[Any, ...] = ()


def sql(template: str, *parts: Fragment | str) -> Fragment:
    """`template` with each `{}` replaced by a part; a part that is text is SQL of ours.

    >>> sql("{} > {}", "n", value(5)).text
    'n > ?'
    """
    texts = [part if isinstance(part, str) else part.text for part in parts]
    params = [p for part in parts if isinstance(part, Fragment) for p in part.params]
    return Fragment(template.format(*texts), tuple(params))


def value(given: Any) -> Fragment:
    return Fragment("?", (readable(given) if isinstance(given, str) else given,))


def readable(text: str) -> str:
    """Text as the database can take it: half of a surrogate pair, which no stored text has, becomes a mark."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def joined(separator: str, parts: Iterable[Fragment]) -> Fragment:
    parts = list(parts)
    return Fragment(
        separator.join(part.text for part in parts),
        tuple(param for part in parts for param in part.params),
    )


def one_of(what: Fragment | str, values: Iterable[Any]) -> Fragment:
    """`what` is one of the values; of none of no values."""
    values = list(values)
    if not values:
        return Fragment("FALSE")
    if len(values) == 1:
        return sql("({} = {})", what, value(values[0]))
    return sql("({} IN ({}))", what, joined(", ", map(value, values)))


def all_of(conditions: Iterable[Fragment]) -> Fragment:
    conditions = list(conditions)
    if not conditions:
        return Fragment("TRUE")
    return sql("({})", joined(" AND ", conditions))


def any_of(conditions: Iterable[Fragment]) -> Fragment:
    conditions = list(conditions)
    if not conditions:
        return Fragment("FALSE")
    return sql("({})", joined(" OR ", conditions))
