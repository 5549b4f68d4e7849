"""A frame's prompts as vectors, by an embedder, NaN for a row without a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from llmwatch.drift.embedders import kept
from llmwatch.drift.frames import Frame

if TYPE_CHECKING:
    from llmwatch.drift.embedders import Embedder
    from llmwatch.settings import Settings
    from llmwatch.stream.query import Reader


def embedded(frame: Frame, embedder: Embedder, reader: Reader, settings: Settings) -> Frame:
    """The frame with vectors; one that has them is left as it is."""
    if frame.vectors is not None or frame.texts is None:
        return frame
    rows = [n for n, text in enumerate(frame.texts) if text and text.strip()]
    texts = [frame.texts[n] or "" for n in rows]
    ids = [frame.ids[n] for n in rows] if frame.ids is not None else None
    if ids is None:  # of no row of the store: nothing would erase what is kept
        vectors = embedder.embed(texts)
    else:
        vectors = kept.embedded(
            embedder, texts, ids, project=reader.project, reader=reader, settings=settings
        )
    made = np.full((frame.rows, vectors.shape[1]), np.nan, np.float32)
    made[rows] = vectors
    return replace(frame, vectors=made)
