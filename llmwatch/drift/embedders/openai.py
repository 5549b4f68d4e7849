"""Embeddings from OpenAI, or from any server that speaks its API, through the real client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from llmwatch.errors import LlmwatchError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

MODEL = "text-embedding-3-small"
LONGEST = 8192
"""Characters of a text that are sent: never more tokens than the API takes."""
_BATCH = 128
_PATIENCE_S = 60.0


class OpenAIEmbedder:
    """Sends the texts away, so it is used only where it was named, with the key and address in the environment."""

    costly = True

    def __init__(self, model: str | None = None, *, client: Any = None) -> None:
        self.model = model or MODEL
        self.identity = f"openai-{self.model}"
        if client is None:
            if not os.environ.get("OPENAI_API_KEY"):
                raise SettingsError(
                    "the embedder openai needs OPENAI_API_KEY (and OPENAI_BASE_URL for a server of your own)"
                )
            import openai

            client = openai.OpenAI(timeout=_PATIENCE_S)
        self._client = client

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text; zeros for an empty one, which the API refuses."""
        import numpy as np

        sent = [n for n, text in enumerate(texts) if text.strip()]
        made: list[Any] = []
        for first in range(0, len(sent), _BATCH):
            made += self._ask([_clean(texts[n]) for n in sent[first : first + _BATCH]])
        vectors = np.zeros((len(texts), len(made[0]) if made else 0), np.float32)
        if made:
            given = np.array(made, dtype=np.float32)
            vectors[sent] = given / np.maximum(np.linalg.norm(given, axis=1, keepdims=True), 1e-12)
        return vectors

    def _ask(self, texts: list[str]) -> list[list[float]]:
        """By `post`: `embeddings.create` is recorded where llmwatch or Weave patches it, and this is no call of the user's."""
        import openai
        from openai.types import CreateEmbeddingResponse

        asked = {"model": self.model, "input": texts, "encoding_format": "float"}
        try:
            answer = self._client.post(
                "/embeddings", body=asked, cast_to=CreateEmbeddingResponse, options={}
            )
        except openai.OpenAIError as error:
            raise LlmwatchError(
                f"OpenAI did not embed {len(texts)} prompts with {self.model}: {error}. Nothing was lost: "
                "those that were embedded before are kept"
            ) from error
        return [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]


def _clean(text: str) -> str:
    return text[:LONGEST].encode("utf-8", "replace").decode()
