"""Content-addressed files of a project: written once under their digest, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from llmwatch.store import ensure


class Contents:
    """One folder of contents. Two processes that write the same content do no harm to each other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, digest: str, content: bytes) -> None:
        path = self._path(digest)
        if path.exists():
            return
        ensure(path.parent)
        # mkstemp makes the file readable by its owner only
        fd, draft = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
            Path(draft).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(draft).unlink()
            raise

    def get(self, digest: str) -> bytes | None:
        try:
            return self._path(digest).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, digest: str) -> bool:
        return self._path(digest).exists()

    def digests(self) -> list[str]:
        """Every digest there is, the latest written first."""
        found = [path for path in self._directory.glob("??/*") if not path.name.startswith(".")]
        return [
            path.name for path in sorted(found, key=lambda p: p.stat().st_mtime_ns, reverse=True)
        ]

    def total_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._directory.glob("??/*"))

    def _path(self, digest: str) -> Path:
        # A digest comes from a request: anything else must not become a path.
        if not (digest.isascii() and digest.isalnum()) or len(digest) < 3:
            return self._directory / "no" / "such"
        return self._directory / digest[:2] / digest
