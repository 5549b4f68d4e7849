"""Content-addressed files beside a table: written once, named by their SHA-256, never outside their directory."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from llmwatch import faults

_REF = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})\.([a-z0-9]{1,8})")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")


def clean_extension(text: object) -> str:
    """A file extension that is safe on any file system; `bin` for what is not one."""
    bare = text.lower().lstrip(".") if type(text) is str else ""
    return bare if _EXTENSION.fullmatch(bare) else "bin"


def keep(media: Path | None, data: bytes, extension: str) -> dict[str, Any]:
    """Put bytes under the media directory; the fields of the marker that refers to them.

    Where they cannot be kept (no directory, a full disk) the fields say why instead: the row is
    recorded all the same.
    """
    if media is None:
        return {"bytes": len(data), "missing": "no media directory"}
    digest = hashlib.sha256(data).hexdigest()
    ref = f"{digest[:2]}/{digest}.{clean_extension(extension)}"
    try:
        _write_once(media / ref, data)
    except OSError as error:
        faults.report("a media file could not be written", error, lost=1)
        return {"bytes": len(data), "missing": f"{type(error).__name__}: {error.strerror}"}
    return {"file": ref, "bytes": len(data)}


def _write_once(path: Path, data: bytes) -> None:
    try:
        # A crash without fsync can leave a shorter file under the right name: write it again.
        if path.stat().st_size == len(data):
            os.utime(path)  # seen again: whoever removes unused files must not take it now
            return
    except FileNotFoundError:
        pass
    path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def find(media: Path | None, ref: object) -> Path | None:
    """The file of a reference, or None when it is not one of ours, or not there."""
    if media is None or type(ref) is not str or not _REF.fullmatch(ref):
        return None
    path = media / ref
    return path if path.is_file() and not path.is_symlink() else None
