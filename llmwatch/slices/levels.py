"""What a column says of rows, as levels: the values it has, or ranges of its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmwatch.slices.facets import WHO, Facet
from llmwatch.slices.reading import Rows
from llmwatch.stream.columns import literal, quoted

MISSING = "(missing)"
FEW_NUMBERS = 12
"""Numbers with no more distinct values than this are taken as values, not as ranges."""
_TAILS = (0.1, 0.25, 0.5)
_MOSTLY_NAMES = 0.5
"""A text that is another one in so many of the rows names them, and says nothing about others."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Level:
    """Rows of which a column says one thing."""

    facet: Facet
    label: str
    mask: Mask
    where: str | None = None
    """The same as SQL, for a filter; None where no SQL says it."""

    @property
    def said(self) -> str:
        """`region = eu`, `prompt_tokens > 812`."""
        plain = self.label[:1] not in {"≤", ">"} and not self.label.startswith("between ")
        return f"{self.facet.name} {'= ' if plain else ''}{self.label}"


def levels(rows: Rows, facet: Facet, *, least: int, most: int) -> list[Level]:
    """The levels that `least` rows have at least, the `most` frequent; none for a column that is the same for all."""
    if facet.name in rows.numbers:
        values = rows.numbers[facet.name]
        known = np.isfinite(values)
        if not known.any():
            return []
        distinct = np.unique(values[known])
        if len(distinct) > FEW_NUMBERS:
            made = [*_ranges(facet, values), *_missing(facet, ~known)]
            return _kept(made, least, rows.count)
        texts: list[str | None] = [
            f"{v:g}" if ok else None for v, ok in zip(values.tolist(), known.tolist(), strict=True)
        ]
    else:
        texts = rows.texts.get(facet.name, [])
    return _kept(list(_values(facet, texts, least, most)), least, rows.count)


def _kept(made: list[Level], least: int, rows: int) -> list[Level]:
    counted = [(level, int(level.mask.sum())) for level in made]
    return [level for level, count in counted if least <= count <= rows - least]


def _values(facet: Facet, texts: list[str | None], least: int, most: int) -> Iterator[Level]:
    counts = Counter(texts)
    missing = counts.pop(None, 0)
    if not counts or (
        facet.order != WHO
        and len(counts) > _MOSTLY_NAMES * (len(texts) - missing)
        and len(counts) > FEW_NUMBERS
    ):
        return
    names = [
        text for text, count in counts.most_common(most) if text is not None and count >= least
    ]
    place: dict[str | None, int] = {name: n for n, name in enumerate(names)}
    codes = np.fromiter((place.get(text, -1) for text in texts), np.int32, len(texts))
    for n, name in enumerate(names):
        yield Level(facet, name, codes == n, equals(facet, name))
    if missing:
        yield from _missing(facet, np.array([text is None for text in texts]))


def _missing(facet: Facet, mask: Any) -> list[Level]:
    sql = plain_sql(facet)
    return [Level(facet, MISSING, mask, sql and f"{sql} IS NULL")]


def _ranges(facet: Facet, values: npt.NDArray[np.float64]) -> Iterator[Level]:
    """The lower and the upper tenth, quarter and half, and the quarters between."""
    known = values[np.isfinite(values)]
    sql = plain_sql(facet)
    edges = {q: float(np.quantile(known, q, method="inverted_cdf")) for q in (*_TAILS, 0.75, 0.9)}
    for q in _TAILS:
        low, high = edges[q], edges[1 - q]
        yield Level(facet, f"≤ {low:.6g}", values <= low, sql and f"{sql} <= {low!r}")
        yield Level(facet, f"> {high:.6g}", values > high, sql and f"{sql} > {high!r}")
    for low, high in (
        (edges[0.25], edges[0.5]),
        (edges[0.5], edges[0.75]),
        (edges[0.75], edges[0.9]),
    ):
        said = sql and f"({sql} > {low!r} AND {sql} <= {high!r})"
        yield Level(
            facet, f"between {low:.6g} and {high:.6g}", (values > low) & (values <= high), said
        )


def plain_sql(facet: Facet) -> str | None:
    """The column as a person's condition names it; None for what no row has by itself."""
    if facet.plain is not None:
        return quoted(facet.plain)
    if facet.sql == "NULL" or "tr." in facet.sql:
        return None
    return facet.sql.replace('r."', '"')


def equals(facet: Facet, value: str | None) -> str | None:
    """The condition that a column has this value, or none."""
    sql = plain_sql(facet)
    if sql is None or value is None:
        return sql and f"{sql} IS NULL"
    if facet.kind == "number":
        return f"{sql} = {value}"
    as_text = sql if sql.endswith("AS VARCHAR)") else f"CAST({sql} AS VARCHAR)"
    return f"{as_text} = {literal(value)}"
