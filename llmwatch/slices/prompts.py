"""What was asked, as columns: the language of a prompt, and the kind of prompt it is among the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from llmwatch.drift import embedders, languages, texts, topics
from llmwatch.drift.frames import Frame
from llmwatch.drift.reading import table_of
from llmwatch.drift.sampling import shortened
from llmwatch.slices.facets import ASKED, LANGUAGE, Facet
from llmwatch.slices.reading import Rows
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

KIND = "kind of prompt"
MOST = 20_000
"""Of more rows than this, prompts are not read."""
MOST_OF_A_SIDE = 3_000
_FOUND_IN = 2_000  # prompts that kinds are found in; the others are put to the nearest
_FEWEST_SHARE = 0.5


def with_prompts(reader: Reader, table: str, rows: Rows) -> tuple[Rows, list[Facet]]:
    """The rows with what their prompts say; as they were when most have none."""
    if not 0 < rows.count <= MOST:
        return rows, []
    asked = prompts(reader, table, rows.ids.tolist())
    if sum(text is not None for text in asked) < _FEWEST_SHARE * rows.count:
        return rows, []
    made: dict[str, list[str | None]] = {LANGUAGE: languages.guessed(asked)}
    if (kinds := kinds_of(asked)) is not None:
        made[KIND] = kinds
    facets = [Facet(name, "NULL", "text", order=ASKED) for name in made]
    return replace(rows, texts={**rows.texts, **made}), facets


def with_sample(
    reader: Reader, table: str, rows: Rows, most: int = MOST_OF_A_SIDE
) -> tuple[Rows, list[Facet]]:
    """The same of some rows of each side, drawn by chance."""
    random = np.random.default_rng(rows.count)
    sides = [np.flatnonzero(rows.side == side) for side in (False, True)]
    drawn = [np.sort(random.permutation(side)[:most]) for side in sides]
    at = np.concatenate(drawn)
    part = replace(rows, count=len(at), ids=rows.ids[at], texts={})
    part, facets = with_prompts(reader, table, part)
    looked = np.zeros(rows.count, bool)
    looked[at] = True
    every = {facet.name: _spread(part.texts[facet.name], at, rows.count) for facet in facets}
    masks = {facet.name: looked for facet in facets}
    return replace(rows, texts={**rows.texts, **every}, looked={**rows.looked, **masks}), facets


def _spread(values: Sequence[str | None], at: Any, count: int) -> list[str | None]:
    made: list[str | None] = [None] * count
    for place, value in zip(at.tolist(), values, strict=True):
        made[place] = value
    return made


def kinds_of(asked: Sequence[str | None]) -> list[str | None] | None:
    """A name for the kind of each prompt; None when there are too few of them."""
    known = [n for n, text in enumerate(asked) if text and text.strip()]
    embedded = embedders.chosen().embed([asked[n] or "" for n in known])
    vectors = np.full((len(asked), embedded.shape[1]), np.nan, np.float32)
    vectors[known] = embedded
    return topics.found(Frame(len(asked), texts=list(asked), vectors=vectors), most=_FOUND_IN)


def prompts(reader: Reader, table: str, ids: Sequence[str]) -> list[str | None]:
    """The prompts of rows, in the order of their ids."""
    if not ids:
        return []
    plain, given = table_of(reader, table).text()
    ordered = sorted(ids)
    sql = (
        f'SELECT r."llmwatch id", {plain}, {given} FROM keyed.{quoted(table)} AS r '
        'WHERE r."llmwatch id" BETWEEN ? AND ? AND r."llmwatch id" IN (SELECT unnest(?::VARCHAR[]))'
    )
    found = {
        row_id: shortened(said or texts.of_json(inside))
        for row_id, said, inside in reader.stream(sql, [ordered[0], ordered[-1], ordered], [table])
    }
    return [found.get(row_id) for row_id in ids]
