"""Sampled rows as a frame: their prompts, and the vectors that they carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson

from llmwatch.drift import texts
from llmwatch.drift.frames import Column, Frame, as_number, numbers_or_levels
from llmwatch.drift.sources import Source

LONGEST = 8192
"""Characters of a prompt that are held: half of them from its beginning, half from its end."""


def frame(names: Sequence[str], rows: Iterable[Sequence[Any]], sources: Sequence[Source]) -> Frame:
    """One row at a time, so that of a huge prompt only what is needed is held."""
    kept: dict[str, list[Any]] = {name: [] for name in names if name not in {"plain", "given"}}
    prompts: list[str | None] = []
    for row in rows:
        values = dict(zip(names, row, strict=True))
        prompts.append(shortened(values.pop("plain") or texts.of_json(values.pop("given"))))
        for name, value in values.items():
            if name != "given":
                kept[name].append(value)
    return Frame(
        len(prompts),
        times=np.array(kept["ts"], dtype=np.int64),
        sessions=kept.get("session"),
        users=kept.get("usr"),
        slices=kept.get("slice"),
        columns={
            (source.signal, source.unit): column(kept[f"v{n}"], source)
            for n, source in enumerate(sources)
        },
        ids=kept["id"],
        texts=prompts,
        vectors=carried(kept["vector"]) if "vector" in kept else None,
    )


def column(values: list[Any], source: Source) -> Column:
    """Values as they were read, as the kind of column that the source says."""
    if source.kind == "category":
        return Column(values, "category", source.unit)
    if source.kind == "either":
        return numbers_or_levels(values, source.unit)
    made = [np.nan if (number := as_number(value)) is None else number for value in values]
    return Column(np.array(made, dtype=float), "number", source.unit)


def carried(values: Sequence[bytes | str | None]) -> Any:
    """Vectors out of a column: float32 bytes, or JSON. One that is missing, or not of the usual size, is NaN."""
    vectors = [_vector(value) for value in values]
    sizes = Counter(len(vector) for vector in vectors if vector is not None and len(vector))
    size = sizes.most_common(1)[0][0] if sizes else 0
    made = np.full((len(vectors), size), np.nan, np.float32)
    for n, vector in enumerate(vectors):
        if vector is not None and len(vector) == size:
            made[n] = vector
    return made


def _vector(value: bytes | str | None) -> Any:
    if value is None:
        return None
    if isinstance(value, (bytes, bytearray)):
        return np.frombuffer(value, dtype="<f4") if len(value) % 4 == 0 else None
    try:
        made = np.asarray(orjson.loads(value), dtype=np.float32)
    except (orjson.JSONDecodeError, TypeError, ValueError):
        return None
    return made if made.ndim == 1 else None


def shortened(text: str | None, longest: int = LONGEST) -> str | None:
    """The beginning and the end of a long prompt."""
    if text is None or len(text) <= longest:
        return text
    return f"{text[: longest // 2]} … {text[-longest // 2 :]}"
