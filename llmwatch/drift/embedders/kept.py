"""Vectors that were costly to make, kept in the store by the hash of their text.

Each is a line of the internal table `_vectors`, under the row that its text was first seen in: erasing that row
erases it, and it goes by age as rows do. A prompt asked a thousand times is embedded once.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import clock
from llmwatch.store import VECTORS
from llmwatch.stream import spool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmwatch.drift.embedders import Embedder, Vectors
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

_AT_ONCE = 1024  # embedded, then written, so that an interrupted run keeps what it paid for


def text_hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def embedded(
    embedder: Embedder,
    texts: Sequence[str],
    row_ids: Sequence[str],
    *,
    project: Project,
    reader: Reader,
    settings: Settings,
) -> Vectors:
    """A vector a text: those that are kept are read, the others are made, and kept when they were costly."""
    if not embedder.costly:
        return embedder.embed(texts)
    hashes = [text_hash(text) for text in texts]
    known = _read(reader, embedder.identity, set(hashes))
    missing = {key: n for n, key in reversed(list(enumerate(hashes))) if key not in known}
    todo = list(missing.items())
    for first in range(0, len(todo), _AT_ONCE):
        part = todo[first : first + _AT_ONCE]
        made = embedder.embed([texts[n] for _, n in part])
        for (key, n), vector in zip(part, made, strict=True):
            known[key] = vector
            _keep(project, settings, embedder.identity, key, row_ids[n], vector)
    return _stacked([known[key] for key in hashes])


def _stacked(vectors: Sequence[Any]) -> Vectors:
    """As one array; a vector of zeros without a length (a text that could not be embedded) takes that of the others."""
    import numpy as np

    size = max((len(vector) for vector in vectors), default=0)
    stacked = np.zeros((len(vectors), size), np.float32)
    for n, vector in enumerate(vectors):
        stacked[n, : len(vector)] = vector
    return stacked


def _read(reader: Reader, identity: str, hashes: set[str]) -> dict[str, Any]:
    import numpy as np

    found = reader.execute(
        f'SELECT version, embedding FROM main."{VECTORS}" '  # noqa: S608 - a name of ours
        "WHERE model = ? AND version IN (SELECT unnest(?::VARCHAR[])) AND embedding IS NOT NULL",
        [identity, sorted(hashes)],
        [VECTORS],
    )
    return {key: np.frombuffer(vector, dtype="<f4") for key, vector in found.rows}


def _keep(
    project: Project, settings: Settings, identity: str, key: str, row_id: str, vector: Any
) -> None:
    line = {
        "id": clock.new_id(),
        "parent_id": row_id,
        "model": identity,
        "version": key,
        "embedding": encoded(vector),
    }
    spool.writer(project, VECTORS, settings).append("row", orjson.dumps(line))


def encoded(vector: Any) -> str:
    """A vector as it stands on a line: base64 of float32."""
    import numpy as np

    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")
