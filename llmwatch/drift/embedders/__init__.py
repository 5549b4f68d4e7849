"""Embedders: what turns prompts into vectors, each with an identity that a baseline remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llmwatch.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

DEFAULT = "ngrams"
CARRIED = "column:"


class Embedder(Protocol):
    """Turns texts into vectors. Vectors of one identity can be compared, whenever they were made."""

    identity: str
    costly: bool
    """Whether a vector is worth keeping: the offline default makes one quicker than a disk gives it back."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector a text, in order."""
        ...


def chosen(name: str | Embedder | None = None) -> Embedder:
    """The embedder of that name: `ngrams` (the default), `onnx`, `onnx:DIRECTORY`, `openai`, `openai:MODEL`.

    >>> chosen().identity
    'ngrams-512-v1'
    """
    if name is not None and not isinstance(name, str):
        return name
    kind, _, rest = (name or DEFAULT).partition(":")
    if kind == "ngrams" and not rest:
        from llmwatch.drift.embedders.ngrams import Ngrams

        return Ngrams()
    if kind == "onnx":
        from llmwatch.drift.embedders.onnx import Onnx

        return Onnx(rest or None)
    if kind == "openai":
        from llmwatch.drift.embedders.openai import OpenAIEmbedder

        return OpenAIEmbedder(rest or None)
    raise SettingsError(
        f"there is no embedder {name!r}: it is ngrams, onnx, onnx:DIRECTORY, openai, openai:MODEL, "
        "or column:NAME for a vector that each row carries"
    )
